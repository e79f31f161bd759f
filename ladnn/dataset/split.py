"""The patient split: 60/15/25 train/validation/test by group, stratified, once and for ever.

A group is a patient, or a study where the patient is unknown. Assignments are numbered, append-only batches.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ladnn.errors import DatasetError
from ladnn.store import ObjectStore, read_json, write_json_if_absent

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
RATIOS: dict[Split, float] = {"train": 0.60, "validation": 0.15, "test": 0.25}
"""Share of patients (paper, section on data)."""
_BATCHES = "splits/"


@dataclass(frozen=True, slots=True)
class Group:
    """What of a group decides its place: diagnosis and number of lesions, or the split its contributor asks for."""

    name: str
    stratum: str
    """Such as "positive-2" (lesions), "negative" or "unknown"."""
    requested: Split | None = None


def assign(groups: Iterable[Group], assigned: Mapping[str, Split], strata: Mapping[str, str]) -> dict[str, Split]:
    """Place the groups that have no place yet; the result does not depend on the order they come in.

    The first three of a stratum go to three different splits, so that each split shows every kind of patient. Every
    other one goes where its stratum, its diagnosis and the whole lack most of their target share.

    Args:
        groups: all groups, with and without a place.
        assigned: places given before; they never change.
        strata: stratum of every group, placed or not.

    Returns:
        Places of the new groups only.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for name, split in assigned.items():
        _count(counts, strata.get(name, "unknown"), split)
    placed: dict[str, Split] = {}
    waiting = {group.name: group for group in groups if group.name not in assigned}
    for group in sorted(waiting.values(), key=lambda group: (group.requested is None, _shuffled(group.name))):
        split = group.requested or _neediest(counts, group.stratum)
        placed[group.name] = split
        _count(counts, group.stratum, split)
    return placed


def load_assignments(store: ObjectStore) -> tuple[dict[str, Split], int]:
    """Return every group's split and the number of batches read."""
    assigned: dict[str, Split] = {}
    keys = list(store.list(_BATCHES))
    for key in keys:
        assigned = read_json(store, key)["assignments"] | assigned  # the first place holds
    return assigned, len(keys)


def place_groups(store: ObjectStore, groups: Mapping[str, Group]) -> dict[str, Split]:
    """Return the split of every group, after placing and recording the new ones.

    Raises:
        DatasetError: other processes kept recording first.
    """
    strata = {name: group.stratum for name, group in groups.items()}
    for _ in range(20):
        assigned, n_batches = load_assignments(store)
        new = assign(groups.values(), {k: v for k, v in assigned.items() if k in groups}, strata)
        if not new or write_json_if_absent(store, f"{_BATCHES}{n_batches + 1:06d}.json", {"assignments": new}):
            return {name: new.get(name) or assigned[name] for name in groups}
    raise DatasetError("other processes kept placing patients at the same time; run the command again")


def _shuffled(name: str) -> str:
    return hashlib.sha256(f"split:{name}".encode()).hexdigest()


def _levels(stratum: str) -> tuple[str, str, str]:
    return stratum, stratum.split("-")[0] + "*", "**"


def _count(counts: Counter[tuple[str, str]], stratum: str, split: str) -> None:
    for level in _levels(stratum):
        counts[level, split] += 1


def _neediest(counts: Counter[tuple[str, str]], stratum: str) -> Split:
    uncovered = [split for split in SPLITS if not counts[stratum, split]]
    return max(uncovered or SPLITS, key=lambda split: (_need(counts, stratum, split), RATIOS[split]))


def _need(counts: Counter[tuple[str, str]], stratum: str, split: Split) -> float:
    """How many groups this split lacks, summed over stratum, diagnosis and whole."""
    need = 0.0
    for level in _levels(stratum):
        n_groups = 1 + sum(counts[level, other] for other in SPLITS)
        need += RATIOS[split] * n_groups - counts[level, split]
    return need
