"""The patient split: 60/15/25 train/validation/test, stratified, once and for ever.

A group is a patient, or a study where the patient is unknown. Groups that share a picture are one component, placed as
one; the shares are counted in components. Places are kept by group, in numbered, append-only batches.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

from ladnn.store import ObjectStore
from ladnn.store.log import append_entry, read_entries

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
RATIOS: dict[Split, float] = {"train": 0.60, "validation": 0.15, "test": 0.25}
"""Share of patients (paper, section on data)."""
_SHARES = tuple(RATIOS.values())
STRATA = ("unknown", "negative", "positive-0", "positive-1", "positive-2", "positive-3", "positive-4", "positive-5")
"""Diagnosis and, of positives, the most lesions that one image shows; the later one describes a component best."""
_RANK = {stratum: rank for rank, stratum in enumerate(STRATA)}
_SMALL = 200
"""Below so many components a split may show a stratum at the cost of its share, which mends itself until then."""
_SLACK = 2
"""Components that a split may have beyond its share."""
_SLACK_SHARE = 0.01
"""Or the share of all that it may have beyond its own, so that strata can be balanced in a large collection."""
_COVERAGE = 3
"""And components beyond that, to show a stratum of which it has none: several rare ones may come when it is full."""
_BATCHES = "splits/"


@dataclass(frozen=True, slots=True)
class Group:
    """What of a group decides its place."""

    name: str
    stratum: str
    """One of `STRATA`."""
    requested: Split | None = None
    """Split that the group's first contribution asks for."""
    contributed_on: date = date.min
    """Day of the group's first contribution; the groups of a day are placed before those of later days."""
    contribution: str = ""
    """The group's first contribution."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every group is, and what it is joined with."""

    splits: dict[str, Split]
    """By group."""
    components: dict[str, str]
    """By group, the name of its component: the group that was placed first."""
    refused: frozenset[tuple[str, str]]
    """Pairs of groups that a picture links, but that stand in two splits for ever."""


def assign(groups: Iterable[Group], assigned: Mapping[str, Split], strata: Mapping[str, str]) -> dict[str, Split]:
    """Place the components that have no place yet; the result does not depend on the order they come in.

    The first three of a stratum go to three different splits, so that each split shows every kind of patient. Every
    other one goes where its stratum, its diagnosis and the whole lack most of their target share. No split grows past
    its share of the whole by more than a small slack, unless it is asked for.

    Args:
        groups: all components, each as one group, with and without a place.
        assigned: places given before; they never change.
        strata: stratum of every component, placed or not.

    Returns:
        Places of the new ones only.
    """
    counts = _Counts()
    for name, split in assigned.items():
        counts.add(strata.get(name, "unknown"), split)
    placed: dict[str, Split] = {}
    waiting = {group.name: group for group in groups if group.name not in assigned}
    for group in sorted(waiting.values(), key=_turn):
        split = group.requested or counts.neediest(group.stratum)
        placed[group.name] = split
        counts.add(group.stratum, split)
    return placed


def load_assignments(store: ObjectStore) -> dict[str, Split]:
    """Return every group's split, in the order in which they were placed."""
    return _assignments(read_entries(store, _BATCHES))


def place_groups(store: ObjectStore, groups: Mapping[str, Group], links: Iterable[tuple[str, str]] = ()) -> Placement:
    """Find where every group is, after placing and recording the new ones.

    Args:
        store: keeps the places.
        groups: all groups of one kind (real or synthetic), by name.
        links: pairs of groups that share a picture; a group without images of its own may stand between two others.

    Raises:
        StoreError: other processes kept recording first.
    """
    links = sorted({(min(pair), max(pair)) for pair in links})
    placements: list[Placement] = []

    def batch(before: list[Any]) -> dict[str, Any] | None:
        known = {name: split for name, split in _assignments(before).items() if name in groups}
        placement, new = place(groups, links, known)
        placements.append(placement)
        return {"assignments": new} if new else None

    append_entry(store, _BATCHES, batch)
    return placements[-1]


def _assignments(batches: Iterable[Any]) -> dict[str, Split]:
    assigned: dict[str, Split] = {}
    for batch in batches:
        for name, split in batch["assignments"].items():
            assigned.setdefault(name, split)  # the first place holds
    return assigned


def place(
    groups: Mapping[str, Group], links: Iterable[tuple[str, str]], assigned: Mapping[str, Split]
) -> tuple[Placement, dict[str, Split]]:
    """Join groups to components and place those that have no place, without recording anything.

    Args:
        groups: all groups, by name.
        links: pairs of groups that share a picture, in an order that does not depend on when they came.
        assigned: places of groups given before, in the order they were given.

    Returns:
        Where everything is, and the places of the new groups.
    """
    roots, refused = _joined(groups, links, assigned)
    members: dict[str, list[Group]] = {}
    for group in groups.values():
        members.setdefault(roots[group.name], []).append(group)
    merged = {root: _merged(root, of_root) for root, of_root in members.items()}
    before = {roots[name]: split for name, split in assigned.items()}
    places = before | assign(merged.values(), before, {root: group.stratum for root, group in merged.items()})
    splits = {name: places[roots[name]] for name in groups}
    new = {name: splits[name] for name in sorted(groups) if name not in assigned}
    return Placement(splits, _named(roots, [*assigned, *new]), refused), new


def _merged(root: str, members: list[Group]) -> Group:
    """Describe a component by its richest stratum; where contributions ask for two splits the first one counts.

    An error instead would stop every later version.
    """
    stratum = max((group.stratum for group in members), key=_RANK.__getitem__)
    first = min(members, key=lambda group: (group.contributed_on, group.contribution, group.name))
    return Group(root, stratum, first.requested, first.contributed_on, first.contribution)


def _joined(
    groups: Iterable[str], links: Iterable[tuple[str, str]], assigned: Mapping[str, Split]
) -> tuple[dict[str, str], frozenset[tuple[str, str]]]:
    """Return the smallest name of every group's component, and the pairs that cannot be joined."""
    from scipy.cluster.hierarchy import DisjointSet  # takes most of a second to import

    sets, splits, refused = DisjointSet(groups), dict(assigned), set()
    for one, other in links:
        sets.add(one)
        sets.add(other)
        places = {splits[root] for root in (sets[one], sets[other]) if root in splits}
        if len(places) > 1:
            refused.add((one, other))
        elif sets.merge(one, other) and places:
            splits[sets[one]] = places.pop()
    return {name: min(members) for members in sets.subsets() for name in members}, frozenset(refused)


def _named(roots: Mapping[str, str], placed: list[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for group in placed:
        names.setdefault(roots[group], group)
    return {group: names[roots[group]] for group in placed}


def _turn(group: Group) -> tuple[bool, date, str]:
    """Sort requests first, then by day, so that cuts by day have their shares too, then at random."""
    return group.requested is None, group.contributed_on, hashlib.sha256(f"split:{group.name}".encode()).hexdigest()


class _Counts:
    """Components of every split, in the order of `SPLITS`: by stratum, by diagnosis and in all."""

    def __init__(self) -> None:
        self._by_level: dict[str, list[int]] = {}

    def add(self, stratum: str, split: Split) -> None:
        """Count one component."""
        for counts in self._levels(stratum):
            counts[SPLITS.index(split)] += 1

    def neediest(self, stratum: str) -> Split:
        """Return the split that the next component of a stratum belongs in."""
        levels = self._levels(stratum)
        of_stratum, _, whole = levels
        n_groups = 1 + sum(whole)
        room = [n for n, count in enumerate(whole) if _has_room(count, n, n_groups)]
        large = max(n_groups, _SMALL)
        uncovered = [n for n, count in enumerate(whole) if not of_stratum[n] and _has_room(count - _COVERAGE, n, large)]
        needs = [sum(_SHARES[n] * (1 + sum(counts)) - counts[n] for counts in levels) for n in range(len(SPLITS))]
        return SPLITS[max(uncovered or room, key=lambda n: (needs[n], _SHARES[n]))]

    def _levels(self, stratum: str) -> list[list[int]]:
        names = (stratum, stratum.split("-")[0] + "*", "**")
        return [self._by_level.setdefault(name, [0] * len(SPLITS)) for name in names]


def _has_room(count: int, n: int, n_groups: int) -> bool:
    """Tell whether one more leaves the n-th split within its share of so many, give or take; one split always has."""
    return count + 1 <= _SHARES[n] * n_groups + max(_SLACK, _SLACK_SHARE * n_groups)
