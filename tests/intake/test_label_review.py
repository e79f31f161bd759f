"""Review in a spreadsheet: the order of doubt, a file that keeps secrets, and decisions that come back whole or not."""

import csv
import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import keep_outcomes, keep_records, make_record
from hypothesis import given
from hypothesis import strategies as st

from ladnn.errors import LabelChangeError
from ladnn.intake.catalogue import append_batch
from ladnn.intake.label_changes import (
    accepted_records,
    labelled,
    override,
    read_changes,
    record_changes,
    withdrawal,
)
from ladnn.intake.label_review import export_review, review_items, unguarded
from ladnn.intake.record import Link, Outcome, Record
from ladnn.intake.review_decisions import import_review
from ladnn.labels import Label
from ladnn.store import ObjectStore

TEXT = "=HYPERLINK(1) Possible ground-glass opacities.\nSecond line."


def doubted(value: int | None, doubt: float) -> Label:
    wording = {"value": value, "source": "report", "by": "rules/1", "doubt": doubt, "uncertain": True}
    return Label.model_validate(wording)


def with_labels(group: str, labels: dict[str, Label], **values: object) -> Record:
    return make_record(group, **values).model_copy(update={"labels": labels})


def export(store: ObjectStore, path: Path, *, with_text: bool = False) -> list[dict[str, str]]:
    export_review(store, review_items(store), path, with_text=with_text)
    return rows_of(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(path: Path, decide: Callable[[dict[str, str]], str], note: str = "looked", delimiter: str = ",") -> None:
    rows = [row | {"new_value": decide(row), "note": note} for row in rows_of(path)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def current(store: ObjectStore) -> dict[tuple[str, str], int | None]:
    records = labelled(accepted_records(store), store)
    return {(record.group, code): label.value for record in records for code, label in record.labels.items()}


@pytest.fixture
def uncertain(file_store: ObjectStore) -> ObjectStore:
    """Two doubtful labels of p, a contradiction between q and r, an unknown diagnosis of u, nothing about s."""
    p = with_labels("p", {"covid": doubted(1, 0.3), "GGO": doubted(None, 0.9)})
    q, r = make_record("q", labels={"covid": 1, "GGO": 1}), make_record("r", labels={"covid": 0, "GGO": 1})
    u, s = make_record("u", labels={"Csld": 1}), make_record("s")
    link = Link(kind="near", image=r.image, group="r", known_image=q.image, known_group="q")
    keep_records(file_store, [s, u, q, r, p], links=[link])
    return file_store


def test_the_most_doubtful_come_first_then_contradictions_then_unknown_diagnoses(uncertain: ObjectStore) -> None:
    found = [(item.record.group, item.code) for item in review_items(uncertain)]
    assert found == [("p", "GGO"), ("p", "covid"), ("q", "covid"), ("r", "covid"), ("u", "covid")]


def test_each_label_says_why_it_is_to_be_looked_at(uncertain: ObjectStore) -> None:
    why = {(item.record.group, item.code): item.why for item in review_items(uncertain)}
    assert why["p", "GGO"] == "doubtful wording (uncertain)"
    assert why["q", "covid"] == f"image {make_record('r').image[:12]} looks the same and has 0"
    assert why["u", "covid"] == "the diagnosis is unknown"


def test_the_same_pixels_with_another_label_are_a_contradiction(file_store: ObjectStore) -> None:
    first = make_record("p", labels={"covid": 1})
    again = make_record("p", labels={"covid": 0}, contribution="c-later")
    outcomes = [
        Outcome(contribution="c-p", accepted=(first,), quarantined=()),
        Outcome(contribution="c-later", accepted=(), known=(again,), quarantined=()),
    ]
    keep_outcomes(file_store, outcomes)
    assert [item.why for item in review_items(file_store)] == ["c-later:1 has the same pixels and has 0"]


def test_what_a_person_decided_is_not_asked_again(uncertain: ObjectStore) -> None:
    image = make_record("p").image
    record_changes(uncertain, [override(image, "GGO", None, by="dr-a", reason="cannot be told")])
    assert ("p", "GGO") not in {(item.record.group, item.code) for item in review_items(uncertain)}


def test_the_file_is_for_its_owner_only_and_holds_no_text_unless_asked(uncertain: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    rows = export(uncertain, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "text" not in rows[0]
    assert rows[0]["image"] == make_record("p").image
    assert (rows[0]["contribution"], rows[0]["position"]) == ("c-p", "1")
    assert [rows[0][name] for name in ("label", "value", "source", "doubt")] == ["GGO", "unknown", "report", "0.90"]
    assert (rows[0]["new_value"], rows[0]["note"]) == ("", "")


def test_text_is_written_where_asked_and_never_as_a_formula(file_store: ObjectStore, tmp_path: Path) -> None:
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    record = with_labels("p", {"covid": doubted(None, 0.5)}, report=digest)
    append_batch(file_store, 1, [Outcome(contribution="c-p", accepted=(record,), quarantined=())], {digest: TEXT})
    (row,) = export(file_store, tmp_path / "review.csv", with_text=True)
    assert row["text"] == f"'{TEXT}"
    assert unguarded(row["text"]) == TEXT


@given(st.text(max_size=5))
def test_only_a_guard_is_taken_off(text: str) -> None:
    assert unguarded(text) in {text, text[1:]}
    assert unguarded(f"'={text}") == f"={text}"


def test_an_export_never_overwrites_decisions(uncertain: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    export(uncertain, path)
    with pytest.raises(LabelChangeError, match="may hold decisions"):
        export(uncertain, path)
    with pytest.raises(LabelChangeError, match="cannot write"):
        export(uncertain, tmp_path / "no-such-folder" / "review.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_new_values_become_overrides_and_empty_ones_nothing(
    uncertain: ObjectStore, tmp_path: Path, delimiter: str
) -> None:
    path = tmp_path / "review.csv"
    export(uncertain, path)
    fill_in(path, lambda row: {"GGO": "1", "covid": ""}[row["label"]], "=seen", delimiter)
    result = import_review(uncertain, path, "dr-a")
    assert (result.n_rows, result.n_decided, len(result.changes)) == (5, 1, 1)
    assert (result.changes[0].reason, result.changes[0].by) == ("=seen", "dr-a")
    assert current(uncertain)["p", "GGO"] == 1


def test_importing_twice_changes_nothing_not_even_what_was_decided_since(
    uncertain: ObjectStore, tmp_path: Path
) -> None:
    path = tmp_path / "review.csv"
    export(uncertain, path)
    fill_in(path, lambda row: "0" if row["label"] == "covid" else "Unknown")
    assert len(import_review(uncertain, path, "dr-a").changes) == 5
    before = current(uncertain)
    assert import_review(uncertain, path, "dr-a").changes == ()
    assert current(uncertain) == before
    record_changes(uncertain, [override(make_record("p").image, "covid", 1, by="dr-b", reason="second look")])
    assert import_review(uncertain, path, "dr-a").changes == ()
    assert current(uncertain)["p", "covid"] == 1


def test_a_decision_made_after_the_export_is_not_overwritten(uncertain: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    export(uncertain, path)
    fill_in(path, lambda row: "0")
    record_changes(uncertain, [override(make_record("p").image, "GGO", 1, by="dr-b", reason="seen")])
    with pytest.raises(LabelChangeError, match="is 1 by now, not 'unknown'"):
        import_review(uncertain, path, "dr-a")


def test_a_withdrawal_can_come_from_a_file(uncertain: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    image = make_record("s").image
    record_changes(uncertain, [override(image, "covid", 0, by="dr-a", reason="seen")])
    path.write_text(f"image,label,value,new_value\n{image},covid,0,withdraw\n")
    import_review(uncertain, path, "dr-b")
    import_review(uncertain, path, "dr-b")
    assert current(uncertain)["s", "covid"] == 1
    assert [
        change.repeats(withdrawal(image, "covid", by="dr-b", reason="reviewed in a spreadsheet"))
        for change in read_changes(uncertain)
    ] == [False, True]


def test_all_wrong_rows_are_named_at_once_and_nothing_is_recorded(uncertain: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    image = make_record("p").image
    lines = [
        "image,label,value,new_value,note",
        f"{image},GGO,unknown,1,good",
        f"{image},GGO,unknown,0,twice",
        f"{image},covid,1,perhaps,",
        f"{image},measles,1,1,",
        "1e5,covid,1,1,",
        f"{image},Csld,unknown,,not decided",
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(LabelChangeError) as caught:
        import_review(uncertain, path, "dr-a")
    message = str(caught.value)
    assert all(f"line {number}: " in message for number in (3, 4, 5, 6))
    assert "line 2: " not in message
    assert "line 7: " not in message
    assert read_changes(uncertain) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "lacks the columns"), (b"image,label\n", "value, new_value"), (b"image,\xff\n", "UTF-8")],
)
def test_what_is_no_reviewed_file_is_refused(
    file_store: ObjectStore, tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes(content)
    with pytest.raises(LabelChangeError, match=complaint):
        import_review(file_store, path, "dr-a")
    with pytest.raises(LabelChangeError, match="cannot read"):
        import_review(file_store, tmp_path / "other.csv", "dr-a")
