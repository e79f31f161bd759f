"""The champion scored on a labelled folder of images that no retrain has seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.config import EvaluationConfig
from ladnn.dataset.version import load_manifest
from ladnn.errors import ContributionError, ImageRejectedError
from ladnn.evaluation.slices import Scores, score
from ladnn.evaluation.validation import sampling_of
from ladnn.intake.covid_ct import read_labelled_images
from ladnn.intake.decode import decode
from ladnn.progress import Steps, no_steps
from ladnn.serving.predictor import Predictor
from ladnn.store import ObjectStore


class Skipped(BaseModel):
    """An image that could not be scored."""

    model_config = ConfigDict(frozen=True)

    image: str
    reason: str


class Assessment(BaseModel):
    """Metrics of the champion on the folder."""

    model_config = ConfigDict(frozen=True)

    model_version: str
    n_scored: int
    n_known_to_model: int
    """Images that stand in the champion's own dataset version, so that it is no fresh judge of them."""
    skipped: tuple[Skipped, ...]
    scores: Scores


def assess(
    store: ObjectStore, predictor: Predictor, images: Path, table: Path, on_step: Steps = no_steps
) -> Assessment:
    """Score every image that the table names and the folder holds.

    Args:
        store: holds the champion's dataset version.
        predictor: the champion.
        images: folder of the image files.
        table: CSV with `image`, `patient_id`, `covid` and lesion columns; the latter may be missing.
        on_step: told how many images are done.

    Raises:
        ContributionError: no such table, or not one image can be scored.
    """
    frame = read_labelled_images(table)
    pixels, kept, digests, skipped = [], [], [], []
    for done, (position, name) in enumerate(frame["image"].items(), start=1):
        try:
            canonical = decode((images / name).read_bytes())
            pixels.append(predictor.bundle.manifest.preprocessing.apply(canonical.pixels))
            digests.append(canonical.digest)
            kept.append(position)
        except OSError as error:
            skipped.append(Skipped(image=name, reason=f"cannot be read from {images}: {error.strerror}"))
        except ImageRejectedError as error:
            skipped.append(Skipped(image=name, reason=str(error)))
        on_step(done, len(frame))
    if not kept:
        raise ContributionError(f"not one image of {table} can be read from {images}; first: {_first(skipped)}")
    rows = _rows(frame.loc[kept])
    manifest = predictor.bundle.manifest
    probabilities = predictor.bundle.probabilities(np.stack(pixels))
    sampling = sampling_of(EvaluationConfig(), manifest.config.seed)
    return Assessment(
        model_version=predictor.model_version,
        n_scored=len(rows),
        n_known_to_model=len(set(digests) & set(load_manifest(store, manifest.dataset_version)["image"])),
        skipped=tuple(skipped),
        scores=score(rows, probabilities, manifest.threshold, sampling),
    )


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Name each image's group: its patient, or itself where the patient is unknown."""
    known = frame["patient_id"].str.strip() != ""
    return frame.assign(group=frame["patient_id"].where(known, frame["image"])).reset_index(drop=True)


def _first(skipped: Sequence[Skipped]) -> str:
    return f"{skipped[0].image}: {skipped[0].reason}" if skipped else "the table has no row"
