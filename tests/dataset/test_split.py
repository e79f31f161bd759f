"""A patient lives in one split for ever, and the splits keep their shares and their strata."""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splitting_process import GROUPS, place_overlapping

from ladnn.dataset.split import RATIOS, SPLITS, Group, Split, assign, load_assignments, place_groups
from ladnn.store import ObjectStore

STRATA = ("negative", "unknown", *(f"positive-{number}" for number in range(6)))
HISTORIES = st.lists(
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(STRATA), st.sampled_from([None, None, "train", "validation"])),
        max_size=25,
        unique_by=lambda item: item[0],
    ),
    max_size=6,
)


def named(groups: list[Group]) -> dict[str, Group]:
    return {group.name: group for group in groups}


def strata_of(groups: list[Group]) -> dict[str, str]:
    return {group.name: group.stratum for group in groups}


def made_up(n_groups: int, seed: int) -> list[Group]:
    """Half negative; the number of lesions of positives falls off as in the real collection."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(STRATA, n_groups, p=[0.45, 0.02, 0.08, 0.2, 0.12, 0.07, 0.04, 0.02])
    return [Group(f"p-{seed}-{number}", str(stratum)) for number, stratum in enumerate(chosen)]


def grown(groups: list[Group], batches: list[int]) -> dict[str, Split]:
    """Place groups batch by batch; `batches` are the sizes, the last takes the rest."""
    assigned: dict[str, Split] = {}
    for size in [*batches, len(groups)]:
        seen = groups[: len(assigned) + size]
        assigned |= assign(seen, assigned, strata_of(seen))
    return assigned


@settings(deadline=None, max_examples=80)
@given(HISTORIES)
def test_no_group_ever_moves_and_all_have_a_place(history: list[list[tuple[int, str, Split | None]]]) -> None:
    assigned: dict[str, Split] = {}
    known: dict[str, Group] = {}
    for batch in history:
        known |= {f"p{number}": Group(f"p{number}", stratum, requested) for number, stratum, requested in batch}
        strata = {name: group.stratum for name, group in known.items()}
        new = assign(known.values(), assigned, strata)
        assert not new.keys() & assigned.keys()
        for name, split in new.items():
            assert known[name].requested in (None, split)
        assigned |= new
        assert assigned.keys() == known.keys()
        assert assign(known.values(), assigned, strata) == {}


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(40)), st.integers(0, 15))
def test_the_order_of_a_batch_does_not_matter(order: list[int], n_before: int) -> None:
    groups = made_up(40, seed=1)
    before = assign(groups[:n_before], {}, strata_of(groups))
    expected = assign(groups, before, strata_of(groups))
    assert assign([groups[number] for number in order], before, strata_of(groups)) == expected


@settings(deadline=None, max_examples=25)
@given(n_groups=st.integers(200, 500), seed=st.integers(0, 10_000), batches=st.lists(st.integers(1, 120), max_size=8))
def test_the_shares_hold_within_three_points_and_every_stratum_is_covered(
    n_groups: int, seed: int, batches: list[int]
) -> None:
    groups = made_up(n_groups, seed)
    assigned = grown(groups, batches)
    shares = Counter(assigned.values())
    assert all(abs(shares[split] / n_groups - RATIOS[split]) <= 0.03 for split in SPLITS), shares
    for stratum, size in Counter(group.stratum for group in groups).items():
        present = {assigned[group.name] for group in groups if group.stratum == stratum}
        assert len(present) == min(size, 3), (stratum, size, present)


@pytest.mark.parametrize("n_groups", [1, 2, 3, 4, 8])
def test_few_groups_are_spread_training_first(n_groups: int) -> None:
    shares = Counter(grown([Group(f"p{number}", "negative") for number in range(n_groups)], [1] * 8).values())
    assert shares["train"] >= shares["test"] >= shares["validation"]
    assert len(shares) == min(n_groups, 3)


def test_groups_that_are_placed_count_towards_the_shares() -> None:
    asked = [Group(f"kept{number}", "negative", "train") for number in range(60)]
    free = [Group(f"free{number}", "negative") for number in range(40)]
    shares = Counter(grown(asked + free, [60]).values())
    assert shares == {"train": 60, "validation": 15, "test": 25}


def test_a_requested_split_is_honoured_for_new_groups_only(file_store: ObjectStore) -> None:
    first = place_groups(file_store, named([Group("old", "negative")]))
    other: Split = "validation" if first["old"] == "train" else "train"
    groups = [Group("old", "negative", other), Group("new", "negative", "validation")]
    assert place_groups(file_store, named(groups)) == {"old": first["old"], "new": "validation"}


def test_places_are_recorded_in_numbered_batches_and_survive(store: ObjectStore) -> None:
    groups = made_up(30, seed=2)
    early = place_groups(store, named(groups[:10]))
    whole = place_groups(store, named(groups))
    assert whole.keys() == named(groups).keys()
    assert whole.items() >= early.items()
    assert load_assignments(store) == (whole, 2)
    assert place_groups(store, named(groups)) == whole
    assert load_assignments(store) == (whole, 2)
    assert place_groups(store, named(groups[5:8])) == {group.name: whole[group.name] for group in groups[5:8]}


def test_nothing_to_place_leaves_nothing(file_store: ObjectStore) -> None:
    assert place_groups(file_store, {}) == {}
    assert list(file_store.list("")) == []


def check_agreement(store: ObjectStore, answers: list[dict[str, Split]]) -> None:
    assigned, _ = load_assignments(store)
    assert assigned.keys() == {group.name for group in GROUPS}
    for answer in answers:
        assert answer.items() <= assigned.items()


def test_processes_that_place_at_once_agree(file_store: ObjectStore) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as processes:
        check_agreement(file_store, list(processes.map(place_overlapping, [file_store.url] * 8, range(8))))


def test_threads_that_place_at_once_agree_on_either_store(store: ObjectStore) -> None:
    halves = [named(GROUPS[:30]), named(GROUPS[20:]), named(GROUPS)]
    with ThreadPoolExecutor(3) as threads:
        check_agreement(store, list(threads.map(lambda groups: place_groups(store, groups), halves)))
