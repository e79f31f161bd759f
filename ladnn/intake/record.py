"""What intake leaves behind: a record an accepted image, a reason a quarantined one, an outcome a contribution."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.errors import ImageRejectedError
from ladnn.labels import Label


class Record(BaseModel):
    """An accepted image. It holds pseudonyms and keys, no identifier and no report text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    """Digest of the canonical pixels; key of the image."""
    fingerprint: str
    """Perceptual hashes of 64 and 256 bits, hexadecimal: alike in pictures that look alike."""
    group: str
    """Pseudonym of the patient, or of the study where the patient is unknown; never split up."""
    group_basis: Literal["patient", "study"]
    study: str
    """Pseudonym of the study."""
    contribution: str
    position: int
    """Position of the file in the study, from 1."""
    frame: int
    """Frame of the file, from 1."""
    n_frames: int
    """Frames of the file."""
    panel: str | None
    """Which part of a multi-part caption this image is."""
    day: int | None
    """Day of the illness."""
    site: str
    source: str
    synthetic: bool
    contributed_on: date
    studied_on: date | None
    age_y: int | None
    sex: Literal["F", "M"] | None
    width_px: int
    height_px: int
    original_format: str
    original_mode: str
    n_bytes: int
    """Size of the contributed file."""
    changes: tuple[str, ...]
    """What decoding changed, in plain words."""
    acquisition: dict[str, str | float | int]
    """Technical DICOM attributes; empty for other formats."""
    report: str | None
    """Digest of the report's text; the text lies with the other reports of its batch."""
    requested_split: Literal["train", "validation"] | None
    labels: dict[str, Label]
    """By label code; an unknown label stands here only where something was said of it."""


class Link(BaseModel):
    """Two groups that are one patient's, as far as can be told: they are kept in one split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["exact", "near", "study"]
    """Equal pixels, pictures that look the same, or one study under two names."""
    image: str
    """The newcomer."""
    group: str
    known_image: str
    known_group: str


class Quarantined(BaseModel):
    """An image that was set aside, or a whole contribution where `position` is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contribution: str
    position: int | None
    """Position in the study, from 1; file names may hold identifiers and stay in the inbox."""
    frame: int | None = None
    """Frame of the file, from 1, where it has several."""
    reason: str
    detail: str

    @property
    def item(self) -> str:
        """Name of what was set aside, such as `t20261123-hospital-a-0123456789abcdef:2`."""
        place = "" if self.position is None else f":{self.position}"
        return f"{self.contribution}{place}" + ("" if self.frame is None else f".{self.frame}")

    def __str__(self) -> str:
        where = "whole" if self.position is None else f"image {self.position}"
        where += "" if self.frame is None else f", frame {self.frame}"
        return f"contribution {self.contribution}, {where}: {self.reason}: {self.detail}"


class Outcome(BaseModel):
    """How a contribution ended, or what a release from quarantine added to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contribution: str
    accepted: tuple[Record, ...]
    known: tuple[Record, ...] = ()
    """Images whose very pixels had been accepted before; kept for their labels, not accepted twice."""
    quarantined: tuple[Quarantined, ...]
    links: tuple[Link, ...] = ()


def set_aside(
    contribution: str, rejection: ImageRejectedError, position: int | None = None, frame: int | None = None
) -> Quarantined:
    """Return the quarantine entry of a rejection."""
    return Quarantined(
        contribution=contribution, position=position, frame=frame, reason=rejection.reason, detail=str(rejection)
    )


def report_part(panel: str | None, day: int | None) -> str | None:
    """Return which part of a report speaks of an image, as far as its contributor said so."""
    return panel or (None if day is None else f"day {day}")


def image_key(digest: str) -> str:
    """Key of a canonical image."""
    return f"images/{digest[:2]}/{digest}.png"
