"""Metrics that are ratios of sums over the cases: decisions at a threshold, and how far probabilities are from labels.

They need no ranking, so each patient is summed once and the bootstrap only weights these sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ladnn.evaluation.cases import Cases
from ladnn.evaluation.reliability import gaps, wilson
from ladnn.statistics import (
    NOT_ENOUGH,
    NOT_FINITE,
    Bootstrap,
    Interval,
    Weights,
    bootstrap_of_totals,
    not_computable,
    ratio,
)

LESION_THRESHOLD = 0.5
"""Probability at or above which a lesion counts as found."""
_TP, _FN, _FP, _TN, _SQUARED_ERROR = range(5)
_FIRST_GAP = 5
"""Columns of the sums: four counts, squared errors, then label minus probability by bin."""


@dataclass(frozen=True, slots=True)
class ThresholdMetrics:
    """The metrics of `AT_THRESHOLD`, ready for a bootstrap.

    Attributes:
        values: what is summed over the cases (N, K).
        n_cases: cases behind each metric and behind the noise of the calibration error, which comes last.
    """

    values: Weights
    n_cases: tuple[int, ...]
    _gap: Weights
    _n_patients: dict[str, int]
    """Patients behind each metric that is a proportion."""

    @classmethod
    def of(cls, cases: Cases, threshold: float) -> "ThresholdMetrics":
        """Prepare cases with finite probabilities; positive is a probability at or above the threshold."""
        values = _values(cases, threshold)
        gap = values[:, _FIRST_GAP:].sum(axis=0) / max(cases.n, 1)
        called = cases.probabilities >= threshold
        n_patients = {
            "sensitivity": cases.n_patients(present=True),
            "specificity": cases.n_patients(present=False),
            "precision": np.unique(cases.patient[called]).size,
            "accuracy": cases.n_all_patients,
        }
        return cls(values, (*_n_cases(cases, threshold), cases.n), gap, n_patients)

    def statistic(self, totals: Weights) -> Weights:
        """Return metrics and noise (R, M + 1) of totals (R, K)."""
        noise = ratio(totals[:, _FIRST_GAP:], _n(totals)[:, None]) - self._gap
        return np.stack([*(metric(totals) for metric in _METRICS.values()), np.abs(noise).sum(axis=1)], axis=1)

    def named(self, intervals: Sequence[Interval], confidence: float) -> dict[str, Interval]:
        """Name the intervals (M + 1) that a bootstrap of this confidence made of the statistic."""
        measured = dict(zip(AT_THRESHOLD, intervals[:-1], strict=True))
        measured["ece"] = _bounded(measured["ece"], intervals[-1])
        return {
            name: not_certain(interval, self._n_patients.get(name), confidence) for name, interval in measured.items()
        }


def not_certain(interval: Interval, n_patients: int | None, confidence: float) -> Interval:
    """Replace bounds of width zero: all resamplings agree where no case is wrong, but other patients may not.

    A proportion of `n_patients` gets Wilson's bounds, as if a patient's images told no more than one; any other metric
    (None) gets no bounds.
    """
    if interval.value is None or interval.low is None or interval.low != interval.high:
        return interval
    if n_patients is None:
        without = {"low": None, "high": None, "confidence": None, "note": "all resamplings of patients agree"}
        return interval.model_copy(update=without)
    low, high = wilson(interval.value, n_patients, confidence)
    note = "all resamplings of patients agree; bounds by Wilson's interval for as many cases as patients"
    return interval.model_copy(update={"low": low, "high": high, "note": note})


def not_measured(cases: Cases, threshold: float) -> dict[str, Interval]:
    """Return the metrics of cases whose probabilities are not all finite: none has a value."""
    note = NOT_ENOUGH if cases.finite else NOT_FINITE
    return {name: not_computable(n, note) for name, n in zip(AT_THRESHOLD, _n_cases(cases, threshold), strict=True)}


def intervals_at_threshold(cases: Cases, threshold: float, sampling: Bootstrap) -> dict[str, Interval]:
    """Return the metrics of `AT_THRESHOLD` with intervals over patients; without values where a score is not finite.

    Args:
        cases: with probabilities.
        threshold: positive at or above it.
        sampling: of the intervals.
    """
    if not cases.finite:
        return not_measured(cases, threshold)
    metrics = ThresholdMetrics.of(cases, threshold)
    intervals = bootstrap_of_totals(metrics.statistic, metrics.values, cases.patients, metrics.n_cases, sampling)
    return metrics.named(intervals, sampling.confidence)


def lesion_f1(
    found: Sequence[Cases], rows: Sequence[NDArray[np.bool_]], patients: Sequence[str], sampling: Bootstrap
) -> tuple[Interval, ...]:
    """Return the F1 score of each lesion, all on the same resampled patients.

    Args:
        found: cases of each lesion (L); the probability 0.5 counts as found.
        rows: which images they are, bool (N,) of each lesion.
        patients: patient of each image (N,).
        sampling: of the intervals.
    """
    values = np.zeros((len(patients), len(found), 4))
    for lesion, (cases, inside) in enumerate(zip(found, rows, strict=True)):
        values[inside, lesion] = _counts(cases, LESION_THRESHOLD) if cases.finite else 0.0

    def statistic(totals: Weights) -> Weights:
        return np.stack([_f1(part) for part in np.split(totals, len(found), axis=1)], axis=1)

    n_cases = [cases.n for cases in found]
    flat = values.reshape(len(patients), -1)
    intervals = bootstrap_of_totals(statistic, flat, patients, n_cases, sampling)
    return tuple(not_certain(interval, None, sampling.confidence) for interval in intervals)


def _n_cases(cases: Cases, threshold: float) -> tuple[int, ...]:
    n_called = int((cases.probabilities >= threshold).sum())
    behind = {"sensitivity": cases.n_present, "specificity": cases.n - cases.n_present, "precision": n_called}
    return tuple(behind.get(name, cases.n) for name in AT_THRESHOLD)


def _counts(cases: Cases, threshold: float) -> Weights:
    present, called = cases.present, cases.probabilities >= threshold
    return np.column_stack([present & called, present & ~called, ~present & called, ~present & ~called]).astype(
        np.float64
    )


def _values(cases: Cases, threshold: float) -> Weights:
    squared_error = (cases.probabilities - cases.present) ** 2
    return np.column_stack([_counts(cases, threshold), squared_error, gaps(cases)])


def _n(totals: Weights) -> Weights:
    return np.asarray(totals[:, _TP : _TN + 1].sum(axis=1))


def _n_present(totals: Weights) -> Weights:
    return np.asarray(totals[:, _TP] + totals[:, _FN])


def _sensitivity(totals: Weights) -> Weights:
    return ratio(totals[:, _TP], _n_present(totals))


def _specificity(totals: Weights) -> Weights:
    return ratio(totals[:, _TN], totals[:, _TN] + totals[:, _FP])


def _precision(totals: Weights) -> Weights:
    return ratio(totals[:, _TP], totals[:, _TP] + totals[:, _FP])


def _f1(totals: Weights) -> Weights:
    """2 TP / (2 TP + FP + FN); undefined, not zero, where no case is positive, because sensitivity is undefined."""
    n_present = _n_present(totals)
    return ratio(2 * totals[:, _TP], np.where(n_present > 0, totals[:, _TP] + totals[:, _FP] + n_present, 0.0))


def _accuracy(totals: Weights) -> Weights:
    return ratio(totals[:, _TP] + totals[:, _TN], _n(totals))


def _brier(totals: Weights) -> Weights:
    """Mean squared error of the probability (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2)."""
    return ratio(totals[:, _SQUARED_ERROR], _n(totals))


def _ece(totals: Weights) -> Weights:
    """Mean distance of observed share and mean probability over the bins, weighted by their cases."""
    return ratio(np.abs(totals[:, _FIRST_GAP:]).sum(axis=1), _n(totals))


_METRICS: dict[str, Callable[[Weights], Weights]] = {
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "precision": _precision,
    "f1": _f1,
    "accuracy": _accuracy,
    "brier": _brier,
    "ece": _ece,
}
AT_THRESHOLD = tuple(_METRICS)
"""Names of the metrics, in the order in which they are shown."""


def _bounded(ece: Interval, noise: Interval) -> Interval:
    """Give the calibration error bounds that hold for a well calibrated model, too.

    A sum of distances is above zero even where the truth is zero, and further in a resampling than in the sample, so
    its percentiles lie too high. The true error differs from the measured one by no more than the noise of all bins
    together (triangle inequality); the lower bound takes off a high quantile of that noise, as the resampled patients
    show it. The upper bound is the percentile, which errs to the safe side.
    """
    if ece.value is None or ece.high is None or noise.high is None:
        return ece
    low, high = max(0.0, ece.value - noise.high), max(ece.value, ece.high)
    return ece.model_copy(update={"low": low, "high": high})
