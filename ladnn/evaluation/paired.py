"""Two models on the same images: differences of AUROC, sensitivity and specificity, with bounds to hold against a margin."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import brentq

from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.delong import auroc_difference_against_margin, auroc_difference_by_delong
from ladnn.statistics import (
    NOT_FINITE,
    Bootstrap,
    FloatArray,
    Interval,
    Ranking,
    Weights,
    cluster_bootstrap,
    not_computable,
    weighted_auroc,
)

_NEARLY = 1e-9
"""How near a difference may come to -1 and 1, where its variance is zero."""


class AurocDifference(BaseModel):
    """AUROC of the candidate minus that of the champion, with three intervals.

    Attributes:
        bootstrap: percentiles over resampled patients.
        delong: for correlated curves and clustered images.
        against_margin: DeLong's with the corrections that a test against a margin needs on few patients.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: Interval
    delong: Interval
    against_margin: Interval

    @property
    def deciding(self) -> Interval:
        """The wider of bootstrap and corrected DeLong on either side: what is shown by one alone is not shown."""
        both = (self.against_margin, self.bootstrap)
        lows, highs = [item.low for item in both if item.low is not None], [i.high for i in both if i.high is not None]
        if len(lows) < len(both) or len(highs) < len(both):
            return next(item for item in both if item.low is None or item.high is None)
        return self.against_margin.model_copy(update={"low": min(lows), "high": max(highs)})


def paired_auroc_difference(
    labels: FloatArray,
    candidate: FloatArray,
    champion: FloatArray,
    patients: Sequence[str],
    *,
    sampling: Bootstrap,
) -> AurocDifference:
    """Compare two models on the same images.

    Both are measured on the same patients, resampled or not, so what makes a sample hard for both cancels out.

    Args:
        labels: (N,), 1 positive, 0 negative, NaN unknown.
        candidate: (N,), its probabilities.
        champion: (N,), its probabilities.
        patients: (N,), patient of each image.
        sampling: of the interval.

    Raises:
        DatasetError: lengths differ, or a label is none of 1, 0 and NaN.
    """
    ours, theirs = (known_cases(labels, probabilities, patients) for probabilities in (candidate, champion))
    if not (ours.finite and theirs.finite):
        none = not_computable(ours.n, NOT_FINITE)
        return AurocDifference(bootstrap=none, delong=none, against_margin=none)
    return AurocDifference(
        bootstrap=_bootstrap(ours, theirs, sampling),
        delong=auroc_difference_by_delong(ours, theirs.probabilities, sampling.confidence),
        against_margin=auroc_difference_against_margin(ours, theirs.probabilities, sampling.confidence),
    )


def _bootstrap(ours: Cases, theirs: Cases, sampling: Bootstrap) -> Interval:
    if not ours.n:
        return not_computable(0)
    rankings = [Ranking.of(cases.present, cases.probabilities) for cases in (ours, theirs)]

    def difference(weights: Weights) -> Weights:
        of_candidate, of_champion = (weighted_auroc(*ranking.tally(weights)) for ranking in rankings)
        return (of_candidate - of_champion)[:, None]

    (interval,) = cluster_bootstrap(difference, ours.patients, [ours.n], sampling)
    return interval


def paired_sensitivity_difference(
    labels: FloatArray,
    candidate: NDArray[np.bool_],
    champion: NDArray[np.bool_],
    patients: Sequence[str],
    *,
    confidence: float,
) -> Interval:
    """Return the candidate's sensitivity minus the champion's, each at its own operating point; every patient has one vote.

    Args:
        labels: (N,), 1 positive; all others are left out.
        candidate: (N,), whether it calls the image positive.
        champion: (N,), the same.
        patients: (N,), patient of each image.
        confidence: two-sided coverage, between 0 and 1.
    """
    return _difference_of_right(labels == 1, candidate, champion, patients, confidence)


def paired_specificity_difference(
    labels: FloatArray,
    candidate: NDArray[np.bool_],
    champion: NDArray[np.bool_],
    patients: Sequence[str],
    *,
    confidence: float,
) -> Interval:
    """Return the same of the specificity: of images with label 0, of which those are right that are not called positive."""
    return _difference_of_right(labels == 0, ~candidate, ~champion, patients, confidence)


def _difference_of_right(
    inside: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    champion: NDArray[np.bool_],
    patients: Sequence[str],
    confidence: float,
) -> Interval:
    """Return the difference of the shares that two models have right, mean over patients of the images inside.

    Score interval of Tango 1998, *Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design*, Statistics in Medicine 17:891-908: it stays honest where models disagree on few patients or on
    none. A patient of several images is one pair, whose gain is the mean of theirs. Gains that are parts of one vary less
    than whole ones: all counts are divided by the mean square of the gains relative to their mean size, to which one further
    patient who changes altogether is added, since a sample may lack those.
    """
    if not len(candidate) == len(champion) == len(patients) == len(inside):
        sizes = (len(inside), len(candidate), len(champion), len(patients))
        raise ValueError(f"labels, both models' calls and patients differ in length: {sizes}")
    gains = candidate[inside].astype(np.float64) - champion[inside]
    n_images = gains.size
    if not n_images:
        return not_computable(0)
    patient = np.unique(np.asarray(patients, dtype=np.str_)[inside], return_inverse=True)[1]
    votes = np.bincount(patient, gains) / np.bincount(patient)
    value = float(votes.mean())
    if votes.size == 1:
        return Interval(value=value, low=None, high=None, n=n_images, note="one patient only")
    scale = (float((votes**2).sum()) + 1) / (float(np.abs(votes).sum()) + 1)
    gained, lost = (float(np.maximum(sign * votes, 0).sum()) / scale for sign in (1, -1))
    n, z = votes.size / scale, NormalDist().inv_cdf((1 + confidence) / 2)

    def distance(difference: float, quantile: float) -> float:
        excess: float = gained - lost - n * difference
        return excess - quantile * _error(difference, gained, lost, n)

    low = brentq(distance, -1 + _NEARLY, value - _NEARLY, (z,)) if value > -1 + 2 * _NEARLY else -1.0
    high = brentq(distance, value + _NEARLY, 1 - _NEARLY, (-z,)) if value < 1 - 2 * _NEARLY else 1.0
    return Interval(value=value, low=float(low), high=float(high), n=n_images, confidence=confidence)


def _error(difference: float, gained: float, lost: float, n: float) -> float:
    """Return the standard error of gained - lost if the true difference were this one (Tango 1998, equation 6)."""
    linear = -gained - lost + (2 * n - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    share_lost = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    return math.sqrt(max(0.0, n * (2 * share_lost + difference * (1 - difference))))
