"""A patient lives in one split for ever, and the splits keep their shares and their strata."""

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from split_histories import KINDS, Plan, State, history, off_target
from splitting_process import GROUPS, place_overlapping

from ladnn.dataset.split import SPLITS, Group, Placement, Split, assign, load_assignments, place, place_groups
from ladnn.store import ObjectStore

MARCH, APRIL = date(2020, 3, 1), date(2020, 4, 1)
TOLERANCE = 0.03
"""How far a split's share may be from its target, from 200 patients on."""
SIZES = st.one_of(st.integers(0, 3), st.integers(5, 40), st.integers(60, 150))
"""New groups of a batch."""
FEW = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])


def plans(*, requests: bool = True, changes: bool = True, links: bool = True) -> st.SearchStrategy[Plan]:
    """Histories of single patients, of small and of large batches, whose mix changes on the way."""
    shares = st.sampled_from([0.0, 0.05, 0.2])
    return st.builds(
        Plan,
        seed=st.integers(0, 2**32 - 1),
        sizes=st.tuples(st.integers(0, 250), st.lists(SIZES, min_size=3, max_size=20)).map(lambda s: (s[0], *s[1])),
        kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4).map(tuple),
        link_share=shares if links else st.just(0.0),
        change_share=shares if changes else st.just(0.0),
        request_share=shares if requests else st.just(0.0),
    )


def check_that_nobody_moves(plan: Plan) -> None:
    before: dict[str, Split] = {}
    for state in history(plan):
        splits = state.placement.splits
        assert splits.keys() == state.groups.keys()
        assert before.items() <= splits.items()
        for one, other in state.links - state.placement.refused:
            assert splits[one] == splits[other]
        for one, other in state.placement.refused:
            assert splits[one] != splits[other]
            assert one in before or other in before  # a link that comes in time is always kept
        names = state.placement.components
        assert all(names[name] == name and splits[name] == splits[other] for other, name in names.items())
        before = dict(splits)


def check_shares(plan: Plan) -> None:
    for state in history(plan):
        places = list(state.components().values())
        assert len(places) < 200 or off_target(places) <= TOLERANCE


def check_coverage(plan: Plan) -> None:
    for state in history(plan):
        for stratum, size in Counter(group.stratum for group in state.groups.values()).items():
            present = {state.placement.splits[g.name] for g in state.groups.values() if g.stratum == stratum}
            assert len(present) == min(size, 3), (stratum, size, present)


def check_convergence(plan: Plan) -> None:
    for state in history(plan):
        for kind in ("positive", "negative"):
            places = [state.placement.splits[g.name] for g in state.groups.values() if g.stratum.startswith(kind)]
            assert len(places) < 200 or off_target(places) <= TOLERANCE, kind


def check_that_order_does_not_matter(plan: Plan) -> None:
    shuffle = random.Random(plan.seed).shuffle
    shuffled = State()
    for state in history(plan):
        names = list(state.groups)
        shuffle(names)
        shuffled.groups, shuffled.links = {name: state.groups[name] for name in names}, state.links
        shuffled.freeze()
        assert shuffled.placement == state.placement
        assert list(shuffled.assigned.items()) == list(state.assigned.items())


PROPERTIES: dict[str, tuple[Callable[[Plan], None], st.SearchStrategy[Plan]]] = {
    "nobody moves": (check_that_nobody_moves, plans()),
    "the shares hold": (check_shares, plans(requests=False)),
    "every stratum is in every split": (check_coverage, plans(requests=False, changes=False, links=False)),
    "positives and negatives converge": (check_convergence, plans(requests=False, changes=False, links=False)),
    "the order of a batch does not matter": (check_that_order_does_not_matter, plans()),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property_of_all_histories(name: str) -> None:
    check, strategy = PROPERTIES[name]
    FEW(given(strategy)(check))()


def test_a_rare_stratum_is_in_every_split_even_where_one_is_full_when_it_comes() -> None:
    check_coverage(Plan(2782511, (229, 0, 0, 0), ("few positives",), 0.0, 0.0, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROPERTIES)
def test_property_of_thousands_of_histories(name: str) -> None:
    check, strategy = PROPERTIES[name]
    MANY(given(strategy)(check))()


def named(groups: list[Group]) -> dict[str, Group]:
    return {group.name: group for group in groups}


def strata_of(groups: list[Group]) -> dict[str, str]:
    return {group.name: group.stratum for group in groups}


def grown(groups: list[Group], batches: list[int]) -> dict[str, Split]:
    """Place groups batch by batch; `batches` are the sizes, the last takes the rest."""
    assigned: dict[str, Split] = {}
    for size in [*batches, len(groups)]:
        seen = groups[: len(assigned) + size]
        assigned |= assign(seen, assigned, strata_of(seen))
    return assigned


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


@settings(deadline=None, max_examples=20)
@given(plans(requests=False, changes=False, links=False), st.integers(2, 10))
def test_what_came_until_any_day_has_its_shares_even_if_all_is_placed_at_once(plan: Plan, n_days: int) -> None:
    *_, state = history(plan)
    days = {name: MARCH + timedelta(number % n_days) for number, name in enumerate(state.groups)}
    groups = {name: replace(group, contributed_on=days[name]) for name, group in state.groups.items()}
    splits = place(groups, [], {})[1]
    for day in sorted(set(days.values())):
        places = [splits[name] for name in groups if days[name] <= day]
        assert len(places) < 200 or off_target(places) <= TOLERANCE


def test_a_requested_split_is_honoured_for_new_groups_only(file_store: ObjectStore) -> None:
    first = place_groups(file_store, named([Group("old", "negative")])).splits
    other: Split = "validation" if first["old"] == "train" else "train"
    groups = [Group("old", "negative", other), Group("new", "negative", "validation")]
    assert place_groups(file_store, named(groups)).splits == {"old": first["old"], "new": "validation"}


def test_linked_groups_are_one_component_that_counts_once() -> None:
    groups = named([Group(f"p{number}", "negative") for number in range(400)])
    links = [(f"p{number}", f"p{number + 1}") for number in range(0, 400, 2)]
    placement, new = place(groups, links, {})
    assert all(new[one] == new[other] for one, other in links)
    assert len(set(placement.components.values())) == 200
    assert Counter(new.values()) == {"train": 240, "validation": 60, "test": 100}


def test_a_group_without_images_joins_its_neighbours() -> None:
    placement, new = place(named([Group("a", "negative"), Group("c", "positive-1")]), [("a", "b"), ("b", "c")], {})
    assert new.keys() == {"a", "c"}
    assert placement.components == {"a": "a", "c": "a"}


def test_a_component_is_as_rich_as_its_richest_group() -> None:
    many = [Group(f"p{number}", "positive-3") for number in range(2)]
    assigned: dict[str, Split] = {"p0": "train", "p1": "test"}
    groups = named([*many, Group("x", "negative"), Group("y", "positive-3")])
    assert place(groups, [("x", "y")], assigned)[1] == {"x": "validation", "y": "validation"}


def test_the_first_contribution_of_a_component_decides_what_split_it_asks_for() -> None:
    groups = [Group("a", "negative", "train", APRIL), Group("b", "negative", "validation", MARCH)]
    assert place(named(groups), [("a", "b")], {})[1] == {"a": "validation", "b": "validation"}
    undemanding = [groups[0], Group("b", "negative", None, MARCH)]
    assert place(named(undemanding), [("a", "b")], {})[1]["a"] == "train"  # where a first group belongs anyway


def test_a_newcomer_follows_the_group_that_has_a_place_whatever_it_asks_for() -> None:
    groups = [Group("old", "negative"), Group("new", "negative", "train", MARCH)]
    placement, new = place(named(groups), [("new", "old")], {"old": "test"})
    assert new == {"new": "test"}
    assert placement.components == {"old": "old", "new": "old"}


def test_groups_of_two_splits_are_never_joined() -> None:
    groups = named([Group(name, "negative") for name in "abx"])
    placement, new = place(groups, [("a", "x"), ("b", "x")], {"a": "train", "b": "test"})
    assert new == {"x": "train"}
    assert placement == Placement(
        splits={"a": "train", "b": "test", "x": "train"},
        components={"a": "a", "b": "b", "x": "a"},
        refused=frozenset({("b", "x")}),
    )


def test_places_are_recorded_in_numbered_batches_and_survive(store: ObjectStore) -> None:
    groups = list(next(history(Plan(seed=2, sizes=(30,), kinds=("paper",)))).groups.values())
    early = place_groups(store, named(groups[:10])).splits
    whole = place_groups(store, named(groups)).splits
    assert whole.keys() == named(groups).keys()
    assert whole.items() >= early.items()
    assert (load_assignments(store), len(list(store.list("splits/")))) == (whole, 2)
    assert list(load_assignments(store)) == [*sorted(early), *sorted(whole.keys() - early.keys())]
    assert place_groups(store, named(groups)).splits == whole
    assert (load_assignments(store), len(list(store.list("splits/")))) == (whole, 2)
    assert place_groups(store, named(groups[5:8])).splits == {group.name: whole[group.name] for group in groups[5:8]}


def test_nothing_to_place_leaves_nothing(file_store: ObjectStore) -> None:
    assert place_groups(file_store, {}) == Placement({}, {}, frozenset())
    assert list(file_store.list("")) == []


def check_agreement(store: ObjectStore, answers: list[dict[str, Split]]) -> None:
    assigned = load_assignments(store)
    assert assigned.keys() == {group.name for group in GROUPS}
    for answer in answers:
        assert answer.items() <= assigned.items()


def test_processes_that_place_at_once_agree(file_store: ObjectStore) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as processes:
        check_agreement(file_store, list(processes.map(place_overlapping, [file_store.url] * 8, range(8))))


def test_threads_that_place_at_once_agree_on_either_store(store: ObjectStore) -> None:
    halves = [named(GROUPS[:30]), named(GROUPS[20:]), named(GROUPS)]
    with ThreadPoolExecutor(3) as threads:
        check_agreement(store, [p.splits for p in threads.map(lambda groups: place_groups(store, groups), halves)])


def test_the_splits_have_a_fixed_order() -> None:
    assert SPLITS == ("train", "validation", "test")
