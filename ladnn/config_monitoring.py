"""How the platform is watched between retrains, and what sets off the next one; no part of what a retrain is."""

import re

from pydantic import Field, ValidationInfo, field_validator

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
    """Images looked at on each side; of more, some of each patient are drawn at random."""
    served_days: int = Field(default=28, ge=1)
    """Days back that predictions of the service count."""
    max_html_bytes: int = Field(default=5_000_000, ge=4_500_000)
    """Largest page to look at; it leaves out the properties that moved least, and says so. The drawing library takes 3.7 MB."""


NEVER = "never"
"""What a trigger is set to that is not wanted, since TOML has no None; `false` says the same."""
_CRON = re.compile(r"\s*(@\w+|\S+(\s+\S+){4,5})\s*")
"""How a cron expression looks, by its fields alone: the scheduler reads them."""


class TriggerConfig(Section):
    """What sets off a retrain, beside a person who types `ladnn retrain`."""

    schedule: str | None = "0 3 * * 1"
    """When `ladnn schedule` retrains, as a cron expression in UTC; "never" only watches."""
    monitor: str = "0 5 * * *"
    """When `ladnn schedule` looks for new studies and drift, as a cron expression in UTC."""
    new_studies: int | None = Field(default=100, ge=1)
    """Accepted studies since the last retrain's data at which the monitor retrains; "never" for no number of them."""
    drift: bool = True
    """Whether the monitor retrains on a drift verdict that says so."""

    @field_validator("schedule", "new_studies", mode="before")
    @classmethod
    def _read_never(cls, value: object) -> object:
        return None if value is False or value == NEVER else value

    @field_validator("schedule", "monitor")
    @classmethod
    def _check_cron(cls, cron: str | None, info: ValidationInfo) -> str | None:
        if cron is not None and not _CRON.fullmatch(cron):
            never = f', or "{NEVER}"' if info.field_name == "schedule" else ""
            raise ValueError(f"this is no cron expression; write one such as '0 3 * * 1'{never}")
        return cron
