"""Reference against current, site by site: which properties of which sites moved, beyond chance and by how much.

A site that was there before is held against itself, so that a week in which other hospitals contribute is no drift; new
sites are held against all that was there. What a model computes is held against patients that it was not fitted to.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.permutation import Shift, shifts
from ladnn.governance.drift.sample import FAMILIES, MODEL_FAMILIES, QUARANTINED, Sample, on_common_terms

Stream = Literal["contributions", "service", "intake"]
Basis = Literal["data", "model"]
KNOWN_SITES, NEW_SITES, ALL_SITES = "sites known before", "new sites", "all"
_JOINT = (KNOWN_SITES, NEW_SITES, ALL_SITES)
_ELSEWHERE = 0.5
"""Share of a site's shift that other sites may show, while it still counts as that site's alone."""
_LEAST_PERMUTATIONS = 999
_STEPS_OF_ALPHA = 2
"""Permutations are so many that the strictest limit of Holm's method is this many times the smallest p-value."""


class Moved(BaseModel):
    """A property that moved."""

    model_config = ConfigDict(frozen=True)

    name: str
    distance: float
    """0 (the same) to 1; see `ladnn.governance.drift.permutation`."""
    excess: float
    """What is left of it without what so few patients give by chance."""
    p_value: float
    """Adjusted for all properties of the comparison."""


class Comparison(BaseModel):
    """One comparison of patients before with patients now."""

    model_config = ConfigDict(frozen=True)

    stream: Stream
    scope: str
    """`all`, `sites known before`, `new sites`, or one site."""
    site: str | None
    """The site, where it is one alone."""
    basis: Basis
    """Data: acquisition, intensity and labels. Model: embedding and predictions of the champion."""
    n_reference_patients: int
    n_current_patients: int
    p_value: float | None
    """Of the whole comparison; None where there are not enough cases."""
    alarm: bool
    """The p-value holds among all comparisons (Holm), and a property moved by enough."""
    moved: tuple[Moved, ...]
    """Properties that moved, farthest first; empty without an alarm."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What one stream is compared with.

    Attributes:
        reference: all that the champion was developed on; what it computes is stated for patients alone that it was not
            fitted to.
        current: what came since.
        known_sites: sites of all the reference; a stream without sites has none, and is compared as a whole.
    """

    reference: Sample
    current: Sample
    known_sites: frozenset[str]

    def of_basis(self, basis: Basis) -> tuple[Sample, Sample]:
        """Return both sides with the properties that do or do not come from the model."""
        families = MODEL_FAMILIES if basis == "model" else frozenset(FAMILIES) - MODEL_FAMILIES
        reference, current = self.reference.of_families(families), self.current.of_families(families)
        if basis == "model":
            reference = reference.where(reference.table.notna().any(axis="columns").to_numpy(dtype=np.bool_))
        return reference, current


@dataclass(frozen=True, slots=True)
class _Asked:
    stream: Stream
    scope: str
    site: str | None
    basis: Basis
    reference: Sample
    current: Sample
    by_site: bool
    least: int

    @property
    def answerable(self) -> bool:
        return bool(self.current.table.columns.size) and self.least <= min(
            self.reference.n_patients, self.current.n_patients
        )


def compare(streams: dict[Stream, Sides], config: DriftConfig, seed: int) -> tuple[Comparison, ...]:
    """Compare each stream with its reference, over all sites and site by site.

    Args:
        streams: what is compared.
        config: limits.
        seed: of the permutations.
    """
    asked = [question for stream, sides in streams.items() for question in _questions(stream, sides, config)]
    asked = [question for question in asked if question.stream != "intake" or _more_is_quarantined(question)]
    n_tests = sum(question.answerable for question in asked)
    n_permutations = max(_LEAST_PERMUTATIONS, math.ceil(_STEPS_OF_ALPHA * n_tests / config.alpha))
    found = [_shifts(question, n_permutations, seed) if question.answerable else None for question in asked]
    p_values = [min((shift.p_value for shift in item), default=1.0) for item in found if item is not None]
    holding = iter(holm(p_values, config.alpha))
    return tuple(
        _comparison(question, item, item is not None and next(holding), config)
        for question, item in zip(asked, found, strict=True)
    )


def moved_alone(sides: Sides, found: Sequence[Comparison], config: DriftConfig, seed: int) -> bool:
    """Tell whether the sites that moved are to be asked, as far as can be told: no others moved with them.

    Where they are left out nothing moves beyond chance, and what moved most at them moves less than half as far
    elsewhere: few patients can fail to show what happens everywhere. Where others sent too little to tell, or nothing,
    one site that moved may be alone, and two are not; a single hospital has none to be held against.
    """
    alarms = [item for item in found if item.alarm and item.site]
    sites = {item.site for item in alarms if item.site}
    if not sites or not (sides.known_sites | set(map(str, sides.current.sites))) - sites:
        return False
    rest = elsewhere_than(sides, sites)
    if rest.n_patients < config.min_site_patients:
        return len(sites) == 1
    elsewhere = Sides(sides.reference, rest, sides.known_sites)
    if any(item.alarm for item in compare({"contributions": elsewhere}, config, seed)):
        return False
    questions = [
        item
        for item in _questions("contributions", elsewhere, config)
        if item.scope in _JOINT and item.current.table.columns.size
    ]
    excess = {s.name: s.excess for item in questions for s in _shifts(item, _LEAST_PERMUTATIONS, seed)}
    moved_at = {site: [moved for item in alarms if item.site == site for moved in item.moved] for site in sites}
    farthest = [max(moved, key=lambda item: item.excess) for moved in moved_at.values()]
    return all(excess.get(moved.name, 0.0) < _ELSEWHERE * moved.excess for moved in farthest)


def needed(site: str | None, config: DriftConfig) -> int:
    """Return how many patients a comparison needs on each side: of one site, or of several."""
    return config.min_site_patients if site else config.min_patients


def elsewhere_than(sides: Sides, sites: Iterable[str]) -> Sample:
    """Return what other sites sent."""
    return sides.current.where(~np.isin(sides.current.sites, list(sites)))


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Tell which of several tests hold together at a family-wise level (Holm 1979, Scand. J. Stat. 6:65-70)."""
    order = np.argsort(p_values, kind="stable")
    holds = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        holds[index] = True
    return holds


def _questions(stream: Stream, sides: Sides, config: DriftConfig) -> Iterator[_Asked]:
    known = np.isin(sides.current.sites, list(sides.known_sites))
    sites = np.unique(sides.current.sites)
    alone = str(sites[0]) if len(sites) == 1 and sites[0] else None
    least = needed(alone, config)
    bases: tuple[Basis, ...] = ("data", "model")
    for basis in bases:
        before, now = sides.of_basis(basis)
        mixed = known.any() and not known.all()
        if known.any():
            scope = KNOWN_SITES if mixed else ALL_SITES
            of_both = np.array([alone]) if alone else np.intersect1d(before.sites, now.sites)
            here = before.where(np.isin(before.sites, of_both)), now.where(np.isin(now.sites, of_both))
            yield _Asked(stream, scope, alone, basis, *here, True, least)
        if not known.all():
            scope = NEW_SITES if mixed else ALL_SITES
            yield _Asked(stream, scope, alone, basis, before, now.where(~known), False, least)
        for site in sites if len(sites) > 1 else ():
            of_site = before.where(before.sites == site) if site in sides.known_sites else before
            here = of_site, now.where(now.sites == site)
            yield _Asked(stream, str(site), str(site), basis, *here, False, needed(str(site), config))


def _more_is_quarantined(asked: _Asked) -> bool:
    """Tell whether a site is asked about whose share in quarantine rose: less rubbish than before is no harm."""
    return bool(asked.site and asked.basis == "data" and quarantined(asked.current) > quarantined(asked.reference))


def quarantined(sample: Sample) -> float:
    """Return the share in quarantine of what was sent; each contribution counts once."""
    return float(sample.table[QUARANTINED].groupby(sample.patients).mean().mean())


def _shifts(asked: _Asked, n_permutations: int, seed: int) -> list[Shift]:
    reference, current = on_common_terms(asked.reference, asked.current)
    one = np.zeros(reference.n_images, np.str_), np.zeros(current.n_images, np.str_)
    strata = (reference.sites, current.sites) if asked.by_site else one
    return shifts(reference, current, strata, n_permutations, seed)


def _comparison(asked: _Asked, found: list[Shift] | None, holds: bool, config: DriftConfig) -> Comparison:
    moved = [
        Moved(name=item.name, distance=item.distance, excess=item.excess, p_value=item.p_value)
        for item in found or ()
        if holds and item.p_value <= config.alpha and item.distance >= config.min_distance
    ]
    return Comparison(
        stream=asked.stream,
        scope=asked.scope,
        site=asked.site,
        basis=asked.basis,
        n_reference_patients=asked.reference.n_patients,
        n_current_patients=asked.current.n_patients,
        p_value=None if found is None else min((item.p_value for item in found), default=1.0),
        alarm=bool(moved),
        moved=tuple(sorted(moved, key=lambda item: -item.distance)),
    )
