"""A bundle run over the rows of a test part: what it says of each image, and its scores."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ladnn.dataset.pixels import load_pixels
from ladnn.evaluation.scored import Scored, keep_scored
from ladnn.evaluation.slices import Scores, Slice, score, score_slices
from ladnn.evaluation.validation import sampling_of
from ladnn.registry.bundle import Bundle
from ladnn.retrain import Plan
from ladnn.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Measured:
    """A bundle on a test part; logits and probabilities are (N, 6)."""

    bundle: Bundle
    logits: NDArray[np.floating]
    probabilities: NDArray[np.float64]
    scores: Scores
    slices: tuple[Slice, ...]

    @property
    def finite(self) -> bool:
        """Whether every probability is a number."""
        return bool(np.isfinite(self.probabilities).all())

    @property
    def called(self) -> NDArray[np.bool_]:
        """Whether each image is called positive at the model's own operating point (N,)."""
        return self.probabilities[:, 0] >= self.bundle.manifest.threshold


def measure(
    store: ObjectStore, plan: Plan, rows: pd.DataFrame, bundle: Bundle, scores_name: str, cache: Path
) -> Measured:
    """Run a bundle over manifest rows (N) and keep what it says with the retrain."""
    manifest, evaluation = bundle.manifest, plan.config.evaluation
    logits = bundle.graph.logits(load_pixels(store, list(rows["image"]), manifest.preprocessing, cache))
    keep_scored(store, plan.retrain_id, scores_name, Scored.of(rows, logits, manifest.calibration))
    probabilities = manifest.calibration.probabilities(logits)
    sampling = sampling_of(evaluation, plan.config.seed)
    scores = score(rows, probabilities, manifest.threshold, sampling)
    least, required = evaluation.min_slice_patients, plan.config.gates.required_slices
    slices = score_slices(rows, probabilities, manifest.threshold, sampling, least, required)
    return Measured(bundle, logits, probabilities, scores, slices)


def probabilities_on(
    store: ObjectStore, rows: pd.DataFrame, others: pd.DataFrame, measured: Measured, cache: Path
) -> NDArray[np.float64]:
    """Return probabilities (M, 6) of other rows (M), running the model on those alone that were not measured.

    Args:
        store: holds the canonical images.
        rows: manifest rows that were measured (N).
        others: manifest rows that are wanted (M).
        measured: the model on `rows`.
        cache: folder of the pixel cache.
    """
    place = {image: number for number, image in enumerate(rows["image"])}
    logits = np.empty((len(others), measured.logits.shape[1]))
    missing = [number for number, image in enumerate(others["image"]) if image not in place]
    for number, image in enumerate(others["image"]):
        if image in place:
            logits[number] = measured.logits[place[image]]
    if missing:
        images = list(others["image"].iloc[missing])
        pixels = load_pixels(store, images, measured.bundle.manifest.preprocessing, cache)
        logits[missing] = measured.bundle.graph.logits(pixels)
    return measured.bundle.manifest.calibration.probabilities(logits)
