"""Reads a reviewed spreadsheet: every row with a new value becomes an override, or all of them none."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.errors import LabelChangeError, UnknownLabelError
from ladnn.intake.label_changes import (
    LabelChange,
    accepted_records,
    changes_by_image,
    current_labels,
    override,
    read_changes,
    record_changes,
    withdrawal,
)
from ladnn.intake.label_review import shown_value, unguarded
from ladnn.intake.record import Record
from ladnn.labels import label_code
from ladnn.store import ObjectStore

VALUES: dict[str, Literal[0, 1] | None] = {"1": 1, "0": 0, "unknown": None}
WITHDRAW = "withdraw"
_NEEDED = ("image", "label", "value", "new_value")
_DELIMITERS = ",;\t"
_NO_NOTE = "reviewed in a spreadsheet"
_MOST_NAMED = 20
_History = Mapping[str, Sequence[LabelChange]]
"""Changes by image."""


class ReviewImport(BaseModel):
    """What a reviewed spreadsheet came to."""

    model_config = ConfigDict(frozen=True)

    n_rows: int
    n_decided: int
    """Rows with a new value."""
    changes: tuple[LabelChange, ...]
    """What was recorded; decisions that were recorded before are not repeated."""


def decide(image: str, code: str, value: str, *, by: str, reason: str) -> LabelChange:
    """Return the change that a person asks for with 1, 0, unknown or withdraw.

    Raises:
        LabelChangeError: it is none of these, or nobody or no reason is named.
    """
    if value == WITHDRAW:
        return withdrawal(image, code, by=by, reason=reason)
    if value not in VALUES:
        raise LabelChangeError(f"{value!r} is no value of a label; give one of {', '.join([*VALUES, WITHDRAW])}")
    return override(image, code, VALUES[value], by=by, reason=reason)


def import_review(store: ObjectStore, path: Path, by: str) -> ReviewImport:
    """Record the decisions of a reviewed CSV file; the same file again changes nothing.

    Raises:
        LabelChangeError: the file cannot be read, or rows are wrong; all are named and nothing is recorded.
    """
    rows = _read(path)
    changes = read_changes(store)
    history = changes_by_image(changes)
    current = {record.image: record for record in current_labels(accepted_records(store), changes)}
    decisions: dict[tuple[str, str], LabelChange] = {}
    problems: list[str] = []
    for line, row in rows:
        if not row["new_value"]:
            continue
        try:
            change = _decision(row, current, history, by)
        except (LabelChangeError, UnknownLabelError) as error:
            problems.append(f"line {line}: {error}")
            continue
        if (change.image, change.code) in decisions:
            problems.append(f"line {line}: this image and label stand in another line, too; decide in one of them")
        decisions[change.image, change.code] = change
    if problems:
        raise LabelChangeError(_refusal(path, problems))
    # A decision that was recorded once and superseded since is not brought back by the same file.
    fresh = [change for change in decisions.values() if not _stands(change, history)]
    return ReviewImport(n_rows=len(rows), n_decided=len(decisions), changes=tuple(record_changes(store, fresh)))


def _refusal(path: Path, problems: Sequence[str]) -> str:
    named = "; ".join(problems[:_MOST_NAMED])
    more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
    return f"{path} was not imported, nothing is recorded: {named}{more}"


def _decision(row: Mapping[str, str], current: Mapping[str, Record], history: _History, by: str) -> LabelChange:
    """Return what a row decides; what somebody else decided meanwhile is not overwritten."""
    if row["image"] not in current:
        raise LabelChangeError(f"no accepted image has the digest {row['image']!r}; do not edit that column")
    value = row["new_value"].casefold()
    change = decide(row["image"], label_code(row["label"]), value, by=by, reason=row.get("note") or _NO_NOTE)
    present = shown_value(current[change.image].labels.get(change.code))
    if present not in {row["value"], value} and not _stands(change, history):
        raise LabelChangeError(
            f"{change.code} of image {change.image[:12]} is {present} by now, not {row['value']!r}; "
            "export again, or use `ladnn labels override`"
        )
    return change


def _stands(change: LabelChange, history: _History) -> bool:
    return any(change.repeats(old) for old in history.get(change.image, ()))


def _read(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows with the number of their last line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=header.count)  # a spreadsheet may save with that of its language
            reader = csv.DictReader(file, delimiter=delimiter, restval="", restkey="")
            missing = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
            if missing:
                raise LabelChangeError(f"{path} lacks the columns {', '.join(missing)}; export it with `ladnn labels`")
            return [
                (reader.line_num, {name: unguarded(cell.strip()) for name, cell in row.items() if name})
                for row in reader
            ]
    except OSError as error:
        raise LabelChangeError(f"cannot read {path}: {error.strerror}; name a file of `ladnn labels review`") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelChangeError(f"{path} is no CSV file in UTF-8 ({type(error).__name__}); save it as one") from error
