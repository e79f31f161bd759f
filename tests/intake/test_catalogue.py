"""The catalogue survives whatever happens to its index, and two hosts never write one batch."""

import shutil
from pathlib import Path

import pytest
from factories import KEY, TODAY, desk, encoded, intake, make_record, make_study, picture, send

from ladnn.errors import ObjectNotFoundError, StoreError
from ladnn.intake.catalogue import append_batch, read_batches, read_outcomes, read_report_text, report_digest
from ladnn.intake.catalogue_index import open_index
from ladnn.intake.inbox import contribute
from ladnn.intake.process import Desk, take_in
from ladnn.intake.record import Outcome
from ladnn.store import ObjectStore


def outcome(group: str, report: str | None = None) -> Outcome:
    record = make_record(group, report=report_digest(report) if report else None)
    return Outcome(contribution=f"c-{group}", accepted=(record,), quarantined=())


def test_a_batch_number_is_given_once(store: ObjectStore) -> None:
    assert append_batch(store, 1, [outcome("a")], {})
    assert not append_batch(store, 1, [outcome("b")], {})
    assert [o.contribution for o in read_outcomes(store)] == ["c-a"]


def test_batches_are_read_in_order_after_a_number(file_store: ObjectStore) -> None:
    for number in range(1, 13):
        append_batch(file_store, number, [outcome(str(number))], {})
    assert [number for number, _ in read_batches(file_store)] == list(range(1, 13))
    assert [number for number, _ in read_batches(file_store, after=10)] == [11, 12]
    assert [o.contribution for o in read_outcomes(file_store)] == [f"c-{n}" for n in range(1, 13)]


@pytest.mark.parametrize(("lost", "after"), [(1, 0), (2, 0), (2, 1)])
def test_a_lost_batch_is_told(file_store: ObjectStore, tmp_path: Path, lost: int, after: int) -> None:
    for number in range(1, 4):
        append_batch(file_store, number, [outcome(str(number))], {})
    (tmp_path / "store" / "catalogue" / f"0000000{lost}.json").unlink()

    with pytest.raises(StoreError, match=rf"has lost record {lost}; restore catalogue/0000000{lost}\.json from backup"):
        list(read_batches(file_store, after))


def test_a_report_is_found_again_by_its_record(file_store: ObjectStore) -> None:
    append_batch(
        file_store,
        1,
        [outcome("a", "one"), outcome("b", "two"), outcome("c")],
        {report_digest(t): t for t in ("one", "two")},
    )
    records = [o.accepted[0] for o in read_outcomes(file_store)]
    assert [read_report_text(file_store, record) for record in records] == ["one", "two", None]
    lost = records[0].model_copy(update={"report": f"{'0' * 32}/{'0' * 64}"})
    with pytest.raises(ObjectNotFoundError):
        read_report_text(file_store, lost)


def test_a_lost_or_broken_index_is_made_again(file_store: ObjectStore, tmp_path: Path) -> None:
    send(file_store, (1, 2))
    at = Desk(file_store, KEY, tmp_path / "cache", dict)
    take_in(at, today=TODAY)
    (index,) = at.cache.glob("catalogue-*.sqlite")
    for damage in (lambda: shutil.rmtree(at.cache), lambda: index.write_bytes(b"no database" * 100)):
        damage()
        assert take_in(at, today=TODAY).n_known == 2
    assert len(list(read_outcomes(file_store))) == 1


def test_an_index_of_another_store_at_the_same_place_is_not_believed(file_store: ObjectStore, tmp_path: Path) -> None:
    at = Desk(file_store, KEY, tmp_path / "cache", dict)
    send(file_store, (1, 2))
    take_in(at, today=TODAY)
    shutil.rmtree(tmp_path / "store")
    files = {"1.png": encoded(picture(1))}
    contribute(file_store, make_study(files, study_id="new"), files, TODAY)
    assert take_in(at, today=TODAY).n_accepted == 1
    shutil.rmtree(tmp_path / "store" / "catalogue")
    assert take_in(at, today=TODAY).n_accepted == 1


def test_an_index_that_cannot_be_used_is_named(file_store: ObjectStore, tmp_path: Path) -> None:
    at = Desk(file_store, KEY, tmp_path / "cache", dict)
    intake(file_store)
    take_in(at, today=TODAY)
    (index,) = at.cache.glob("catalogue-*.sqlite")
    index.unlink()
    index.mkdir()
    with pytest.raises(StoreError, match=index.name):
        take_in(at, today=TODAY)


def test_the_index_knows_whose_a_picture_is(file_store: ObjectStore) -> None:
    append_batch(file_store, 1, [outcome("a"), outcome("b")], {})
    at = desk(file_store)
    record = make_record("a")
    with open_index(at.store, at.cache) as index:
        assert index.owner(record.image) == "a"
        assert index.owner("0" * 64) is None
        assert (record.image, "a") in index.lookalikes(record.fingerprint)
        assert index.ended("c-a") == 1
        assert index.ended("c-z") is None
        assert index.patient_of_study("s-a") == "a"
