"""The ledger counts every retrain that opens a test set, once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ladnn.governance.ledger import count_openings, record_opening
from ladnn.store import open_store, read_json


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path.as_uri())


def test_a_test_set_that_nobody_opened_counts_zero(store):
    assert count_openings(store, "t1") == 0


def test_each_retrain_counts_and_each_version_counts_apart(store):
    counts = [
        record_opening(store, "t1", "r1", ("b1",)),
        record_opening(store, "t1", "r2", ("b2", "b1")),
        record_opening(store, "t10", "r3", ("b3", "b2")),
    ]

    assert counts == [1, 2, 1]
    assert (count_openings(store, "t1"), count_openings(store, "t10")) == (2, 1)


def test_a_retrain_that_runs_again_counts_once_and_keeps_its_first_record(store):
    record_opening(store, "t1", "r1", ("b1", "b0"))
    first = read_json(store, "ledger/t1/r1.json")

    assert record_opening(store, "t1", "r1", ("b1", "b0")) == 1
    assert read_json(store, "ledger/t1/r1.json") == first


def test_the_record_says_who_opened_what_and_when_in_utc(store):
    record_opening(store, "t1", "r1", ("b1", "b0"))

    record = read_json(store, "ledger/t1/r1.json")
    opened_at = datetime.fromisoformat(record.pop("opened_at"))

    assert record == {"test_version": "t1", "retrain_id": "r1", "opened_by": ["b1", "b0"]}
    assert opened_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - opened_at) < timedelta(minutes=1)


def test_openings_at_the_same_time_are_all_counted(store):
    retrains = [f"r{i % 20}" for i in range(60)]  # each one runs three times

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda retrain: record_opening(store, "t1", retrain, ("b",)), retrains))

    assert count_openings(store, "t1") == 20
    assert max(counts) == 20
