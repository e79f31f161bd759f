"""Reads kept reports again with the present extractor and says which labels flip; the change is the caller's to record."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.intake.catalogue import read_report_text
from ladnn.intake.label_changes import LabelChange, Layers, changes_by_image, layers_of, reading
from ladnn.intake.record import Record, report_part
from ladnn.intake.reports.extract import EXTRACTOR, read_report
from ladnn.labels import LABELS, Label
from ladnn.progress import Steps, no_steps
from ladnn.store import ObjectStore

Stated = Literal["present", "absent", "left open", "not mentioned"]


class Flip(BaseModel):
    """A label of which the report says something else when it is read again."""

    model_config = ConfigDict(frozen=True)

    image: str
    code: str
    before: Stated
    after: Stated
    overridden: bool
    """A person's decision stands above it, so that the label that holds does not change."""
    label: Label | None
    """What is read now."""


class Reextraction(BaseModel):
    """What reading all reports again came to."""

    model_config = ConfigDict(frozen=True)

    extractor: str
    n_images: int
    n_reports: int
    """Images that have a report; several may share one."""
    flips: tuple[Flip, ...]


def reextract(
    store: ObjectStore, records: Sequence[Record], changes: Iterable[LabelChange], on_step: Steps = no_steps
) -> Reextraction:
    """Read the reports of accepted images again; nothing is written.

    Where an image is annotated, the report does not count and is not asked.

    Raises:
        ObjectNotFoundError: a report is missing from the store.
    """
    by_image = changes_by_image(changes)
    flips: list[Flip] = []
    for done, record in enumerate(records, start=1):
        text = read_report_text(store, record)
        if text is not None:
            flips += _flips(record, layers_of(record, by_image.get(record.image, ())), text)
        on_step(done, len(records))
    n_reports = sum(record.report is not None for record in records)
    return Reextraction(extractor=EXTRACTOR, n_images=len(records), n_reports=n_reports, flips=tuple(flips))


def readings(result: Reextraction, by: str) -> list[LabelChange]:
    """Return the changes that make the flips hold.

    Raises:
        LabelChangeError: nobody is named.
    """
    reason = f"reports read again by {result.extractor}"
    return [reading(flip.image, flip.code, flip.label, by=by, reason=reason) for flip in result.flips]


def _flips(record: Record, layers: dict[str, Layers], text: str) -> list[Flip]:
    # As intake names the part of a caption that an image is.
    now = read_report(text, report_part(record.panel, record.day))
    flips = []
    for code in LABELS:
        of_label = layers.get(code, {})
        before, after = _stated(of_label.get("report")), _stated(now.get(code))
        if "annotation" not in of_label and before != after:
            flips.append(
                Flip(
                    image=record.image,
                    code=code,
                    before=before,
                    after=after,
                    overridden="override" in of_label,
                    label=now.get(code),
                )
            )
    return flips


def _stated(label: Label | None) -> Stated:
    if label is None:
        return "not mentioned"
    return "left open" if label.value is None else "present" if label.value else "absent"
