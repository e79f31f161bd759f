"""The ledger counts how often the patients of a test set were looked at, and lets nobody in beyond the budget."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from frozen_parts import freeze_part, patients
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.errors import BudgetSpentError, GateError, StoreError
from ladnn.governance.ledger import (
    allow_openings,
    allowances,
    check_budget,
    count_openings,
    is_near,
    openings,
    record_opening,
    use_of,
    uses,
)
from ladnn.store import open_store, read_json, write_json

BUDGET = 20


@pytest.fixture
def store(tmp_path):
    """Two versions of a test set that share nobody."""
    store = open_store(tmp_path.as_uri())
    freeze_part(store, "t1", patients(0, 10))
    freeze_part(store, "t2", patients(100, 110))
    return store


def opened(store, version, retrain, budget=BUDGET):
    return record_opening(store, version, retrain, ("b1", "b0"), budget).used


def test_a_test_set_that_nobody_opened_is_not_used(store):
    assert count_openings(store, "t1") == 0
    assert (use_of(store, "t1").used, use_of(store, "t1").left(BUDGET)) == (0, BUDGET)


def test_each_retrain_counts_and_versions_of_different_patients_count_apart(store):
    assert [opened(store, "t1", "r1"), opened(store, "t1", "r2"), opened(store, "t2", "r3")] == [1, 2, 1]
    assert (count_openings(store, "t1"), count_openings(store, "t2")) == (2, 1)


def test_a_retrain_that_runs_again_counts_once_and_keeps_its_first_record(store):
    opened(store, "t1", "r1")
    (first,) = openings(store)

    assert opened(store, "t1", "r1") == 1
    assert openings(store) == [first]


def test_the_record_says_who_opened_what_and_when_in_utc(store):
    opened(store, "t1", "r1")

    record = read_json(store, "ledger/00000001.json")
    opened_at = datetime.fromisoformat(record.pop("opened_at"))

    assert record == {"test_version": "t1", "retrain_id": "r1", "opened_by": ["b1", "b0"]}
    assert opened_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - opened_at) < timedelta(minutes=1)


def test_openings_at_the_same_time_are_all_counted(store):
    retrains = [f"r{i % 12}" for i in range(36)]  # each one runs three times

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda retrain: opened(store, "t1", retrain), retrains))

    assert count_openings(store, "t1") == 12
    assert use_of(store, "t1").used == 12


def test_of_many_at_the_same_time_no_more_get_in_than_the_budget_allows(store):
    freeze_part(store, "t1 with other labels", patients(0, 10))

    def try_to_open(number):
        try:
            opened(store, ("t1", "t1 with other labels")[number % 2], f"r{number}", budget=3)
        except BudgetSpentError:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        let_in = sum(pool.map(try_to_open, range(10)))

    assert let_in == len(openings(store)) == 3


def test_a_version_whose_budget_is_used_up_stays_shut_with_the_ways_on(store):
    for number in range(2):
        check_budget(store, [("t1", f"r{number}")], 2)
        opened(store, "t1", f"r{number}", 2)

    for refused in (lambda: check_budget(store, [("t1", "r2")], 2), lambda: opened(store, "t1", "r2", 2)):
        with pytest.raises(BudgetSpentError, match="Grow the test set by 10 new patients beside its 10") as told:
            refused()
        assert "`ladnn test-set accept t1 --by NAME" in str(told.value)

    check_budget(store, [("t1", "r1"), ("t2", "r2")], 2)  # r1 has looked already
    assert len(openings(store)) == 2


def test_several_openings_are_refused_before_the_first_where_there_is_no_room_for_all(store):
    check_budget(store, [("t1", "r1"), ("t1", "r2"), ("t2", "r3")], 2)

    with pytest.raises(BudgetSpentError, match="t1"):
        check_budget(store, [("t1", "r1"), ("t1", "r2"), ("t1", "r3")], 2)
    assert openings(store) == []


def test_new_labels_free_no_budget(store):
    freeze_part(store, "t1 with other labels", patients(0, 10))
    for number in range(BUDGET):
        opened(store, "t1", f"r{number}")

    assert use_of(store, "t1 with other labels").used == BUDGET
    with pytest.raises(BudgetSpentError):
        opened(store, "t1 with other labels", "r-later")


def test_one_new_patient_frees_its_share_and_no_more(store):
    freeze_part(store, "t1 and one", patients(0, 11))
    for number in range(BUDGET):
        opened(store, "t1", f"r{number}")

    use = use_of(store, "t1 and one")
    assert use.used == pytest.approx(BUDGET * 10 / 11)
    assert use.left(BUDGET) == 1
    opened(store, "t1 and one", "r-later")
    with pytest.raises(BudgetSpentError, match="Grow the test set by 1 new patient beside its 11"):
        opened(store, "t1 and one", "r-last")


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 12), st.integers(2, 60), st.integers(0, 3))
def test_the_growth_that_the_refusal_asks_for_makes_room_and_less_does_not(tmp_path_factory, budget, n, allowed):
    store = open_store(tmp_path_factory.mktemp("store").as_uri())
    freeze_part(store, "t", patients(0, n))
    for number in range(budget):
        document = {"test_version": "t", "retrain_id": f"r{number}", "opened_by": [], "opened_at": "2026-01-01T00:00Z"}
        write_json(store, f"ledger/{number + 1:08d}.json", document)
    if allowed:  # and used up
        allow_openings(store, "t", "Ada", "why", allowed)
        for number in range(allowed):
            opened(store, "t", f"r-allowed-{number}", budget)
    with pytest.raises(BudgetSpentError) as refused:
        check_budget(store, [("t", "r-new")], budget)
    n_new = int(str(refused.value).split("Grow the test set by ")[1].split()[0])

    freeze_part(store, "enough", patients(0, n + n_new))
    check_budget(store, [("enough", "r-new")], budget)
    if n_new > 1:
        freeze_part(store, "too few", patients(0, n + n_new - 1))
        with pytest.raises(BudgetSpentError):
            check_budget(store, [("too few", "r-new")], budget)


def test_all_of_a_smaller_version_was_looked_at_with_the_larger_one(store):
    freeze_part(store, "half of t1", patients(0, 5))
    opened(store, "t1", "r1")

    assert use_of(store, "half of t1").used == 1
    opened(store, "half of t1", "r2")
    assert use_of(store, "t1").used == 1.5


def test_a_retrain_that_opens_two_versions_looks_at_each_patient_once(store):
    freeze_part(store, "t1 grown", patients(0, 20))
    for number in range(BUDGET - 1):
        opened(store, "t1", f"r{number}")

    assert opened(store, "t1 grown", "r-both") == BUDGET / 2 + 0.5
    assert opened(store, "t1", "r-both") == BUDGET  # as it was: all of it was seen in the grown one
    assert use_of(store, "t1 grown").used == BUDGET / 2 + 0.5
    check_budget(store, [("t1", "r-both")], 1)


def test_a_patient_who_changed_the_name_is_known_by_a_picture(store):
    freeze_part(store, "renamed", ["another name", "p-new"], ["picture of p3", "picture of p-new"])
    opened(store, "t1", "r1")

    assert use_of(store, "renamed").used == 0.5


def test_what_cannot_be_read_any_more_counts_in_full(store, tmp_path):
    lost = freeze_part(store, "lost", patients(200, 210))
    opened(store, "lost", "r1")
    assert use_of(store, "t1").used == 0
    shutil.rmtree(tmp_path / "datasets" / lost)

    assert use_of(store, "t1").used == 1
    assert use_of(store, "lost").n_patients is None


def test_openings_of_the_first_ledger_count_on(store):
    document = {"test_version": "t1", "retrain_id": "r0", "opened_by": ["b0"], "opened_at": "2026-01-01T00:00:00Z"}
    write_json(store, "ledger/t1/r0.json", document)

    assert opened(store, "t1", "r0") == 1
    assert opened(store, "t1", "r1") == 2
    assert [item.retrain_id for item in openings(store)] == ["r0", "r1"]


@pytest.mark.parametrize("n_openings", [3, 2])
def test_a_lost_opening_or_allowance_is_told_and_nobody_gets_in(store, tmp_path, n_openings):
    for number in range(n_openings):
        opened(store, "t1", f"r{number}")
        allow_openings(store, "t1", "Ada", "why")
    for lost in ("ledger/00000002.json", "ledger_allowances/t1/00000002.json"):
        kept = (tmp_path / lost).rename(tmp_path / "backup.json")

        asked = (
            lambda: opened(store, "t1", "r-new"),
            lambda: check_budget(store, [("t1", "r-new")], BUDGET),
            lambda: uses(store),
        )
        for ask in asked:
            with pytest.raises(StoreError, match=f"has lost record 2; restore {lost} from backup"):
                ask()
        kept.rename(tmp_path / lost)
    assert opened(store, "t1", "r-new") == n_openings + 1


def test_a_person_allows_more_openings_by_name_and_each_counts(store):
    opened(store, "t1", "r0", 1)
    with pytest.raises(BudgetSpentError):
        opened(store, "t1", "r1", 1)

    allow_openings(store, "t1", "Ada", "no new patients till May")
    opened(store, "t1", "r1", 1)

    with pytest.raises(BudgetSpentError, match="1 allowed beyond"):
        opened(store, "t1", "r2", 1)
    allow_openings(store, "t1", "Ada", "and one more", 2)
    assert (use_of(store, "t1").allowed, use_of(store, "t2").allowed) == (3, 0)
    assert (use_of(store, "t1").allowed_by, use_of(store, "t2").allowed_by) == ("Ada: and one more", None)
    assert [(item.by, item.reason) for item in allowances(store, "t1")] == [
        ("Ada", "no new patients till May"),
        ("Ada", "and one more"),
    ]


def test_what_was_allowed_goes_with_the_patients(store):
    for version, last in (("t1 with other labels", 10), ("t1 grown", 20)):
        freeze_part(store, version, patients(0, last))
    opened(store, "t1", "r0", 1)
    allow_openings(store, "t1", "Ada", "no new patients till May")

    assert (use_of(store, "t1 with other labels").allowed, use_of(store, "t1 grown").allowed) == (1, 0.5)
    opened(store, "t1 with other labels", "r1", 1)
    with pytest.raises(BudgetSpentError, match="allow 1 more"):
        opened(store, "t1", "r2", 1)


def test_where_the_budget_was_lowered_the_refusal_says_how_many_more_it_takes(store):
    for number in range(5):
        opened(store, "t1", f"r{number}")

    with pytest.raises(BudgetSpentError, match="accept t1 --openings 4 --by"):
        opened(store, "t1", "r-new", 2)


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("Ada", " ")])
def test_more_openings_need_a_name_and_a_reason(store, by, reason):
    opened(store, "t1", "r0")

    with pytest.raises(GateError, match="--by and --reason"):
        allow_openings(store, "t1", by, reason)


def test_a_version_that_was_never_opened_needs_no_acceptance_and_one_that_is_none_is_told(store):
    with pytest.raises(GateError, match="never opened"):
        allow_openings(store, "t1", "Ada", "why")
    for asked in (lambda: allow_openings(store, "t9", "Ada", "why"), lambda: use_of(store, "t9")):
        with pytest.raises(GateError, match="there is no test set 't9'; there are: t1, t2"):
            asked()


def test_openings_are_listed_by_time_and_versions_by_age(store):
    for version, retrain in (("t2", "r1"), ("t1", "r2"), ("t2", "r3")):
        opened(store, version, retrain)

    assert [item.retrain_id for item in openings(store)] == ["r1", "r2", "r3"]
    assert [item.retrain_id for item in openings(store, "t2")] == ["r1", "r3"]
    assert [(use.test_version, use.n_openings, use.n_patients) for use in uses(store)] == [("t1", 1, 10), ("t2", 2, 10)]


@pytest.mark.parametrize(("n", "budget", "near"), [(15, 20, False), (16, 20, True), (1, 1, True), (3, 5, False)])
def test_an_opening_near_the_budget_is_told(n, budget, near):
    assert is_near(n, budget) == near
