"""The ledger counts every retrain that opens a test set, once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ladnn.errors import BudgetSpentError, GateError
from ladnn.governance.ledger import (
    allow_openings,
    allowances,
    check_budget,
    count_openings,
    is_near,
    n_allowed_beyond,
    openings,
    record_opening,
)
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


def test_a_version_whose_budget_is_used_up_stays_shut_with_the_ways_on(store):
    for number in range(2):
        check_budget(store, "t1", f"r{number}", 2)
        record_opening(store, "t1", f"r{number}", ("b",))

    with pytest.raises(BudgetSpentError, match="Grow the test set") as refused:
        check_budget(store, "t1", "r2", 2)

    assert "ladnn test-set accept t1" in str(refused.value)
    check_budget(store, "t1", "r1", 2)  # it has looked already
    check_budget(store, "t2", "r2", 2)
    assert count_openings(store, "t1") == 2


def test_a_person_allows_more_openings_by_name_and_each_counts(store):
    record_opening(store, "t1", "r0", ("b",))
    with pytest.raises(BudgetSpentError):
        check_budget(store, "t1", "r1", 1)

    allow_openings(store, "t1", "Ada", "no new patients till May")
    check_budget(store, "t1", "r1", 1)
    record_opening(store, "t1", "r1", ("b",))

    with pytest.raises(BudgetSpentError, match="1 allowed beyond"):
        check_budget(store, "t1", "r2", 1)
    allow_openings(store, "t1", "Ada", "and one more", 2)
    assert (n_allowed_beyond(store, "t1"), n_allowed_beyond(store, "t2")) == (3, 0)
    assert [(item.by, item.reason) for item in allowances(store, "t1")] == [
        ("Ada", "no new patients till May"),
        ("Ada", "and one more"),
    ]


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("Ada", " ")])
def test_more_openings_need_a_name_and_a_reason(store, by, reason):
    record_opening(store, "t1", "r0", ("b",))

    with pytest.raises(GateError, match="--by and --reason"):
        allow_openings(store, "t1", by, reason)


def test_a_version_that_was_never_opened_needs_no_acceptance(store):
    with pytest.raises(GateError, match="never opened"):
        allow_openings(store, "t9", "Ada", "why")


def test_openings_are_listed_by_time(store):
    for version, retrain in (("t2", "r1"), ("t1", "r2"), ("t2", "r3")):
        record_opening(store, version, retrain, ("b",))

    assert [item.retrain_id for item in openings(store)] == ["r1", "r2", "r3"]
    assert [item.retrain_id for item in openings(store, "t2")] == ["r1", "r3"]


@pytest.mark.parametrize(("n", "budget", "near"), [(15, 20, False), (16, 20, True), (1, 1, True), (3, 5, False)])
def test_an_opening_near_the_budget_is_told(n, budget, near):
    assert is_near(n, budget) == near
