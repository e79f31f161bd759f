"""What the data card of a dataset version states: counts, provenance, duplicates and what is unknown, as values."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from ladnn.dataset.split import SPLITS, Split
from ladnn.dataset.version import DatasetVersion

Diagnosis = Literal["positive", "negative", "unknown"]
Part = Split | Literal["all"]
DIAGNOSES: tuple[Diagnosis, ...] = get_args(Diagnosis)
PARTS: tuple[Part, ...] = (*SPLITS, "all")


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True)


class Count(_Facts):
    """Images, and the patients they are of."""

    n_images: int
    n_patients: int


class LabelFacts(_Facts):
    """What is known of one label, in images."""

    n_present: int
    n_absent: int
    n_unknown: int
    """Neither present nor absent; the uncertain ones are among them."""
    n_uncertain: int
    """Mentioned, but left open, such as by a hedge."""
    by_source: dict[str, int]
    """Known labels by where they come from: report, annotation or override."""


class Range(_Facts):
    """Smallest, middle and largest value."""

    low: float
    median: float
    high: float


class Days(_Facts):
    """First and last day (UTC)."""

    first: date
    last: date


class Intake(_Facts):
    """How the contributions ended that had been made until the version was frozen, whatever its cut."""

    n_contributions: int
    n_accepted: int
    """Images."""
    n_known: int
    """Images whose very pixels had been accepted before."""
    n_quarantined: int
    """Images that still stood in quarantine."""
    n_whole: int
    """Contributions that still stood in quarantine as a whole, whose images were not counted."""
    by_reason: dict[str, int]
    """Items in quarantine, images and whole contributions, by reason code."""

    @property
    def quarantine_rate(self) -> float | None:
        """Share of the images that stood in quarantine, 0 to 1; None where there was no image."""
        n_images = self.n_accepted + self.n_known + self.n_quarantined
        return self.n_quarantined / n_images if n_images else None


class Duplicates(_Facts):
    """Pictures that turned up under two patients or studies."""

    n_exact: int
    n_near: int
    n_for_review: int
    """Pairs whose labels contradict each other."""
    n_groups: int
    """Patients or studies that have such a picture; each pair is kept in one split."""
    n_left_out: int
    """Images left out because their double stands in another split."""


class DataCard(_Facts):
    """Everything that the data card of one version states."""

    ladnn_version: str
    version: DatasetVersion
    counts: dict[Part, dict[Diagnosis, Count]]
    """The data table of the paper."""
    patients: dict[Part, int]
    """A patient with images of both diagnoses is counted once here and twice in `counts`."""
    lesions_per_positive: dict[Part, tuple[int, ...]]
    """Positive images by number of recorded lesions, 0 to 5 (paper, figure 3a)."""
    concordance: dict[str, dict[str, int]]
    """Positive images that show both lesions; on the diagonal, those that show the one (paper, figure 3b)."""
    negatives_by_source: dict[str, int]
    """Images (paper, figure 3c, which knows sub-diagnoses)."""
    labels: dict[str, LabelFacts]
    read_by: dict[str, int]
    """Known and uncertain labels by extractor with version, or by who annotated or overrode them."""
    by_diagnosis: dict[str, dict[str, dict[Diagnosis, int]]]
    """Images by source, site, file format and colour mode, each by diagnosis."""
    group_basis: dict[str, int]
    """What a patient of the split is known by: patient, study or near-duplicate; groups."""
    missing: dict[str, int]
    """Images that lack a patient, an age, a sex, a report, a date of examination or acquisition attributes."""
    sexes: dict[str, int]
    age_y: Range | None
    width_px: Range
    height_px: Range
    file_bytes: Range
    contributed: Days
    studied: Days | None
    intake: Intake
    duplicates: Duplicates
    unknown: tuple[str, ...]
    """What is not known, in sentences."""
    one_sided: tuple[str, ...]
    """What gives the diagnosis away without the disease, in sentences."""


def rate(part: int, whole: int) -> str:
    """Return a share for people, such as `12.3 %`; n/a of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "n/a"


def by_size(counts: Mapping[str, int | Mapping[Any, int]]) -> list[tuple[str, Any]]:
    """Return counts, or tables of counts, by name, the largest first; JSON keeps names in another order."""

    def size(count: int | Mapping[Any, int]) -> int:
        return count if isinstance(count, int) else sum(count.values())

    return sorted(counts.items(), key=lambda item: (-size(item[1]), item[0]))
