"""Candidate and champion on the same test rows: paired differences, by slice too, and the answers that change."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import label_matrix
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_difference_against_margin
from ladnn.evaluation.paired import AurocDifference, paired_auroc_difference, paired_sensitivity_difference
from ladnn.evaluation.slices import slice_members
from ladnn.evaluation.validation import sampling_of
from ladnn.governance.gates.evidence import FlipCounts, SliceDifference
from ladnn.registry.measured import Measured
from ladnn.statistics import NOT_FINITE, Interval, not_computable

Members = NDArray[np.bool_]
_DIAGNOSIS = 0


def auroc_difference(
    config: ExperimentConfig, rows: pd.DataFrame, ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> AurocDifference:
    """Compare the diagnosis of probabilities (N, 6) on manifest rows (N)."""
    return paired_auroc_difference(
        _labels(rows),
        ours[:, _DIAGNOSIS],
        theirs[:, _DIAGNOSIS],
        list(rows["group"]),
        margin=config.gates.non_inferiority_margin,
        sampling=sampling_of(config.evaluation, config.seed),
    )


def sensitivity_difference(rows: pd.DataFrame, ours: Measured, theirs: Measured, confidence: float) -> Interval:
    """Compare sensitivities, each at its own operating point, on manifest rows (N)."""
    if not (ours.finite and theirs.finite):
        return not_computable(len(rows), NOT_FINITE)
    groups = list(rows["group"])
    return paired_sensitivity_difference(_labels(rows), ours.called, theirs.called, groups, confidence=confidence)


def slice_differences(
    config: ExperimentConfig, rows: pd.DataFrame, ours: Measured, theirs: Measured
) -> tuple[SliceDifference, ...]:
    """Compare on every slice of the configured properties.

    The confidence is shared among all comparisons (Bonferroni), so that the family of them rejects by chance as seldom
    as one.
    """
    if not (ours.finite and theirs.finite):
        return ()
    found = [(f"{by}={value}", inside) for by, value, inside in slice_members(rows) if by in config.gates.slices]
    labels, least = _labels(rows), config.evaluation.min_slice_patients
    enough = [
        tuple(_n_patients(rows, inside & (labels == kind)) >= least for kind in (1.0, 0.0)) for _, inside in found
    ]
    n_comparisons = sum(positive + (positive and negative) for positive, negative in enough)
    confidence = 1 - (1 - config.evaluation.confidence) / max(n_comparisons, 1)
    return tuple(
        SliceDifference(
            name=name,
            n_images=int(inside.sum()),
            n_patients=_n_patients(rows, inside),
            auroc=_slice_auroc(config, rows, inside, ours, theirs, confidence) if positive and negative else None,
            sensitivity=_slice_sensitivity(rows, inside, ours, theirs, confidence) if positive else None,
        )
        for (name, inside), (positive, negative) in zip(found, enough, strict=True)
    )


def flipped(rows: pd.DataFrame, ours: Measured, theirs: Measured) -> tuple[FlipCounts, list[dict[str, Any]]]:
    """Return counts and list of the images whose answer changes; patients go by their pseudonyms."""
    labels, changed = _labels(rows), ours.called != theirs.called
    right, known = ours.called == (labels == 1), ~np.isnan(labels)
    counts = FlipCounts(
        n_images=len(rows),
        n_patients=_n_patients(rows, changed),
        gained=int((changed & known & right).sum()),
        lost=int((changed & known & ~right).sum()),
        unknown=int((changed & ~known).sum()),
    )
    names = {True: "positive", False: "negative"}
    listed = [
        {
            "image": str(rows["image"].iloc[place]),
            "patient": str(rows["group"].iloc[place]),
            "label": None if np.isnan(labels[place]) else int(labels[place]),
            "champion": names[bool(theirs.called[place])],
            "candidate": names[bool(ours.called[place])],
            "champion_probability": _rounded(theirs.probabilities[place, _DIAGNOSIS]),
            "candidate_probability": _rounded(ours.probabilities[place, _DIAGNOSIS]),
        }
        for place in np.flatnonzero(changed)
    ]
    return counts, listed


def _rounded(probability: float) -> float | None:
    """Return a probability for JSON, which has no NaN."""
    return round(float(probability), 6) if np.isfinite(probability) else None


def _slice_auroc(
    config: ExperimentConfig, rows: pd.DataFrame, inside: Members, ours: Measured, theirs: Measured, confidence: float
) -> Interval:
    cases = known_cases(_labels(rows)[inside], ours.probabilities[inside, _DIAGNOSIS], list(rows["group"][inside]))
    known = ~np.isnan(_labels(rows)[inside])
    others = theirs.probabilities[inside, _DIAGNOSIS][known]
    return auroc_difference_against_margin(cases, others, confidence, config.gates.slice_margin)


def _slice_sensitivity(
    rows: pd.DataFrame, inside: Members, ours: Measured, theirs: Measured, confidence: float
) -> Interval:
    return paired_sensitivity_difference(
        _labels(rows)[inside],
        ours.called[inside],
        theirs.called[inside],
        list(rows["group"][inside]),
        confidence=confidence,
    )


def _labels(rows: pd.DataFrame) -> NDArray[np.float64]:
    return label_matrix(rows)[:, _DIAGNOSIS].astype(np.float64)


def _n_patients(rows: pd.DataFrame, inside: Members) -> int:
    return int(rows.loc[inside, "group"].nunique())
