"""Confidence intervals over patients: the interval value, the cluster bootstrap that fills it, and the AUROC.

Images of one patient are not independent, so whole patients are resampled with replacement and every image carries
the number of times its patient was drawn as its weight.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

FloatArray = NDArray[np.floating[Any]]
Weights = NDArray[np.float64]

Statistic = Callable[[Weights], Weights]
"""Case weights (replicates, cases) to metrics (replicates, metrics), NaN where a metric is undefined."""

_CHUNK_CELLS = 2**20
"""Weights held at once, so that memory does not grow with replicates times cases (8 MB an array)."""


class Bootstrap(BaseModel):
    """How intervals are sampled.

    Attributes:
        n_replicates: resamplings of the patients.
        confidence: two-sided coverage, between 0 and 1.
        seed: of the generator; the same seed draws the same patients.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_replicates: int = Field(ge=1)
    confidence: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)


class Interval(BaseModel):
    """A metric with its confidence interval; `None`, never NaN, where there are not enough cases to compute it.

    Attributes:
        value: point estimate on the cases as they are.
        low: lower confidence bound.
        high: upper confidence bound.
        n: cases behind the value: those in the denominator of a proportion, else all with a known label.
        note: why there is no value or there are no bounds, or how these were found where the usual way finds none.
        confidence: two-sided coverage of the bounds, between 0 and 1; None without bounds, or in what an earlier release wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    n: int = Field(ge=0)
    note: str | None = None
    confidence: float | None = Field(default=None, gt=0, lt=1)

    def __str__(self) -> str:
        """Show the value with its interval, such as `0.912 [0.851, 0.960]`; n/a where there are not enough cases."""
        if self.value is None:
            return "n/a"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (no interval: {self.note})" if self.note else f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


NOT_ENOUGH, NOT_FINITE = "not enough cases", "a score is not finite"


def not_computable(n: int, note: str = NOT_ENOUGH) -> Interval:
    """Return the interval of a metric that `n` cases do not define."""
    return Interval(value=None, low=None, high=None, n=n, note=note)


def cluster_bootstrap(
    statistic: Statistic, patients: Sequence[str], n_cases: Sequence[int], sampling: Bootstrap
) -> tuple[Interval, ...]:
    """Estimate several metrics at once, each with a percentile interval over resampled patients.

    All metrics see the same resampled patients. Replicates in which a metric is undefined (a class was not drawn) are
    skipped for that metric; when they are more than half, or when there is one patient only, it gets no bounds.

    Percentile interval: Efron and Tibshirani 1993, *An Introduction to the Bootstrap*, section 13.3. Resampling of
    whole clusters: Field and Welsh 2007, J. R. Stat. Soc. B 69:369-390.

    Args:
        statistic: maps weights (R, N) to metrics (R, M); weights of one give the point estimates.
        patients: patient of each case (N,).
        n_cases: cases behind each metric (M,).
        sampling: replicates, confidence and seed.
    """
    n_patients, patient_of_case = _numbered(patients)
    return _bootstrap(lambda draws: statistic(draws[:, patient_of_case]), n_patients, len(patients), n_cases, sampling)


def bootstrap_of_totals(
    statistic: Statistic, values: Weights, patients: Sequence[str], n_cases: Sequence[int], sampling: Bootstrap
) -> tuple[Interval, ...]:
    """Do the same for metrics that depend on sums over the cases alone: patients are summed once, then weighted.

    Args:
        statistic: maps totals (R, K) to metrics (R, M).
        values: what is summed, of each case (N, K); finite.
        patients: patient of each case (N,).
        n_cases: cases behind each metric (M,).
        sampling: the same as for `cluster_bootstrap` draws the same patients.
    """
    n_patients, patient_of_case = _numbered(patients)
    by_patient = np.zeros((n_patients, values.shape[1]))
    np.add.at(by_patient, patient_of_case, values)
    return _bootstrap(lambda draws: statistic(draws @ by_patient), n_patients, n_patients, n_cases, sampling)


def random_halves(patients: Sequence[str], sampling: Bootstrap) -> Weights:
    """Return case weights (R, N) of 1 for a random half of the patients and 0 for the rest, drawn anew R times."""
    n_patients, patient_of_case = _numbered(patients)
    ranks = np.random.default_rng(sampling.seed).random((sampling.n_replicates, n_patients)).argsort(axis=1)
    return (ranks < n_patients // 2)[:, patient_of_case].astype(np.float64)


def _numbered(patients: Sequence[str]) -> tuple[int, NDArray[np.intp]]:
    names, patient_of_case = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    return names.size, patient_of_case


def _bootstrap(
    statistic: Statistic, n_patients: int, n_cells: int, n_cases: Sequence[int], sampling: Bootstrap
) -> tuple[Interval, ...]:
    """Resample for a statistic of the times (R, patients) that each patient was drawn; `n_cells` a replicate."""
    if n_patients == 0:
        return tuple(not_computable(n) for n in n_cases)
    values = statistic(np.ones((1, n_patients)))[0]
    if n_patients > 1:
        replicates = np.concatenate([statistic(chunk) for chunk in _draws(n_patients, n_cells, sampling)])
    else:  # every resampling of one patient is that patient: an interval of width zero would claim certainty
        replicates = np.full((1, len(n_cases)), np.nan)
    return tuple(
        _interval(value, column, n, sampling.confidence)
        for value, column, n in zip(values, replicates.T, n_cases, strict=True)
    )


def _draws(n_patients: int, n_cells: int, sampling: Bootstrap) -> Iterator[Weights]:
    """Yield how often each patient is drawn (chunk, patients); the draws do not depend on the size of the chunks."""
    rng = np.random.default_rng(sampling.seed)
    chunk = max(1, _CHUNK_CELLS // n_cells)
    for start in range(0, sampling.n_replicates, chunk):
        size = min(chunk, sampling.n_replicates - start)
        drawn = rng.integers(n_patients, size=(size, n_patients)) + n_patients * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n_patients)
        yield counts.reshape(size, n_patients).astype(np.float64)


def _interval(value: float, replicates: Weights, n: int, confidence: float) -> Interval:
    if np.isnan(value):
        return not_computable(n)
    defined = replicates[~np.isnan(replicates)]
    if 2 * defined.size < replicates.size:
        note = "one patient only" if replicates.size == 1 else "most resamplings lack a class"
        return Interval(value=float(value), low=None, high=None, n=n, note=note)
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(value=float(value), low=float(low), high=float(high), n=n, confidence=confidence)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Cases sorted by score once, so that any matrix of case weights is tallied with sums over distinct scores.

    Attributes:
        distinct: distinct scores, ascending (D,).
    """

    distinct: Weights
    _order: NDArray[np.intp]
    _first_of_tie: NDArray[np.intp]
    _present: NDArray[np.bool_]

    @classmethod
    def of(cls, present: NDArray[np.bool_], scores: FloatArray) -> "Ranking":
        """Rank cases (N,) by finite scores (N,)."""
        order = np.argsort(scores, kind="stable")
        distinct, first_of_tie = np.unique(scores[order], return_index=True)
        return cls(distinct.astype(np.float64), order, first_of_tie, present[order])

    def tally(self, weights: Weights) -> tuple[Weights, Weights]:
        """Sum case weights (R, N) of present and absent cases over each distinct score, two arrays (R, D)."""
        ranked = weights[:, self._order]
        present, absent = ranked * self._present, ranked * ~self._present
        return (
            np.add.reduceat(present, self._first_of_tie, axis=1),
            np.add.reduceat(absent, self._first_of_tie, axis=1),
        )


def weighted_auroc(present: Weights, absent: Weights) -> Weights:
    """Share of pairs ranked right, ties counting half (Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747).

    Args:
        present: weight of the present cases by ascending distinct score (R, D).
        absent: the same of the absent cases.

    Returns:
        (R,), NaN where there are no present or no absent cases.
    """
    n_outranked = np.cumsum(absent, axis=1) - absent / 2
    return ratio((present * n_outranked).sum(axis=1), present.sum(axis=1) * absent.sum(axis=1))


def auroc_interval(
    present: NDArray[np.bool_], scores: FloatArray, patients: Sequence[str], sampling: Bootstrap
) -> Interval:
    """Return the AUROC of finite scores (N,) for cases (N,), with its interval over patients (N,)."""
    if not len(patients):
        return not_computable(0)
    ranking = Ranking.of(present, scores)
    (interval,) = cluster_bootstrap(
        lambda weights: weighted_auroc(*ranking.tally(weights))[:, None], patients, [len(patients)], sampling
    )
    return interval


def ratio(numerator: Weights, denominator: Weights) -> Weights:
    """Divide, NaN where the denominator is not positive."""
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
