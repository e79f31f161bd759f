"""Owns made-up histories of contributions for the tests of the split: groups that come, change and are linked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ladnn.dataset.split import RATIOS, SPLITS, STRATA, Group, Placement, Split, place

KINDS = {
    "paper": (0.02, 0.47, 0.08, 0.18, 0.12, 0.07, 0.04, 0.02),
    "few positives": (0.0, 0.93, 0.01, 0.02, 0.01, 0.01, 0.01, 0.01),
    "even": (0.125,) * 8,
    "positives first": (0.0, 0.0, 0.2, 0.3, 0.2, 0.1, 0.1, 0.1),
    "one stratum": (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "richest": (0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.1, 0.8),
}
"""Probabilities of `STRATA`."""


@dataclass(frozen=True)
class Plan:
    """What a history is drawn from."""

    seed: int
    sizes: tuple[int, ...]
    """New groups of each batch."""
    kinds: tuple[str, ...]
    """Mix of strata of each batch; the last one counts for the rest."""
    link_share: float = 0.0
    """Links a new group, to a group that came before or at the same time."""
    change_share: float = 0.0
    """Groups of before, a new group, whose stratum changes: another image, or a corrected label."""
    request_share: float = 0.0
    """New groups that ask for training or validation."""


@dataclass
class State:
    """What there is after a batch."""

    groups: dict[str, Group] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    assigned: dict[str, Split] = field(default_factory=dict)
    placement: Placement = field(default_factory=lambda: Placement({}, {}, frozenset()))

    def freeze(self) -> None:
        """Place what is new, as a freeze does."""
        self.placement, new = place(self.groups, sorted(self.links), self.assigned)
        self.assigned = self.assigned | new

    def components(self) -> dict[str, Split]:
        """Return the split of every component."""
        return {self.placement.components[name]: split for name, split in self.placement.splits.items()}


def history(plan: Plan) -> Iterator[State]:
    """Yield the state after each batch, frozen; the same object every time."""
    rng = np.random.default_rng(plan.seed)
    state = State()
    for number, size in enumerate(plan.sizes):
        add_batch(state, plan, number, size, rng)
        state.freeze()
        yield state


def add_batch(state: State, plan: Plan, number: int, size: int, rng: np.random.Generator) -> None:
    """Add new groups, changes and links, without placing them."""
    kind = plan.kinds[min(number, len(plan.kinds) - 1)]
    before = list(state.groups)
    for turn, stratum in enumerate(rng.choice(STRATA, size, p=KINDS[kind]).tolist()):
        group = Group(f"p{plan.seed}-{number}-{turn}", stratum, _requested(plan, rng))
        state.groups[group.name] = group
    names = list(state.groups)
    for name in names[len(before) :]:
        if rng.random() < plan.link_share:
            other = names[rng.integers(len(names))]
            state.links |= {(min(name, other), max(name, other))} - {(name, name)}
    for _ in range(int(rng.binomial(size, plan.change_share)) if before else 0):
        name = before[rng.integers(len(before))]
        state.groups[name] = Group(name, STRATA[rng.integers(len(STRATA))])


def off_target(splits: list[Split]) -> float:
    """Return the largest distance of a split's share from its target."""
    shares = Counter(splits)
    return max(abs(shares[split] / len(splits) - RATIOS[split]) for split in SPLITS)


def _requested(plan: Plan, rng: np.random.Generator) -> Split | None:
    if rng.random() >= plan.request_share:
        return None
    return "train" if rng.random() < 0.8 else "validation"
