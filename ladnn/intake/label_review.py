"""Review of uncertain labels in a spreadsheet: which labels a person should look at first, and their decisions back.

Cells that a spreadsheet would run as formulas are guarded with an apostrophe (OWASP, "CSV Injection",
https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ladnn.errors import LabelChangeError
from ladnn.intake.catalogue import read_outcomes, read_report_text
from ladnn.intake.label_changes import current_labels, place_of, read_changes
from ladnn.intake.record import Outcome, Record
from ladnn.labels import DIAGNOSIS, LABELS, Label
from ladnn.progress import Steps, no_steps
from ladnn.store import ObjectStore

COLUMNS = ("image", "contribution", "position", "label", "value", "source", "doubt", "why", "text", "new_value", "note")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MOST_CHARACTERS = 32_000
"""A spreadsheet cell holds 32,767 ("Excel specifications and limits")."""
_DIGEST = 12
"""Characters of a digest that people are shown."""
_Conflicts = dict[tuple[str, str], list[str]]
"""What contradicts a label, by image and label code."""


class ReviewItem(BaseModel):
    """A label that a person should look at."""

    model_config = ConfigDict(frozen=True)

    record: Record
    code: str
    label: Label | None
    """None where nothing is said of it."""
    conflicts: tuple[str, ...]
    """What contradicts it, in plain words."""

    @property
    def why(self) -> str:
        """Why it is to be looked at, in plain words."""
        label = self.label
        marks = ("uncertain", "negated", "historical")
        named = [mark for mark in marks if label is not None and getattr(label, mark)]
        doubt = [f"doubtful wording{' (' + ', '.join(named) + ')' if named else ''}"] if _doubt(label) else []
        unknown = ["the diagnosis is unknown"] if self.code == DIAGNOSIS and _value(label) is None else []
        return "; ".join([*doubt, *self.conflicts, *unknown])


def review_items(store: ObjectStore) -> list[ReviewItem]:
    """Return the labels worth a person's look: by doubt, then contradicted ones, then unknown diagnoses.

    What a person has decided by an override is not asked again.
    """
    outcomes = list(read_outcomes(store))
    records = current_labels((r for outcome in outcomes for r in outcome.accepted), read_changes(store))
    conflicts = _conflicts(outcomes, {record.image: record for record in records})
    items = [
        ReviewItem(
            record=record,
            code=code,
            label=record.labels.get(code),
            conflicts=tuple(conflicts.get((record.image, code), ())),
        )
        for record in records
        for code in LABELS
    ]
    wanted = [item for item in items if item.why and (item.label is None or item.label.source != "override")]
    return sorted(wanted, key=lambda item: (-_doubt(item.label), not item.conflicts, place_of(item.record)))


def export_review(
    store: ObjectStore, items: Sequence[ReviewItem], path: Path, *, with_text: bool, on_step: Steps = no_steps
) -> None:
    """Write labels to a new CSV file that only its owner can read; with the report's text only where asked for.

    Raises:
        LabelChangeError: the file exists, as it may hold decisions, or cannot be written.
        ObjectNotFoundError: a report is missing from the store.
    """
    columns = [column for column in COLUMNS if with_text or column != "text"]
    rows = []
    for done, item in enumerate(items, start=1):
        text = (read_report_text(store, item.record) or "") if with_text else ""
        rows.append({column: _guarded(cell) for column, cell in _cells(item, text).items() if column in columns})
        on_step(done, len(items))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise LabelChangeError(f"{path} exists and may hold decisions; import or remove it, or name another") from error
    except OSError as error:
        raise LabelChangeError(f"cannot write {path}: {error.strerror}; name another file") from error
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:  # spreadsheets need the mark
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def shown_value(label: Label | None) -> str:
    """Return 1, 0 or unknown."""
    return "unknown" if _value(label) is None else str(_value(label))


def unguarded(cell: str) -> str:
    """Return a cell as it was before it was guarded."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS) else cell


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _cells(item: ReviewItem, text: str) -> dict[str, str]:
    record, label = item.record, item.label
    return {
        "image": record.image,
        "contribution": record.contribution,
        "position": place_of(record).rpartition(":")[2],
        "label": item.code,
        "value": shown_value(label),
        "source": "" if label is None else label.source,
        "doubt": f"{_doubt(label):.2f}",
        "why": item.why,
        "text": text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} […]",
        "new_value": "",
        "note": "",
    }


def _conflicts(outcomes: Iterable[Outcome], current: Mapping[str, Record]) -> _Conflicts:
    conflicts: _Conflicts = {}
    for image, other, words in _pairs(outcomes, current):
        for code in LABELS:
            values = _value(current[image].labels.get(code)), _value(other.labels.get(code))
            if set(values) == {0, 1}:
                conflicts.setdefault((image, code), []).append(f"{words} and has {values[1]}")
    return conflicts


def _pairs(outcomes: Iterable[Outcome], current: Mapping[str, Record]) -> Iterator[tuple[str, Record, str]]:
    """Yield an accepted image, a record that shows the same picture, and how to speak of it."""
    for outcome in outcomes:
        for record in outcome.known:
            if record.image in current:
                yield record.image, record, f"{place_of(record)} has the same pixels"
        for link in outcome.links:
            if link.kind == "near" and {link.image, link.known_image} <= current.keys():
                for image, other in ((link.image, link.known_image), (link.known_image, link.image)):
                    yield image, current[other], f"image {other[:_DIGEST]} looks the same"


def _value(label: Label | None) -> int | None:
    return None if label is None else label.value


def _doubt(label: Label | None) -> float:
    return 0.0 if label is None else label.doubt
