"""Validation of a trained variant through its inference graph, at the operating point that is chosen there."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.config import EvaluationConfig, Variant
from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import label_matrix, load_manifest, rows_of
from ladnn.errors import DatasetError
from ladnn.evaluation.at_threshold import intervals_at_threshold
from ladnn.evaluation.calibration import Calibration, fit_calibration
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.operating_point import choose_threshold
from ladnn.evaluation.scored import Scored, keep_scored, validation_scores
from ladnn.evaluation.slices import Scores, Slice, score, score_slices
from ladnn.labels import DIAGNOSIS
from ladnn.model.graph import InferenceGraph, sigmoid
from ladnn.retrain import Plan, keep, read
from ladnn.statistics import Bootstrap, Interval
from ladnn.store import ObjectStore
from ladnn.training.result import read_file, required_trained


class Uncalibrated(BaseModel):
    """How far the probabilities of the diagnosis were from its labels before they were calibrated."""

    model_config = ConfigDict(frozen=True)

    brier: Interval
    ece: Interval


class Validated(BaseModel):
    """How a variant does on validation, at the operating point chosen there.

    Attributes:
        calibration: temperatures fitted there; threshold and scores are of calibrated probabilities.
        uncalibrated: Brier score and calibration error of the diagnosis before that, for the record.
        slices: the same scores by source, site, sex and age.
    """

    model_config = ConfigDict(frozen=True)

    variant: Variant
    threshold: float
    calibration: Calibration
    uncalibrated: Uncalibrated
    scores: Scores
    slices: tuple[Slice, ...]


def sampling_of(evaluation: EvaluationConfig, seed: int) -> Bootstrap:
    """Return how intervals are sampled in a retrain."""
    return Bootstrap(n_replicates=evaluation.n_bootstrap, confidence=evaluation.confidence, seed=seed)


def validate_variant(store: ObjectStore, plan: Plan, variant_name: str, cache: Path) -> Validated:
    """Measure a trained variant on validation, or return what an earlier run measured.

    Calibration and operating point are chosen on the very images that are measured here: one number an output, so
    that they flatter little, but the test set is what counts.

    Raises:
        RetrainError: the variant is not trained yet.
        DatasetError: validation holds no positive or no negative image.
        DigestMismatchError: the graph is not the one that was trained.
    """
    if (done := read_validated(store, plan.retrain_id, variant_name)) is not None:
        return done
    trained = required_trained(store, plan.retrain_id, variant_name)
    rows = rows_of(load_manifest(store, plan.dataset_version), "validation")
    if not {0.0, 1.0} <= set(rows[DIAGNOSIS]):
        raise DatasetError(
            f"the validation part of {plan.dataset_version} has no positive or no negative image; "
            "contribute more patients of the missing kind"
        )
    pixels = load_pixels(store, list(rows["image"]), trained.preprocessing, cache)
    logits = InferenceGraph(read_file(store, trained.graph)).logits(pixels)
    validated = measure(trained.variant, rows, logits, plan.config.evaluation, plan.config.seed)
    scored = Scored.of(rows, logits, validated.calibration)
    keep_scored(store, plan.retrain_id, validation_scores(variant_name), scored)
    name = _document(variant_name)
    return Validated.model_validate(keep(store, plan.retrain_id, name, validated.model_dump(mode="json")))


def measure(
    variant: Variant, rows: pd.DataFrame, logits: NDArray[np.floating], evaluation: EvaluationConfig, seed: int
) -> Validated:
    """Calibrate, choose the operating point and measure, on logits (N, 6 or 1) of manifest rows (N) of validation."""
    labels, patients = label_matrix(rows).astype(np.float64), list(rows["group"])
    sampling = sampling_of(evaluation, seed)
    calibration = fit_calibration(labels, logits, patients)
    probabilities = calibration.probabilities(logits)
    threshold = choose_threshold(labels[:, 0], probabilities[:, 0], evaluation.target_sensitivity)
    before = intervals_at_threshold(known_cases(labels[:, 0], sigmoid(logits)[:, 0], patients), threshold, sampling)
    return Validated(
        variant=variant,
        threshold=threshold,
        calibration=calibration,
        uncalibrated=Uncalibrated(brier=before["brier"], ece=before["ece"]),
        scores=score(rows, probabilities, threshold, sampling),
        slices=score_slices(rows, probabilities, threshold, sampling, evaluation.min_slice_patients),
    )


def read_validated(store: ObjectStore, retrain_id: str, variant_name: str) -> Validated | None:
    """Read how a variant did on validation; None where it is not validated yet."""
    document = read(store, retrain_id, _document(variant_name))
    return None if document is None else Validated.model_validate(document)


def _document(variant_name: str) -> str:
    return f"variants/{variant_name}/validated"
