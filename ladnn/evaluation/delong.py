"""AUROC with the interval of DeLong, for images of which several may be one patient's.

Variance: Obuchowski 1997, *Nonparametric analysis of clustered ROC curve data*, Biometrics 53:567-578. With one image
a patient it is that of DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837-845. The structural components come
from sorted scores (Sun and Xu 2014, doi:10.1109/LSP.2014.2337313), in time n log n. The interval is symmetric on the
scale of the AUROC and clipped to its range, as pROC's is.

Where classes are ranked without an error that variance is zero, which says nothing of other patients. The bounds are then
those of a score interval: Newcombe 2006, *Confidence intervals for an effect size measure based on the Mann-Whitney
statistic, part 2*, Statistics in Medicine 25:559-573 (doi:10.1002/sim.2324), method 5.

A difference that is held against a margin has bounds of its own, since the plain ones accept too often on few patients.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import t as student

from ladnn.evaluation.cases import Cases
from ladnn.statistics import NOT_ENOUGH, NOT_FINITE, FloatArray, Interval, Weights, not_computable

_LEAST_VARIANCE = 1e-12
"""A variance below it is zero but for rounding: an interval by it would claim certainty."""
_BELOW_ONE = 1 - 1e-12
_LEAST_LOST = 0.25
"""AUROC that a patient lost altogether costs at least, beside a champion that hardly ranks better than chance."""
ONE_PATIENT = "a class has one patient only"
BY_NEWCOMBE = "DeLong's variance is zero; bounds by Newcombe's score interval for as many cases as patients"
NO_SPREAD = "the two models rank all patients alike, so that the variance is zero"


@dataclass(frozen=True, slots=True)
class _Area:
    """An AUROC, and by how much each patient's present and absent images are ranked above it, two arrays (P,)."""

    value: float
    of_present: Weights
    of_absent: Weights


def auroc_by_delong(cases: Cases, confidence: float) -> Interval:
    """Return the AUROC of cases with its interval.

    There is no value where a class is missing or a score is not finite, and no bounds where a class has one patient
    only. Where the variance is estimated as zero (the classes are ranked apart, or all scores are the same), the bounds
    are Newcombe's, as if a patient's images told no more than one: wide rather than narrow.

    Args:
        cases: with scores that need not be probabilities.
        confidence: two-sided coverage, between 0 and 1.
    """
    if not cases.finite or not 0 < cases.n_present < cases.n:
        return not_computable(cases.n, NOT_ENOUGH if cases.finite else NOT_FINITE)
    area = _area(cases, cases.probabilities)
    measured = _interval(area.value, _variance(cases, area), cases.n, confidence, (0.0, 1.0))
    if measured.note != NO_SPREAD:
        return measured
    low, high = _score_bounds(area.value, cases.n_patients(present=True), cases.n_patients(present=False), confidence)
    return measured.model_copy(update={"low": low, "high": high, "note": BY_NEWCOMBE, "confidence": confidence})


def auroc_difference_by_delong(cases: Cases, others: FloatArray, confidence: float) -> Interval:
    """Return the AUROC of cases minus that of other scores of the same cases, for correlated curves.

    Args:
        cases: with the scores of the first model.
        others: (N,), scores of the second model for the same cases.
        confidence: two-sided coverage, between 0 and 1.
    """
    if (lacking := _lacking(cases, others)) is not None:
        return lacking
    gain = _gain(_area(cases, cases.probabilities), _area(cases, others))
    return _interval(gain.value, _variance(cases, gain), cases.n, confidence, (-1.0, 1.0))


def auroc_difference_against_margin(cases: Cases, others: FloatArray, confidence: float) -> Interval:
    """Return the same difference with bounds for a test of non-inferiority, which may be given few patients.

    The plain lower bound lies too high where models agree on most patients: a sample that happens to lack one of the few
    on whom the candidate loses shows less variance, too. Three things mend that. Patients count by Kish's effective number
    of the smaller class, (sum k)² / sum k² for k images each, of which Student's quantile has one degree of freedom less. One
    further patient counts whom the candidate loses altogether, who then ranks as the other class does: that costs the
    champion's AUROC less one half. The quantile is moved by the skewness of the patients' contributions (Hall 1992, *On the
    removal of skewness by transformation*, J. R. Stat. Soc. B 54:221-228, first term). Where nobody but that further patient
    differs, the bound is within a tenth the exact one of a count of lost patients. Measured in
    tests/evaluation/test_non_inferiority.py.

    Args:
        cases: with the scores of the candidate.
        others: (N,), scores of the champion for the same cases.
        confidence: two-sided coverage, between 0 and 1.
    """
    if (lacking := _lacking(cases, others)) is not None:
        return lacking
    champion = _area(cases, others)
    gain = _gain(_area(cases, cases.probabilities), champion)
    variance = _variance(cases, gain)
    if variance is None:
        return Interval(value=gain.value, low=None, high=None, n=cases.n, note=ONE_PATIENT)
    variance, n_patients = max(variance, 0.0), min(_n_effective(cases, present=kind) for kind in (True, False))
    further = max(champion.value - 0.5, _LEAST_LOST) / n_patients
    error = math.sqrt(variance + further**2)
    influence = gain.of_present / cases.n_present + gain.of_absent / (cases.n - cases.n_present)
    skewness = (float((influence**3).sum()) - further**3) / error**3
    tail, z = float(student.ppf((1 + confidence) / 2, max(n_patients - 1, 1.0))), _quantile(confidence)
    lower_tail = tail - min(skewness, 0.0) * (2 * z**2 + 1) / 6
    low, high = gain.value - lower_tail * error, gain.value + tail * math.sqrt(variance)
    return Interval(value=gain.value, low=max(-1.0, low), high=min(1.0, high), n=cases.n, confidence=confidence)


def _lacking(cases: Cases, others: FloatArray) -> Interval | None:
    """Return why two scores of the same cases have no difference of AUROC; None where they have one."""
    is_finite = cases.finite and bool(np.isfinite(others).all())
    if is_finite and 0 < cases.n_present < cases.n:
        return None
    return not_computable(cases.n, NOT_ENOUGH if is_finite else NOT_FINITE)


def _n_effective(cases: Cases, *, present: bool) -> float:
    """Return how many patients of one image each would tell as much as those of a class (Kish 1965, section 11.7)."""
    sizes = np.bincount(cases.patient[cases.present == present]).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def _gain(ours: _Area, theirs: _Area) -> _Area:
    """Return one area less another of the same cases; its components are differences, so that covariance counts."""
    return _Area(ours.value - theirs.value, ours.of_present - theirs.of_present, ours.of_absent - theirs.of_absent)


def _area(cases: Cases, scores: FloatArray) -> _Area:
    present, absent = scores[cases.present], scores[~cases.present]
    above = _share_below(absent, present)  # structural components of the present cases, V10
    below = 1 - _share_below(present, absent)  # of the absent cases, V01
    value = float(above.mean())
    return _Area(
        value,
        _summed(above - value, cases.patient[cases.present], cases.n_all_patients),
        _summed(below - value, cases.patient[~cases.present], cases.n_all_patients),
    )


def _summed(values: Weights, patient: NDArray[np.intp], n_patients: int) -> Weights:
    return np.bincount(patient, values, n_patients).astype(np.float64)


def _share_below(reference: FloatArray, scores: FloatArray) -> Weights:
    """Return the share of the reference that each score exceeds, ties counting half."""
    ranked = np.sort(reference)
    below, not_above = np.searchsorted(ranked, scores, "left"), np.searchsorted(ranked, scores, "right")
    return (below + not_above) / (2 * ranked.size)


def _variance(cases: Cases, area: _Area) -> float | None:
    """Return the variance of an area (Obuchowski 1997, equation 3); None where a class has one patient only.

    A difference of two areas has components that are differences, which gives both variances less twice the covariance.
    """
    n_present, n_absent, n_patients = cases.n_present, cases.n - cases.n_present, area.of_present.size
    with_present, with_absent = cases.n_patients(present=True), cases.n_patients(present=False)
    if min(with_present, with_absent) < 2:
        return None
    present, absent = area.of_present / n_present, area.of_absent / n_absent
    return float(
        with_present / (with_present - 1) * (present @ present)
        + with_absent / (with_absent - 1) * (absent @ absent)
        + n_patients / (n_patients - 1) * 2 * (present @ absent)
    )


def _interval(value: float, variance: float | None, n: int, confidence: float, limits: tuple[float, float]) -> Interval:
    if variance is None or variance < _LEAST_VARIANCE:
        return Interval(value=value, low=None, high=None, n=n, note=ONE_PATIENT if variance is None else NO_SPREAD)
    half_width = _quantile(confidence) * math.sqrt(variance)
    low, high = max(limits[0], value - half_width), min(limits[1], value + half_width)
    return Interval(value=value, low=low, high=high, n=n, confidence=confidence)


def _score_bounds(value: float, n_present: int, n_absent: int, confidence: float) -> tuple[float, float]:
    """Return the areas that lie as far from a measured one as their own standard error allows (Newcombe, method 5)."""
    return (
        _lower_score_bound(value, n_present, n_absent, confidence),
        1 - _lower_score_bound(1 - value, n_present, n_absent, confidence),
    )


def _lower_score_bound(value: float, n_present: int, n_absent: int, confidence: float) -> float:
    z, mean_others = _quantile(confidence), (n_present + n_absent) / 2 - 1

    def distance(area: float) -> float:
        """Return how far the value lies above an area, less what chance allows (variance: Hanley and McNeil 1982)."""
        others = mean_others * ((1 - area) / (2 - area) + area / (1 + area))
        return value - area - z * math.sqrt(area * (1 - area) * (1 + others) / (n_present * n_absent))

    return float(brentq(distance, 0.0, min(value, _BELOW_ONE))) if value > 0 else 0.0


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
