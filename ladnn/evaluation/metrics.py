"""Metrics of the diagnosis and of the lesions, each with an interval over patients.

A case is positive when its probability is at or above the threshold. Unknown labels (NaN) are skipped and counted.
A NaN or infinite probability leaves every metric of that label not computable, so that a gate rejects it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FiniteFloat

from ladnn.errors import DatasetError
from ladnn.labels import LESIONS
from ladnn.statistics import (
    Bootstrap,
    FloatArray,
    Interval,
    Ranking,
    Statistic,
    Weights,
    cluster_bootstrap,
    not_computable,
    ratio,
    weighted_auroc,
)

LESION_THRESHOLD = 0.5
"""Probability at or above which a lesion counts as found."""


class DiagnosisMetrics(BaseModel):
    """How well a diagnosis agrees with the known labels.

    Attributes:
        auroc: area under the receiver operating characteristic curve.
        auprc: area under the precision-recall curve, as average precision.
        n_images: images with a known label, on which everything is computed.
        n_patients: patients of those images.
        n_positive: positive images among them.
        n_unknown: images skipped because their label is unknown.
        threshold: operating point of the decision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: Interval
    auprc: Interval
    sensitivity: Interval
    specificity: Interval
    precision: Interval
    f1: Interval
    accuracy: Interval
    n_images: int
    n_patients: int
    n_positive: int
    n_unknown: int
    threshold: FiniteFloat


class LesionMetrics(BaseModel):
    """How well one lesion is found, on the `n_known` images whose label is known, `n_present` of which show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: Interval
    f1: Interval
    n_known: int
    n_present: int


@dataclass(frozen=True)
class _Cases:
    """The cases with a known label; `finite` is false when a probability of any case is NaN or infinite."""

    present: NDArray[np.bool_]
    probabilities: Weights
    patients: list[str]
    n_unknown: int
    finite: bool


@dataclass(frozen=True)
class _Tally:
    """Weight of the present and absent cases (replicates, distinct probabilities), by ascending probability."""

    present: Weights
    absent: Weights
    n_below: int
    """Distinct probabilities below the threshold."""


def evaluate_diagnosis(
    labels: FloatArray, probabilities: FloatArray, patients: Sequence[str], *, threshold: float, sampling: Bootstrap
) -> DiagnosisMetrics:
    """Measure a diagnosis at an operating point.

    Args:
        labels: (N,), 1 positive, 0 negative, NaN unknown.
        probabilities: (N,), in [0, 1].
        patients: (N,), patient of each image.
        threshold: positive at or above it.
        sampling: of the intervals.

    Raises:
        DatasetError: lengths differ, or a label is none of 1, 0 and NaN.
    """
    cases = _known_cases(labels, probabilities, patients)
    n, n_positive = cases.present.size, int(cases.present.sum())
    n_called = int((cases.probabilities >= threshold).sum())
    auroc, auprc, sensitivity, specificity, precision, f1, accuracy = _intervals(
        cases,
        threshold,
        (
            (_auroc, n),
            (_auprc, n),
            (_sensitivity, n_positive),
            (_specificity, n - n_positive),
            (_precision, n_called),
            (_f1, n),
            (_accuracy, n),
        ),
        sampling,
    )
    return DiagnosisMetrics(
        auroc=auroc,
        auprc=auprc,
        sensitivity=sensitivity,
        specificity=specificity,
        precision=precision,
        f1=f1,
        accuracy=accuracy,
        n_images=n,
        n_patients=len(set(cases.patients)),
        n_positive=n_positive,
        n_unknown=cases.n_unknown,
        threshold=threshold,
    )


def evaluate_lesions(
    labels: FloatArray, probabilities: FloatArray, patients: Sequence[str], *, sampling: Bootstrap
) -> dict[str, LesionMetrics]:
    """Measure each lesion on the images where it is known, by lesion code.

    Args:
        labels: (N, 5), 1 present, 0 absent, NaN unknown; columns in the order of `LESIONS`.
        probabilities: (N, 5), in [0, 1].
        patients: (N,), patient of each image.
        sampling: of the intervals.

    Raises:
        DatasetError: shapes do not fit, or a label is none of 1, 0 and NaN.
    """
    if labels.ndim != 2 or labels.shape[1] != len(LESIONS) or labels.shape != probabilities.shape:
        raise DatasetError(
            f"lesion labels {labels.shape} and probabilities {probabilities.shape} must both be (N, {len(LESIONS)}); "
            f"give one column for each of {', '.join(LESIONS)}"
        )
    metrics = {}
    for column, code in enumerate(LESIONS):
        cases = _known_cases(labels[:, column], probabilities[:, column], patients)
        n = cases.present.size
        auroc, f1 = _intervals(cases, LESION_THRESHOLD, ((_auroc, n), (_f1, n)), sampling)
        metrics[code] = LesionMetrics(auroc=auroc, f1=f1, n_known=n, n_present=int(cases.present.sum()))
    return metrics


def paired_auroc_difference(
    labels: FloatArray, candidate: FloatArray, champion: FloatArray, patients: Sequence[str], *, sampling: Bootstrap
) -> Interval:
    """Compare two models on the same images: AUROC of the candidate minus that of the champion.

    Both are measured on the same resampled patients, so what makes a sample hard for both cancels out.

    Args:
        labels: (N,), 1 positive, 0 negative, NaN unknown.
        candidate: (N,), its probabilities.
        champion: (N,), its probabilities.
        patients: (N,), patient of each image.
        sampling: of the interval.

    Raises:
        DatasetError: lengths differ, or a label is none of 1, 0 and NaN.
    """
    ours, theirs = (_known_cases(labels, probabilities, patients) for probabilities in (candidate, champion))
    n = ours.present.size
    if not (ours.finite and theirs.finite):
        return not_computable(n)
    # AUROC ignores the threshold; any value serves.
    of_candidate, of_champion = (_statistic(cases, 0.0, (_auroc,)) for cases in (ours, theirs))
    (difference,) = cluster_bootstrap(
        lambda weights: of_candidate(weights) - of_champion(weights), ours.patients, [n], sampling
    )
    return difference


def _known_cases(labels: FloatArray, probabilities: FloatArray, patients: Sequence[str]) -> _Cases:
    if not labels.shape == probabilities.shape == (len(patients),):
        raise DatasetError(
            f"labels {labels.shape}, probabilities {probabilities.shape} and {len(patients)} patients "
            "do not match; give one of each for every image"
        )
    known = ~np.isnan(labels)
    if not np.isin(labels[known], (0, 1)).all():
        raise DatasetError("labels hold values other than 1, 0 and NaN; map the findings to labels first")
    return _Cases(
        present=labels[known] == 1,
        probabilities=probabilities[known].astype(np.float64),
        patients=[patient for patient, keep in zip(patients, known, strict=True) if keep],
        n_unknown=int((~known).sum()),
        finite=bool(np.isfinite(probabilities).all()),
    )


_Metric = Callable[[_Tally], Weights]


def _intervals(
    cases: _Cases, threshold: float, metrics: Sequence[tuple[_Metric, int]], sampling: Bootstrap
) -> tuple[Interval, ...]:
    n_cases = [n for _, n in metrics]
    if not cases.finite:
        return tuple(not_computable(n) for n in n_cases)
    statistic = _statistic(cases, threshold, [metric for metric, _ in metrics])
    return cluster_bootstrap(statistic, cases.patients, n_cases, sampling)


def _statistic(cases: _Cases, threshold: float, metrics: Sequence[_Metric]) -> Statistic:
    """Sort once, then turn any matrix of case weights into all metrics with sums over distinct probabilities."""
    ranking = Ranking.of(cases.present, cases.probabilities)
    n_below = int(np.searchsorted(ranking.distinct, threshold, side="left"))

    def statistic(weights: Weights) -> Weights:
        present, absent = ranking.tally(weights)
        tally = _Tally(present, absent, n_below)
        return np.stack([metric(tally) for metric in metrics], axis=1)

    return statistic


def _auroc(tally: _Tally) -> Weights:
    return weighted_auroc(tally.present, tally.absent)


def _auprc(tally: _Tally) -> Weights:
    """Average precision: precision at each distinct probability, weighted by the recall gained there."""
    present, absent = tally.present[:, ::-1], tally.absent[:, ::-1]
    found = np.cumsum(present, axis=1)
    precision = np.nan_to_num(ratio(found, found + np.cumsum(absent, axis=1)))  # 0/0 only where no recall is gained
    n_present = np.where(absent.any(axis=1), found[:, -1], 0.0)  # without negatives it is 1 whatever the model does
    return ratio((present * precision).sum(axis=1), n_present)


def _sensitivity(tally: _Tally) -> Weights:
    return ratio(_true_positive(tally), tally.present.sum(axis=1))


def _specificity(tally: _Tally) -> Weights:
    return ratio(tally.absent[:, : tally.n_below].sum(axis=1), tally.absent.sum(axis=1))


def _precision(tally: _Tally) -> Weights:
    return ratio(_true_positive(tally), _true_positive(tally) + _false_positive(tally))


def _f1(tally: _Tally) -> Weights:
    """2 TP / (2 TP + FP + FN); undefined, not zero, where no case is positive, because sensitivity is undefined."""
    n_present = tally.present.sum(axis=1)
    denominator = np.where(n_present > 0, _true_positive(tally) + _false_positive(tally) + n_present, 0.0)
    return ratio(2 * _true_positive(tally), denominator)


def _accuracy(tally: _Tally) -> Weights:
    n_right = _true_positive(tally) + tally.absent[:, : tally.n_below].sum(axis=1)
    return ratio(n_right, tally.present.sum(axis=1) + tally.absent.sum(axis=1))


def _true_positive(tally: _Tally) -> Weights:
    return np.asarray(tally.present[:, tally.n_below :].sum(axis=1))


def _false_positive(tally: _Tally) -> Weights:
    return np.asarray(tally.absent[:, tally.n_below :].sum(axis=1))
