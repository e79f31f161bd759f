"""Validation of a trained variant through its inference graph, and the choice of the candidate among variants."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.config import EvaluationConfig, Variant
from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import label_matrix, load_manifest, rows_of
from ladnn.errors import DatasetError, RetrainError
from ladnn.evaluation.metrics import DiagnosisMetrics, LesionMetrics, evaluate_diagnosis, evaluate_lesions
from ladnn.evaluation.operating_point import choose_threshold
from ladnn.labels import DIAGNOSIS
from ladnn.model.graph import InferenceGraph, sigmoid
from ladnn.retrain import Plan, keep, read
from ladnn.statistics import Bootstrap
from ladnn.store import ObjectStore
from ladnn.training.result import read_file, required_trained


class Scores(BaseModel):
    """Metrics of a model on one split: diagnosis, and lesions where the model has a lesion head."""

    model_config = ConfigDict(frozen=True)

    diagnosis: DiagnosisMetrics
    lesions: dict[str, LesionMetrics] | None


class Validated(BaseModel):
    """How a variant does on validation, at the operating point chosen there."""

    model_config = ConfigDict(frozen=True)

    variant: Variant
    threshold: float
    scores: Scores


def score(rows: pd.DataFrame, probabilities: NDArray[np.float64], threshold: float, sampling: Bootstrap) -> Scores:
    """Measure probabilities, float64 (N, 6) or (N, 1) for a baseline, against the labels of manifest rows (N)."""
    labels, patients = label_matrix(rows).astype(np.float64), list(rows["group"])
    with_lesions = probabilities.shape[1] > 1
    return Scores(
        diagnosis=evaluate_diagnosis(
            labels[:, 0], probabilities[:, 0], patients, threshold=threshold, sampling=sampling
        ),
        lesions=evaluate_lesions(labels[:, 1:], probabilities[:, 1:], patients, sampling=sampling)
        if with_lesions
        else None,
    )


def sampling_of(evaluation: EvaluationConfig, seed: int) -> Bootstrap:
    """Return how intervals are sampled in a retrain."""
    return Bootstrap(n_replicates=evaluation.n_bootstrap, confidence=evaluation.confidence, seed=seed)


def validate_variant(store: ObjectStore, plan: Plan, variant_name: str, cache: Path) -> Validated:
    """Measure a trained variant on validation, or return what an earlier run measured.

    Raises:
        RetrainError: the variant is not trained yet.
        DatasetError: validation holds no positive or no negative image.
        DigestMismatchError: the graph is not the one that was trained.
    """
    name = f"variants/{variant_name}/validated"
    if (document := read(store, plan.retrain_id, name)) is not None:
        return Validated.model_validate(document)
    trained = required_trained(store, plan.retrain_id, variant_name)
    rows = rows_of(load_manifest(store, plan.dataset_version), "validation")
    if not {0.0, 1.0} <= set(rows[DIAGNOSIS]):
        raise DatasetError(
            f"the validation part of {plan.dataset_version} has no positive or no negative image; "
            "contribute more patients of the missing kind"
        )
    pixels = load_pixels(store, list(rows["image"]), trained.preprocessing, cache)
    probabilities = sigmoid(InferenceGraph(read_file(store, trained.graph)).logits(pixels))
    evaluation = plan.config.evaluation
    threshold = choose_threshold(rows[DIAGNOSIS].to_numpy(), probabilities[:, 0], evaluation.target_sensitivity)
    scores = score(rows, probabilities, threshold, sampling_of(evaluation, plan.config.seed))
    validated = Validated(variant=trained.variant, threshold=threshold, scores=scores)
    return Validated.model_validate(keep(store, plan.retrain_id, name, validated.model_dump(mode="json")))


def select_candidate(validated: Sequence[Validated]) -> Validated:
    """Choose the `ladnn` variant with the highest validation AUROC; the first of equals.

    A baseline is a control: it has no lesion head, which the service promises, so it cannot be promoted.

    Raises:
        RetrainError: no variant can be chosen.
    """
    eligible = [v for v in validated if v.variant.task == "ladnn" and v.scores.diagnosis.auroc.value is not None]
    if not eligible:
        raise RetrainError("no ladnn variant has a validation AUROC; look at the variants' runs in MLflow")
    return max(eligible, key=lambda v: v.scores.diagnosis.auroc.value or 0.0)
