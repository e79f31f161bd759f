"""What became of labels after intake: an append-only log of overrides and re-extractions, and the labels that hold now.

A label has up to three layers: an override wins over an annotation, an annotation over the report. A change sets or
takes away one layer; records themselves never change.

    record_changes(store, [override(image, "GGO", 0, by="dr-a", reason="vessel, no opacity")])
    records = labelled(records, store)
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ladnn.accountability import check_accountable
from ladnn.errors import LabelChangeError
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.record import Record
from ladnn.labels import LABELS, Label
from ladnn.store import ObjectStore
from ladnn.store.log import append_entry, read_entries

Source = Literal["report", "annotation", "override"]
Layers = dict[Source, Label]
_LOG = "label-changes/"
_PRECEDENCE: tuple[Source, ...] = ("override", "annotation", "report")
_MOST_NAMED = 5


class LabelChange(BaseModel):
    """One layer of one label of one image, set or taken away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    """Digest of the canonical pixels."""
    code: str
    """One of `ladnn.labels.LABELS`."""
    source: Literal["override", "report"]
    """The layer."""
    label: Label | None
    """None takes the layer away: what lies under it holds again."""
    by: str
    reason: str
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    """UTC."""

    @model_validator(mode="after")
    def _check(self) -> "LabelChange":
        if self.code not in LABELS:
            raise ValueError(f"{self.code!r} is no label code")
        if self.label is not None and self.label.source != self.source:
            raise ValueError(f"a label from {self.label.source} is no {self.source}")
        return self

    def repeats(self, other: "LabelChange") -> bool:
        """Tell whether this says nothing that another change does not say, but for the time."""
        return self.model_dump(exclude={"at"}) == other.model_dump(exclude={"at"})


def override(image: str, code: str, value: Literal[0, 1] | None, *, by: str, reason: str) -> LabelChange:
    """Return a person's decision that a label is 1, 0 or unknown (None).

    Raises:
        LabelChangeError: nobody or no reason is named.
    """
    check_accountable(by, reason, "a change of a label", LabelChangeError)
    label = Label(value=value, source="override", by=by)
    return LabelChange(image=image, code=code, source="override", label=label, by=by, reason=reason)


def withdrawal(image: str, code: str, *, by: str, reason: str) -> LabelChange:
    """Return a person's decision that a label's override no longer holds.

    Raises:
        LabelChangeError: nobody or no reason is named.
    """
    check_accountable(by, reason, "a change of a label", LabelChangeError)
    return LabelChange(image=image, code=code, source="override", label=None, by=by, reason=reason)


def reading(image: str, code: str, label: Label | None, *, by: str, reason: str) -> LabelChange:
    """Return what the report says of a label when it is read again; None where it no longer says anything.

    Raises:
        LabelChangeError: nobody or no reason is named.
    """
    check_accountable(by, reason, "a change of a label", LabelChangeError)
    return LabelChange(image=image, code=code, source="report", label=label, by=by, reason=reason)


def record_changes(store: ObjectStore, changes: Sequence[LabelChange]) -> list[LabelChange]:
    """Append changes to the log as one entry, all or none, and return those that were new.

    A change that repeats the latest one of its layer is not new, nor is taking away an override that is not there.

    Raises:
        StoreError: other processes kept writing first.
    """
    new: list[LabelChange] = []

    def entry(before: list[Any]) -> dict[str, Any] | None:
        new[:] = _new_ones(_parsed(before), changes)
        return {"changes": [change.model_dump(mode="json") for change in new]} if new else None

    append_entry(store, _LOG, entry)
    return new


def read_changes(store: ObjectStore) -> list[LabelChange]:
    """Return all changes, oldest first."""
    return _parsed(read_entries(store, _LOG))


def layers_of(record: Record, changes: Iterable[LabelChange]) -> dict[str, Layers]:
    """Return the layers of a record's labels by label code; `changes` of other images are ignored."""
    layers: dict[str, Layers] = {code: {label.source: label} for code, label in record.labels.items()}
    for change in changes:
        if change.image == record.image:
            of_label = layers.setdefault(change.code, {})
            if change.label is None:
                of_label.pop(change.source, None)
            else:
                of_label[change.source] = change.label
    return layers


def current_labels(records: Iterable[Record], changes: Iterable[LabelChange]) -> list[Record]:
    """Return the records with the labels that hold after these changes, which are in the order of the log."""
    by_image = changes_by_image(changes)
    return [_changed(record, by_image[record.image]) if record.image in by_image else record for record in records]


def with_later_annotations(records: Iterable[Record], known: Iterable[Record]) -> list[Record]:
    """Return the records with the annotations that came later, with the same pixels of the same patient."""
    later: dict[tuple[str, str], dict[str, Label]] = {}
    for record in known:
        annotations = {code: label for code, label in record.labels.items() if label.source == "annotation"}
        later.setdefault((record.image, record.group), {}).update(annotations)
    return [
        record.model_copy(update={"labels": record.labels | added})
        if (added := later.get((record.image, record.group)))
        else record
        for record in records
    ]


def labelled(records: Iterable[Record], store: ObjectStore) -> list[Record]:
    """Return the records with the labels that hold now: what freezing takes."""
    return current_labels(records, read_changes(store))


def changes_by_image(changes: Iterable[LabelChange]) -> dict[str, list[LabelChange]]:
    """Return the changes of each image, in order."""
    by_image: dict[str, list[LabelChange]] = {}
    for change in changes:
        by_image.setdefault(change.image, []).append(change)
    return by_image


def accepted_records(store: ObjectStore) -> list[Record]:
    """Return every accepted image as intake left it."""
    return [record for outcome in read_outcomes(store) for record in outcome.accepted]


def place_of(record: Record) -> str:
    """Return where an image came from, such as `t20261123-hospital-a-0123456789abcdef:2`, or `…:2.1` for a frame."""
    frame = f".{record.frame}" if record.n_frames > 1 else ""
    return f"{record.contribution}:{record.position}{frame}"


def find_record(records: Iterable[Record], name: str) -> Record:
    """Return the image that is named by the beginning of its digest or by its place.

    Raises:
        LabelChangeError: none or several are.
    """
    found = [record for record in records if name and (record.image.startswith(name) or place_of(record) == name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise LabelChangeError(
            f"no accepted image is named {name!r}; give the beginning of its digest, or its contribution and position "
            "as CONTRIBUTION:POSITION (CONTRIBUTION:POSITION.FRAME in a file of several frames)"
        )
    named = ", ".join(record.image[: len(name) + 6] for record in found[:_MOST_NAMED])
    raise LabelChangeError(f"{len(found)} images are named {name!r}, such as {named}; give more characters")


def _parsed(entries: Iterable[Any]) -> list[LabelChange]:
    return [LabelChange.model_validate(change) for entry in entries for change in entry["changes"]]


def _new_ones(known: Iterable[LabelChange], changes: Iterable[LabelChange]) -> list[LabelChange]:
    latest = {(change.image, change.code, change.source): change for change in known}
    new = []
    for change in changes:
        place = (change.image, change.code, change.source)
        before = latest.get(place)
        bare = change.source == "override" and change.label is None and (before is None or before.label is None)
        if not bare and (before is None or not change.repeats(before)):
            latest[place] = change
            new.append(change)
    return new


def _changed(record: Record, changes: Iterable[LabelChange]) -> Record:
    layers = layers_of(record, changes)
    labels = {code: label for code in LABELS if (label := _winner(layers.get(code, {}))) is not None}
    return record.model_copy(update={"labels": labels})


def _winner(layers: Layers) -> Label | None:
    return next((layers[source] for source in _PRECEDENCE if source in layers), None)
