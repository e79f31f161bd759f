"""Labels after intake: which layer holds, what the log keeps, and that no writer loses a change."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, Literal

import pytest
from factories import keep_records, make_record
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ladnn.errors import LabelChangeError
from ladnn.intake.label_changes import (
    LabelChange,
    accepted_records,
    current_labels,
    find_record,
    labelled,
    override,
    read_changes,
    reading,
    record_changes,
    withdrawal,
)
from ladnn.intake.record import Record
from ladnn.labels import Label
from ladnn.store import ObjectStore

CODES = ("covid", "GGO")


def from_report(value: Literal[0, 1] | None, by: str = "rules/1", **values: Any) -> Label:
    return Label(value=value, source="report", by=by, **values)


def record_with(labels: dict[str, Label]) -> Record:
    return make_record("p").model_copy(update={"labels": labels})


def person(
    record: Record, code: str, value: Literal[0, 1] | None, by: str = "dr-a", reason: str = "seen"
) -> LabelChange:
    return override(record.image, code, value, by=by, reason=reason)


def take_back(record: Record, code: str, reason: str = "was wrong") -> LabelChange:
    return withdrawal(record.image, code, by="dr-b", reason=reason)


def values(record: Record) -> dict[str, int | None]:
    return {code: label.value for code, label in record.labels.items()}


def after(record: Record, *changes: LabelChange) -> Record:
    (changed,) = current_labels([record], changes)
    return changed


def test_an_override_wins_over_annotation_and_report_and_keeps_who_made_it() -> None:
    record = record_with({"covid": Label(value=1, source="annotation", by="dr-x"), "GGO": from_report(1)})
    changed = after(record, person(record, "covid", 0), person(record, "GGO", 0))
    assert values(changed) == {"covid": 0, "GGO": 0}
    assert {(label.source, label.by) for label in changed.labels.values()} == {("override", "dr-a")}


def test_the_latest_override_wins_and_can_make_a_label_unknown() -> None:
    record = record_with({"covid": from_report(1)})
    changed = after(record, person(record, "covid", 0), person(record, "covid", None, by="dr-b"))
    assert changed.labels["covid"] == Label(value=None, source="override", by="dr-b")


def test_a_withdrawn_override_gives_back_what_was_before_also_where_nothing_was() -> None:
    record = record_with({"covid": from_report(1, span=(3, 8))})
    changed = after(
        record,
        person(record, "covid", 0),
        person(record, "GGO", 1),
        take_back(record, "covid"),
        take_back(record, "GGO"),
    )
    assert changed == record


def test_a_report_read_again_replaces_the_report_but_not_an_annotation() -> None:
    record = record_with({"covid": Label(value=1, source="annotation", by="dr-x"), "GGO": from_report(1)})
    again = [reading(record.image, code, from_report(0, by="rules/2"), by="dr-a", reason="new rules") for code in CODES]
    changed = after(record, *again)
    assert changed.labels["covid"].source == "annotation"
    assert changed.labels["GGO"] == from_report(0, by="rules/2")


def test_a_label_that_the_report_no_longer_mentions_is_unknown() -> None:
    record = record_with({"covid": from_report(1), "GGO": from_report(1)})
    changed = after(record, reading(record.image, "GGO", None, by="dr-a", reason="new rules"))
    assert values(changed) == {"covid": 1}


def test_a_withdrawal_gives_back_what_was_read_meanwhile() -> None:
    record = record_with({"GGO": from_report(1)})
    again = reading(record.image, "GGO", from_report(0, by="rules/2"), by="dr-a", reason="new rules")
    changed = after(record, person(record, "GGO", 1), again, take_back(record, "GGO"))
    assert changed.labels["GGO"] == from_report(0, by="rules/2")


report_labels = st.builds(from_report, st.sampled_from([0, 1, None]), by=st.sampled_from(["rules/1", "rules/2"]))
overrides = st.builds(
    Label, value=st.sampled_from([0, 1, None]), source=st.just("override"), by=st.sampled_from(["dr-a", "dr-b"])
)
annotations = st.builds(Label, value=st.sampled_from([0, 1]), source=st.just("annotation"), by=st.just("dr-x"))


@st.composite
def changes_of(draw: st.DrawFn, image: str) -> LabelChange:
    source: Literal["override", "report"] = draw(st.sampled_from(["override", "report"]))
    label = draw(st.none() | (overrides if source == "override" else report_labels))
    return LabelChange(
        image=image, code=draw(st.sampled_from(CODES)), source=source, label=label, by="dr-a", reason="because"
    )


@st.composite
def records_and_changes(draw: st.DrawFn) -> tuple[Record, list[LabelChange]]:
    record = record_with(draw(st.dictionaries(st.sampled_from(CODES), report_labels | annotations)))
    return record, draw(st.lists(changes_of(record.image), max_size=12))


def expected(record: Record, changes: list[LabelChange], code: str) -> Label | None:
    """Said once more, another way: look back from the end."""
    mine = [change for change in reversed(changes) if change.code == code]
    by_person = next((change.label for change in mine if change.source == "override"), None)
    read = next((change for change in mine if change.source == "report"), None)
    at_intake = record.labels.get(code)
    if by_person is not None:
        return by_person
    if at_intake is not None and at_intake.source == "annotation":
        return at_intake
    return at_intake if read is None else read.label


@given(records_and_changes())
def test_override_beats_annotation_beats_report_and_the_latest_of_a_layer_holds(
    case: tuple[Record, list[LabelChange]],
) -> None:
    record, changes = case
    changed = after(record, *changes)
    assert {code: changed.labels.get(code) for code in CODES} == {
        code: expected(record, changes, code) for code in CODES
    }


@given(records_and_changes())
def test_changes_of_different_layers_may_come_in_any_order(case: tuple[Record, list[LabelChange]]) -> None:
    record, changes = case
    by_layer = sorted(changes, key=lambda change: (change.code, change.source))  # a stable sort
    assert after(record, *changes).labels == after(record, *by_layer).labels


@given(records_and_changes())
def test_changes_of_one_image_leave_the_others_alone(case: tuple[Record, list[LabelChange]]) -> None:
    _, changes = case
    other = make_record("other")
    assert current_labels([other], changes) == [other]


@given(records_and_changes())
def test_withdrawing_every_override_leaves_intake_and_report(case: tuple[Record, list[LabelChange]]) -> None:
    record, changes = case
    readings_only = [change for change in changes if change.source == "report"]
    withdrawn = [*changes, *(take_back(record, code) for code in CODES)]
    assert after(record, *withdrawn).labels == after(record, *readings_only).labels


def test_recorded_changes_hold_for_whoever_reads_the_store(store: ObjectStore) -> None:
    record = record_with({"GGO": from_report(1)})
    keep_records(store, [record, make_record("q")])
    change = person(record, "GGO", 0)
    assert record_changes(store, [change]) == [change]
    assert read_changes(store) == [change]
    assert [values(r) for r in labelled(accepted_records(store), store)] == [{"GGO": 0}, {"covid": 1}]


def test_the_same_change_again_writes_nothing_but_another_one_does(file_store: ObjectStore) -> None:
    record = make_record("p")
    record_changes(file_store, [person(record, "GGO", 0)])
    assert record_changes(file_store, [person(record, "GGO", 0)]) == []
    assert len(list(file_store.list("label-changes/"))) == 1
    assert record_changes(file_store, [person(record, "GGO", 0, by="dr-b")])
    assert record_changes(file_store, [person(record, "GGO", 0)])  # no repetition: it is not the latest
    assert len(read_changes(file_store)) == 3


def test_withdrawing_what_is_not_overridden_writes_nothing(file_store: ObjectStore) -> None:
    record = make_record("p")
    assert record_changes(file_store, [take_back(record, "GGO")]) == []
    record_changes(file_store, [person(record, "GGO", 1), take_back(record, "GGO")])
    assert record_changes(file_store, [take_back(record, "GGO", "again")]) == []


def test_writers_at_the_same_time_lose_no_change_and_repeat_none(store: ObjectStore) -> None:
    record = make_record("p")
    both = person(record, "covid", 0, reason="said by all")

    def write(number: int) -> None:
        for step in range(3):
            record_changes(store, [person(record, "GGO", 1, by=f"dr-{number}", reason=f"step {step}"), both])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    changes = read_changes(store)
    assert sorted((c.by, c.reason) for c in changes if c.code == "GGO") == sorted(
        (f"dr-{number}", f"step {step}") for number, step in product(range(4), range(3))
    )
    assert [c for c in changes if c.code == "covid"] == [both]


def test_a_change_without_person_reason_or_known_label_is_refused() -> None:
    with pytest.raises(LabelChangeError, match="--by"):
        override("a" * 64, "GGO", 1, by=" ", reason="seen")
    with pytest.raises(LabelChangeError, match="--reason"):
        withdrawal("a" * 64, "GGO", by="dr-a", reason="")
    with pytest.raises(ValidationError, match="no label code"):
        override("a" * 64, "ggo", 1, by="dr-a", reason="seen")
    with pytest.raises(ValidationError, match="no report"):
        reading("a" * 64, "GGO", Label(value=1, source="override", by="dr-a"), by="dr-a", reason="seen")


def test_an_image_is_found_by_the_beginning_of_its_digest_or_its_place() -> None:
    records = [make_record("p"), make_record("q"), make_record("q", 1, n_frames=2, frame=2, contribution="c/x")]
    assert find_record(records, records[0].image[:8]) == records[0]
    assert find_record(records, "c-q:1") == records[1]
    assert find_record(records, "c/x:2.2") == records[2]
    for wrong in ("", "zz", "c-q:2", "c/x:2"):
        with pytest.raises(LabelChangeError, match="no accepted image"):
            find_record(records, wrong)


def test_a_name_of_several_images_is_refused_with_the_names_that_would_do() -> None:
    records = [make_record("p", image="ab" + "0" * 62), make_record("q", image="ab" + "1" * 62)]
    with pytest.raises(LabelChangeError, match="2 images are named 'ab', such as ab000000, ab111111"):
        find_record(records, "ab")
