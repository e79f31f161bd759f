"""Reading kept reports again: which labels flip, which do not, and that nothing changes by itself."""

import hashlib

import pytest
from factories import make_record

from ladnn.errors import ObjectNotFoundError
from ladnn.intake.catalogue import append_batch
from ladnn.intake.label_changes import accepted_records, labelled, override, read_changes, record_changes
from ladnn.intake.record import Outcome, Record
from ladnn.intake.reextraction import Reextraction, readings, reextract
from ladnn.intake.reports.extract import EXTRACTOR
from ladnn.labels import Label
from ladnn.store import ObjectStore

REPORT = "Ground-glass opacities in both lungs. No consolidation. RT-PCR positive for SARS-CoV-2."


def old(value: int | None) -> Label:
    return Label.model_validate({"value": value, "source": "report", "by": "keywords/1"})


def with_report(group: str, labels: dict[str, Label], text: str = REPORT) -> tuple[Record, dict[str, str]]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return make_record(group, report=digest).model_copy(update={"labels": labels}), {digest: text}


def keep(store: ObjectStore, *kept: tuple[Record, dict[str, str]]) -> None:
    reports = {digest: text for _, texts in kept for digest, text in texts.items()}
    outcomes = [Outcome(contribution=r.contribution, accepted=(r,), quarantined=()) for r, _ in kept]
    assert append_batch(store, 1, outcomes, reports)


def read_again(store: ObjectStore) -> Reextraction:
    return reextract(store, accepted_records(store), read_changes(store))


def flips(result: Reextraction) -> list[tuple[str, str, str, bool]]:
    return [(flip.code, flip.before, flip.after, flip.overridden) for flip in result.flips]


def test_labels_that_are_read_otherwise_now_flip_and_are_recorded_only_when_asked(file_store: ObjectStore) -> None:
    keep(file_store, with_report("p", {"covid": old(1), "GGO": old(1), "Csld": old(1), "CrPa": old(1)}))
    result = read_again(file_store)
    assert flips(result) == [("Csld", "present", "absent", False), ("CrPa", "present", "not mentioned", False)]
    assert (result.extractor, result.n_images, result.n_reports) == (EXTRACTOR, 1, 1)
    assert read_changes(file_store) == []
    record_changes(file_store, readings(result, "dr-a"))
    (record,) = labelled(accepted_records(file_store), file_store)
    assert {code: label.value for code, label in record.labels.items()} == {"covid": 1, "GGO": 1, "Csld": 0}
    assert record.labels["Csld"].by == EXTRACTOR
    assert record.labels["GGO"].by == "keywords/1"


def test_reading_again_after_it_was_recorded_flips_nothing(file_store: ObjectStore) -> None:
    keep(file_store, with_report("p", {"covid": old(0), "GGO": old(None)}), with_report("q", {"covid": old(1)}))
    record_changes(file_store, readings(read_again(file_store), "dr-a"))
    assert read_again(file_store).flips == ()
    assert len(list(file_store.list("label-changes/"))) == 1


def test_annotations_are_left_alone_and_overrides_still_hold(file_store: ObjectStore) -> None:
    annotated = Label(value=0, source="annotation", by="dr-x")
    kept = with_report("p", {"covid": annotated, "GGO": old(0), "Csld": old(0)})
    keep(file_store, kept)
    record_changes(file_store, [override(kept[0].image, "GGO", 0, by="dr-a", reason="seen")])
    result = read_again(file_store)
    assert flips(result) == [("GGO", "absent", "present", True)]
    record_changes(file_store, readings(result, "dr-a"))
    (record,) = labelled(accepted_records(file_store), file_store)
    assert (record.labels["covid"], record.labels["GGO"].source) == (annotated, "override")


def test_the_part_of_the_caption_that_an_image_is_counts(file_store: ObjectStore) -> None:
    text = "CT of a COVID-19 patient. (A) Ground-glass opacities. (B) Consolidation."
    record, reports = with_report("p", {}, text)
    keep(file_store, (record.model_copy(update={"panel": "B"}), reports))
    found = {flip.code: flip.after for flip in read_again(file_store).flips}
    assert found["Csld"] == "present"
    assert found.get("GGO") != "present"


def test_images_without_report_are_passed_over_and_a_lost_report_is_an_error(file_store: ObjectStore) -> None:
    keep(file_store, (make_record("p"), {}))
    assert flips(read_again(file_store)) == []
    lost, _ = with_report("q", {})
    with pytest.raises(ObjectNotFoundError):
        reextract(file_store, [lost.model_copy(update={"report": f"{'0' * 32}/{lost.report}"})], [])
