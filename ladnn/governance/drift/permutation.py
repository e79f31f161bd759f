"""Whether two samples of images differ, judged over all their properties at once, by permuting whole patients.

A property's distance is the largest distance of its two distributions (Kolmogorov-Smirnov) or, for categories, half the
sum of the differences of their shares (total variation), both from 0 to 1. Each patient counts once, whatever the number
of images. If nothing changed, it is chance which patients came before and which after: patients are dealt to the two
sides anew, within their stratum, and the largest standardised distance over all properties is compared with what that
gives (Westfall and Young 1993, *Resampling-Based Multiple Testing*, section 2.5). The number of properties and
their correlation therefore do not raise the chance of a false alarm.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ladnn.governance.drift.sample import Sample, is_numeric

Floats = NDArray[np.float64]
_STEPS = 100
"""Places at which distributions of numbers are compared: pooled values, or quantiles where there are more."""
_SAME = 1e-9
"""Distances that differ by less are rounded sums of the same numbers."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one property moved.

    Attributes:
        distance: 0 (the same) to 1.
        excess: what is left of it without what so few patients give by chance.
        p_value: chance of a distance as unusual as this in any property, if nothing changed.
    """

    name: str
    distance: float
    excess: float
    p_value: float


@dataclass(frozen=True, slots=True)
class _Dealt:
    """Patients of both sides and how they are dealt.

    Attributes:
        current: 1 where a patient is on the current side (R, P); the first row is what was observed.
        weight: of each patient on the reference side, so that it has the current side's mix of strata (P,).
    """

    current: Floats
    weight: Floats

    def distances(self, shares: Floats) -> Floats:
        """Compare the two sides' weighted means of what each patient has (P, K + 1); the last column tells what is stated.

        Returns:
            Differences (R, K), 0 where a side states nothing.
        """
        now = self.current @ shares
        weighted = self.weight[:, None] * shares
        before = weighted.sum(axis=0) - self.current @ weighted
        stated = np.minimum(now[:, -1], before[:, -1]) > _SAME
        scale = np.where(stated, now[:, -1], np.inf), np.where(stated, before[:, -1], np.inf)
        return now[:, :-1] / scale[0][:, None] - before[:, :-1] / scale[1][:, None]  # type: ignore[no-any-return]


def shifts(
    reference: Sample,
    current: Sample,
    strata: tuple[NDArray[np.str_], NDArray[np.str_]],
    n_permutations: int,
    seed: int,
) -> list[Shift]:
    """Compare two samples with the same columns, property by property.

    Args:
        reference: what it was.
        current: what it is.
        strata: of each image of the two; patients are only permuted within theirs, which both sides must have.
        n_permutations: the smallest p-value is one in so many, and one.
        seed: of the generator.
    """
    dealt, patient_of_image = _deal(reference, current, strata, n_permutations, seed)
    table = pd.concat([reference.table, current.table], ignore_index=True)
    distances = np.column_stack([_distances(table, name, dealt, patient_of_image) for name in table.columns])
    spread, chance = distances.std(axis=0), distances.mean(axis=0)
    standardised = (distances - chance) / np.where(spread > _SAME, spread, np.inf)
    p_values = (standardised.max(axis=1)[:, None] >= standardised[0] - _SAME).mean(axis=0)
    return [
        Shift(str(name), float(distance), float(distance - by_chance), float(p_value))
        for name, distance, by_chance, p_value in zip(table.columns, distances[0], chance, p_values, strict=True)
    ]


def distances_of(reference: Sample, current: Sample) -> dict[str, float]:
    """Return the distance of each property, all sites together."""
    strata = np.zeros(reference.n_images, np.str_), np.zeros(current.n_images, np.str_)
    return {shift.name: shift.distance for shift in shifts(reference, current, strata, 0, 0)}


def _deal(
    reference: Sample,
    current: Sample,
    strata: tuple[NDArray[np.str_], NDArray[np.str_]],
    n_permutations: int,
    seed: int,
) -> tuple[_Dealt, NDArray[np.intp]]:
    """Deal patients; one who has images on both sides counts as one on each."""
    side = np.repeat([False, True], [reference.n_images, current.n_images])
    patients = np.concatenate([reference.patients, current.patients])
    keys = pd.DataFrame({"side": side, "stratum": np.concatenate(strata), "patient": patients})
    grouped = keys.groupby(["side", "stratum", "patient"], sort=True)
    patient_of_image: NDArray[np.intp] = np.asarray(grouped.ngroup(), dtype=np.intp)
    of_patient = grouped.size().index.to_frame(index=False)
    is_current = of_patient["side"].to_numpy(dtype=np.float64)
    dealt = np.tile(is_current, (n_permutations + 1, 1))
    weight = np.ones(len(of_patient))
    rng = np.random.default_rng(seed)
    for members in of_patient.groupby("stratum", sort=True).indices.values():
        n_current = is_current[members].sum()
        weight[members] = n_current / max(1, len(members) - n_current)
        dealt[1:, members] = rng.permuted(dealt[1:, members], axis=1)
    return _Dealt(dealt, weight), patient_of_image


def _distances(table: pd.DataFrame, name: str, dealt: _Dealt, patient_of_image: NDArray[np.intp]) -> Floats:
    """Return the distance of one property under each dealing (R,)."""
    values = table[name]
    stated = values.notna().to_numpy()
    n_patients = dealt.current.shape[1]
    patients = patient_of_image[stated]
    share = 1 / np.maximum(np.bincount(patients, minlength=n_patients), 1)
    numeric = is_numeric(table, name)
    shown = _reached(values[stated].to_numpy()) if numeric else pd.get_dummies(values[stated]).to_numpy(np.float64)
    shares = np.zeros((n_patients, shown.shape[1] + 1))
    np.add.at(shares, patients, np.column_stack([shown, np.ones(len(shown))]) * share[patients][:, None])
    gaps = np.abs(dealt.distances(shares))
    return gaps.max(axis=1, initial=0.0) if numeric else gaps.sum(axis=1) / 2  # type: ignore[no-any-return]


def _reached(values: Floats) -> Floats:
    """Tell for each value (N,) which steps it does not exceed (N, K): summed up, a cumulative distribution."""
    steps = np.unique(values)
    if len(steps) > _STEPS:
        steps = np.unique(np.quantile(values, np.linspace(0, 1, _STEPS + 2)[1:-1], method="inverted_cdf"))
    return (values[:, None] <= steps).astype(np.float64)
