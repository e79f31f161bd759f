"""What intake leaves behind: one record an accepted image, one reason a quarantined one, one outcome a contribution."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.labels import Label

OUTCOMES = "intake/"


class Record(BaseModel):
    """An accepted image. It holds pseudonyms and keys, no identifier and no report text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    """Digest of the canonical pixels; key of the image."""
    group: str
    """Pseudonym of the patient, or of the study where the patient is unknown; never split up."""
    group_basis: Literal["patient", "study"]
    contribution: str
    position: int
    """Position in the study, from 1."""
    site: str
    source: str
    synthetic: bool
    contributed_on: date
    age_y: int | None
    sex: Literal["F", "M"] | None
    width_px: int
    height_px: int
    original_format: str
    original_mode: str
    n_bytes: int
    """Size of the contributed file."""
    report_key: str | None
    requested_split: Literal["train", "validation"] | None
    labels: dict[str, Label]


class Quarantined(BaseModel):
    """An image that was set aside, or a whole contribution where `position` is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contribution: str
    position: int | None
    """Position in the study, from 1; file names may hold identifiers and stay in the inbox."""
    reason: str
    detail: str

    def __str__(self) -> str:
        where = "whole" if self.position is None else f"image {self.position}"
        return f"contribution {self.contribution}, {where}: {self.reason}: {self.detail}"


class Outcome(BaseModel):
    """How a contribution ended; written once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contribution: str
    accepted: tuple[Record, ...]
    quarantined: tuple[Quarantined, ...]


def image_key(digest: str) -> str:
    """Key of a canonical image."""
    return f"images/{digest[:2]}/{digest}.png"
