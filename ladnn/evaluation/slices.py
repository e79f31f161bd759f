"""Scores of a model on a part of a dataset version, and on its slices: sources, sites, sexes and ages."""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.version import label_matrix
from ladnn.evaluation.metrics import DiagnosisMetrics, LesionMetrics, evaluate_diagnosis, evaluate_lesions
from ladnn.statistics import Bootstrap

DIMENSIONS = ("source", "site", "sex", "age")
UNKNOWN, OTHERS = "unknown", "others"
_AGE_STARTS_Y, _AGE_BANDS = (0, 18, 40, 60, 80), ("0-17", "18-39", "40-59", "60-79", "80 and over")
_MOST_SLICES = 20
"""Slices of one dimension; smaller ones that are not kept go together, so that a hundred sites do not make a hundred tables."""


class Scores(BaseModel):
    """Metrics of a model on one split: diagnosis, and lesions where the model has a lesion head."""

    model_config = ConfigDict(frozen=True)

    diagnosis: DiagnosisMetrics
    lesions: dict[str, LesionMetrics] | None


class Slice(BaseModel):
    """Scores of the images that share a property.

    Attributes:
        by: source, site, sex or age.
        value: of the property; `unknown` where it was not contributed, `others` for small ones taken together.
        n_images: images of the slice, those without a known label too.
        n_patients: their patients.
        min_patients: patients of each class that a metric needed to be computed here; with fewer its value is None.
    """

    model_config = ConfigDict(frozen=True)

    by: str
    value: str
    n_images: int
    n_patients: int
    min_patients: int
    scores: Scores


def score(
    rows: pd.DataFrame,
    probabilities: NDArray[np.float64],
    threshold: float,
    sampling: Bootstrap,
    min_patients: int = 1,
) -> Scores:
    """Measure probabilities, float64 (N, 6) or (N, 1) for a baseline, against the labels of manifest rows (N)."""
    labels, patients = label_matrix(rows).astype(np.float64), list(rows["group"])
    diagnosis = evaluate_diagnosis(
        labels[:, 0],
        probabilities[:, 0],
        patients,
        threshold=threshold,
        sampling=sampling,
        min_patients=min_patients,
    )
    lesions = None
    if probabilities.shape[1] > 1:
        lesions = evaluate_lesions(
            labels[:, 1:], probabilities[:, 1:], patients, sampling=sampling, min_patients=min_patients
        )
    return Scores(diagnosis=diagnosis, lesions=lesions)


def score_slices(
    rows: pd.DataFrame,
    probabilities: NDArray[np.float64],
    threshold: float,
    sampling: Bootstrap,
    min_patients: int,
    kept: Collection[str] = (),
) -> tuple[Slice, ...]:
    """Measure every slice by itself, at the threshold of the whole.

    Args:
        rows: manifest rows (N); with `source`, `site`, `sex` and `age_y`.
        probabilities: float64 (N, 6), or (N, 1) for a baseline.
        threshold: of the diagnosis.
        sampling: of the intervals.
        min_patients: patients of each class below which a metric says more of chance than of the model.
        kept: slices, such as `site=hospital-a`, that are measured however small they are.
    """
    return tuple(
        Slice(
            by=by,
            value=value,
            n_images=int(inside.sum()),
            n_patients=rows.loc[inside, "group"].nunique(),
            min_patients=min_patients,
            scores=score(rows[inside], probabilities[inside], threshold, sampling, min_patients),
        )
        for by, value, inside in slice_members(rows, kept)
    )


def slice_members(rows: pd.DataFrame, kept: Collection[str] = ()) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield dimension, value and members (N,), by dimension and then by value; unknown and others come last.

    Slices in `kept`, such as `site=hospital-a`, are never taken together with others.
    """
    for by in DIMENSIONS:
        values = _values(rows, by)
        counts = values.value_counts()
        if len(counts) > _MOST_SLICES:
            apart = values.isin(set(counts.index[: _MOST_SLICES - 1])) | (f"{by}=" + values).isin(kept)
            values = values.where(apart, OTHERS)
        for value in sorted(set(values), key=lambda value: (value in (UNKNOWN, OTHERS), value)):
            yield by, value, (values == value).to_numpy(dtype=np.bool_)


def _values(rows: pd.DataFrame, by: str) -> "pd.Series[str]":
    if by == "age":
        bands = pd.cut(rows["age_y"], [*_AGE_STARTS_Y, np.inf], right=False, labels=list(_AGE_BANDS))
        return bands.astype(object).fillna(UNKNOWN).astype(str)
    return rows[by].astype(object).fillna(UNKNOWN).astype(str)
