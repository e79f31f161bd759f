"""Metrics of the diagnosis and of the lesions, each with an interval.

A case is positive when its probability is at or above the threshold. Unknown labels (NaN) are skipped and counted.
A NaN or infinite probability leaves every metric of that label not computable, so that a gate rejects it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat

from ladnn.errors import DatasetError
from ladnn.evaluation.at_threshold import AT_THRESHOLD, ThresholdMetrics, lesion_f1, not_certain, not_measured
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.delong import auroc_by_delong
from ladnn.labels import LESIONS
from ladnn.statistics import (
    NOT_ENOUGH,
    NOT_FINITE,
    Bootstrap,
    FloatArray,
    Interval,
    Ranking,
    Weights,
    cluster_bootstrap,
    not_computable,
    ratio,
    weighted_auroc,
)

DIAGNOSIS_METRICS = ("auroc", "auroc_bootstrap", "auprc", *AT_THRESHOLD)
"""The metrics of a diagnosis, in the order in which they are shown."""
_NEEDED_CLASSES = {"sensitivity": (True,), "specificity": (False,), "accuracy": (), "brier": (), "ece": ()}
"""Classes without which a metric says nothing; both for all others."""


class DiagnosisMetrics(BaseModel):
    """How well a diagnosis agrees with the known labels.

    Attributes:
        auroc: area under the receiver operating characteristic curve, with DeLong's interval for patients' images; with
            Newcombe's, and a note that says so, where the classes are ranked without an error.
        auroc_bootstrap: the same area with the interval over resampled patients, as all metrics below have.
        auprc: area under the precision-recall curve, as average precision.
        brier: mean squared distance of probability and label.
        ece: expected calibration error in ten bins of equal width.
        n_images: images with a known label, on which everything is computed.
        n_patients: patients of those images.
        n_positive: positive images among them.
        n_positive_patients: patients with a positive image.
        n_negative_patients: patients with a negative image; a patient with both counts under both.
        n_unknown: images skipped because their label is unknown.
        threshold: operating point of the decision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: Interval
    auroc_bootstrap: Interval
    auprc: Interval
    sensitivity: Interval
    specificity: Interval
    precision: Interval
    f1: Interval
    accuracy: Interval
    brier: Interval
    ece: Interval
    n_images: int
    n_patients: int
    n_positive: int
    n_positive_patients: int
    n_negative_patients: int
    n_unknown: int
    threshold: FiniteFloat


class LesionMetrics(BaseModel):
    """How well one lesion is found, on the `n_known` images whose label is known, `n_present` of which show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: Interval
    f1: Interval
    n_known: int
    n_present: int


def evaluate_diagnosis(
    labels: FloatArray,
    probabilities: FloatArray,
    patients: Sequence[str],
    *,
    threshold: float,
    sampling: Bootstrap,
    min_patients: int = 1,
) -> DiagnosisMetrics:
    """Measure a diagnosis at an operating point.

    Args:
        labels: (N,), 1 positive, 0 negative, NaN unknown.
        probabilities: (N,), in [0, 1].
        patients: (N,), patient of each image.
        threshold: positive at or above it.
        sampling: of the intervals.
        min_patients: patients of a class with fewer of which a metric that needs the class has no value; all patients
            for a metric that needs none.

    Raises:
        DatasetError: lengths differ, or a label is none of 1, 0 and NaN.
    """
    cases = known_cases(labels, probabilities, patients)
    measured = _resampled(cases, threshold, sampling)
    measured["auroc"] = auroc_by_delong(cases, sampling.confidence)
    return DiagnosisMetrics(
        **_with_enough_patients(measured, cases, min_patients),
        n_images=cases.n,
        n_patients=cases.n_all_patients,
        n_positive=cases.n_present,
        n_positive_patients=cases.n_patients(present=True),
        n_negative_patients=cases.n_patients(present=False),
        n_unknown=cases.n_unknown,
        threshold=threshold,
    )


def evaluate_lesions(
    labels: FloatArray,
    probabilities: FloatArray,
    patients: Sequence[str],
    *,
    sampling: Bootstrap,
    min_patients: int = 1,
) -> dict[str, LesionMetrics]:
    """Measure each lesion on the images where it is known, by lesion code.

    Args:
        labels: (N, 5), 1 present, 0 absent, NaN unknown; columns in the order of `LESIONS`.
        probabilities: (N, 5), in [0, 1].
        patients: (N,), patient of each image.
        sampling: of the intervals.
        min_patients: patients with and without the lesion, with fewer of which there is no value.

    Raises:
        DatasetError: shapes do not fit, or a label is none of 1, 0 and NaN.
    """
    if labels.ndim != 2 or labels.shape[1] != len(LESIONS) or labels.shape != probabilities.shape:
        raise DatasetError(
            f"lesion labels {labels.shape} and probabilities {probabilities.shape} must both be (N, {len(LESIONS)}); "
            f"give one column for each of {', '.join(LESIONS)}"
        )
    of_lesions = [known_cases(labels[:, column], probabilities[:, column], patients) for column in range(len(LESIONS))]
    f1 = lesion_f1(of_lesions, list(~np.isnan(labels).T), patients, sampling)
    return {
        code: LesionMetrics(
            **_with_enough_patients(
                {"auroc": auroc_by_delong(cases, sampling.confidence), "f1": interval}, cases, min_patients
            ),
            n_known=cases.n,
            n_present=cases.n_present,
        )
        for code, cases, interval in zip(LESIONS, of_lesions, f1, strict=True)
    }


def _with_enough_patients(measured: Mapping[str, Interval], cases: Cases, min_patients: int) -> dict[str, Interval]:
    by_class = {present: cases.n_patients(present=present) for present in (True, False)}

    def is_enough(name: str) -> bool:
        needed = [by_class[present] for present in _NEEDED_CLASSES.get(name, (True, False))]
        return min([cases.n_all_patients, *needed]) >= min_patients

    def why(value: Interval) -> str:
        return (value.note if value.value is None else None) or NOT_ENOUGH

    return {name: value if is_enough(name) else not_computable(value.n, why(value)) for name, value in measured.items()}


def _resampled(cases: Cases, threshold: float, sampling: Bootstrap) -> dict[str, Interval]:
    """Return what is estimated over resampled patients; all metrics see the same ones."""
    if not cases.finite or not cases.n:
        no_ranking = not_computable(cases.n, NOT_ENOUGH if cases.finite else NOT_FINITE)
        return {"auroc_bootstrap": no_ranking, "auprc": no_ranking} | not_measured(cases, threshold)
    ranking, sums = Ranking.of(cases.present, cases.probabilities), ThresholdMetrics.of(cases, threshold)

    def statistic(weights: Weights) -> Weights:
        present, absent = ranking.tally(weights)
        of_ranking = np.stack([weighted_auroc(present, absent), _average_precision(present, absent)], axis=1)
        return np.concatenate([of_ranking, sums.statistic(weights @ sums.values)], axis=1)

    n_cases = [cases.n, cases.n, *sums.n_cases]
    auroc, auprc, *others = cluster_bootstrap(statistic, cases.patients, n_cases, sampling)
    ranked = {"auroc_bootstrap": auroc, "auprc": auprc}
    ranked = {name: not_certain(interval, None, sampling.confidence) for name, interval in ranked.items()}
    return ranked | sums.named(others, sampling.confidence)


def _average_precision(present: Weights, absent: Weights) -> Weights:
    """Return the precision at each distinct probability (R, D), weighted by the recall gained there; (R,)."""
    present, absent = present[:, ::-1], absent[:, ::-1]
    found = np.cumsum(present, axis=1)
    precision = np.nan_to_num(ratio(found, found + np.cumsum(absent, axis=1)))  # 0/0 only where no recall is gained
    n_present = np.where(absent.any(axis=1), found[:, -1], 0.0)  # without negatives it is 1 whatever the model does
    return ratio((present * precision).sum(axis=1), n_present)
