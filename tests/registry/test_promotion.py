"""The promotion log: compare-and-set, one record of many writers, numbers without gaps."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.synchronize import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.errors import LadnnError, NoChampionError, PromotionConflictError
from ladnn.registry.promotion import Proposal, champion, promote, promotions, required_champion
from ladnn.store import open_store

N_WRITERS = 20


def proposal(name, **changes):
    values = {
        "bundle_id": f"b-{name}",
        "model_version": name,
        "retrain_id": f"r-{name}",
        "synthetic": True,
        "by": "gates",
        "reason": "all gates passed",
    }
    return Proposal(**values | changes)


def test_without_a_promotion_there_is_no_champion_and_the_error_says_what_to_do(store):
    assert champion(store) is None
    assert promotions(store) == []
    with pytest.raises(NoChampionError, match="ladnn retrain"):
        required_champion(store)


def test_the_last_record_is_champion_and_earlier_ones_stay(store):
    first = promote(store, proposal("1"), expected=0)
    second = promote(store, proposal("2"), expected=1)

    assert [record.number for record in (first, second)] == [1, 2]
    assert promotions(store) == [first, second]
    assert champion(store) == required_champion(store) == second


def test_a_promotion_against_an_overtaken_champion_is_refused_and_changes_nothing(store):
    promote(store, proposal("1"), expected=0)
    before = promotions(store)

    with pytest.raises(PromotionConflictError, match="same command again"):
        promote(store, proposal("2"), expected=0)
    assert promotions(store) == before


def test_a_promotion_past_the_end_of_the_log_is_refused_so_numbers_have_no_gap(store):
    with pytest.raises(PromotionConflictError, match="LADNN_STORE_URL"):
        promote(store, proposal("1"), expected=3)
    assert promotions(store) == []


def test_a_repeated_promotion_of_a_retrain_returns_its_record_even_after_others_followed(store):
    first = promote(store, proposal("1"), expected=0)
    promote(store, proposal("2"), expected=1)

    assert promote(store, proposal("1"), expected=0) == first
    assert len(promotions(store)) == 2


def test_a_rollback_is_a_record_of_its_own_with_the_older_bundle(store):
    promote(store, proposal("1"), expected=0)
    promote(store, proposal("2"), expected=1)

    back = promote(store, proposal("1", action="rollback", by="A. Person", reason="worse at site b"), expected=2)

    assert (back.number, back.action, back.bundle_id) == (3, "rollback", "b-1")
    assert champion(store) == back


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_whatever_is_tried_the_numbers_of_the_log_are_one_to_n(tmp_path_factory, attempts):
    store = open_store(tmp_path_factory.mktemp("log").as_uri())

    for name, expected in attempts:
        with suppress(PromotionConflictError):
            promote(store, proposal(str(name)), expected)

    log = promotions(store)
    assert [record.number for record in log] == list(range(1, len(log) + 1))


def test_of_many_threads_that_promote_at_once_one_wins(store):
    def attempt(name):
        try:
            return promote(store, proposal(str(name)), expected=0)
        except PromotionConflictError:
            return None

    with ThreadPoolExecutor(N_WRITERS) as threads:
        records = [record for record in threads.map(attempt, range(N_WRITERS)) if record]

    assert records == promotions(store)
    assert len(records) == 1


def test_of_twenty_processes_that_promote_at_once_exactly_one_wins_in_every_round(file_store, forkserver):
    barrier, answers = forkserver.Barrier(N_WRITERS), forkserver.Queue()
    n_rounds = 3

    writers = [
        forkserver.Process(target=_promote_in_rounds, args=(file_store.url, name, n_rounds, barrier, answers))
        for name in range(N_WRITERS)
    ]
    for writer in writers:
        writer.start()
    outcomes = [answers.get(timeout=120) for _ in range(N_WRITERS * n_rounds)]
    for writer in writers:
        writer.join(60)

    log = promotions(file_store)
    assert [record.number for record in log] == [1, 2, 3]
    assert sorted(outcomes) == ["PromotionConflictError"] * (N_WRITERS - 1) * n_rounds + ["won"] * n_rounds


def _promote_in_rounds(url: str, name: int, n_rounds: int, barrier: Barrier, answers) -> None:
    store = open_store(url)
    for number in range(n_rounds):
        barrier.wait(60)
        try:
            promote(store, proposal(f"{name}-{number}"), expected=number)
            answers.put("won")
        except LadnnError as error:
            answers.put(type(error).__name__)
