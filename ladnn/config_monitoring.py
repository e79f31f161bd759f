"""How the platform is watched between retrains, and what sets off the next one; no part of what a retrain is."""

from pydantic import Field

from ladnn.config_section import Section


class DriftConfig(Section):
    """When new images count as other than those that the champion learned from."""

    alpha: float = Field(default=0.01, gt=0, le=0.05)
    """Chance of a false alarm of one check, over all properties, sites and streams together."""
    min_distance: float = Field(default=0.1, ge=0, lt=1)
    """Smallest difference of a property that counts: largest distance of the distributions (Kolmogorov-Smirnov), 0 to 1."""
    min_patients: int = Field(default=20, ge=2)
    """Patients that a comparison needs on each side; with fewer the verdict is "not enough cases"."""
    min_site_patients: int = Field(default=8, ge=2)
    """Patients that a site needs on each side to be looked at by itself."""
    max_images: int = Field(default=1000, ge=20)
    """Images looked at on each side; of more, whole patients are drawn at random."""
    served_days: int = Field(default=28, ge=1)
    """Days back that predictions of the service count."""
    max_html_bytes: int = Field(default=5_000_000, ge=4_500_000)
    """Largest page to look at; it leaves out the properties that moved least, and says so. The drawing library takes 3.7 MB."""


class TriggerConfig(Section):
    """What sets off a retrain, beside a person who types `ladnn retrain`."""

    schedule: str | None = "0 3 * * 1"
    """When `ladnn schedule` retrains, as a cron expression in UTC; None only watches."""
    monitor: str = "0 5 * * *"
    """When `ladnn schedule` looks for new studies and drift, as a cron expression in UTC."""
    new_studies: int | None = Field(default=100, ge=1)
    """Accepted studies since the last retrain's data at which the monitor retrains; None never does for their number."""
    drift: bool = True
    """Whether the monitor retrains on a drift verdict that says so."""
