"""Candidate and champion on the same test rows: paired differences, by slice too, and the answers that change."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import label_matrix
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_difference_against_margin
from ladnn.evaluation.paired import (
    AurocDifference,
    paired_auroc_difference,
    paired_sensitivity_difference,
    paired_specificity_difference,
)
from ladnn.evaluation.slices import slice_members
from ladnn.evaluation.validation import sampling_of
from ladnn.governance.gates.evidence import FlipCounts, SliceDifference
from ladnn.registry.measured import Measured
from ladnn.statistics import NOT_FINITE, Interval, not_computable

Members = NDArray[np.bool_]
_DIAGNOSIS = 0
_RATES = {"sensitivity": paired_sensitivity_difference, "specificity": paired_specificity_difference}


def auroc_difference(
    config: ExperimentConfig, rows: pd.DataFrame, ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> AurocDifference:
    """Compare the diagnosis of probabilities (N, 6) on manifest rows (N)."""
    return paired_auroc_difference(
        _labels(rows),
        ours[:, _DIAGNOSIS],
        theirs[:, _DIAGNOSIS],
        list(rows["group"]),
        sampling=sampling_of(config.evaluation, config.seed),
    )


def rate_differences(rows: pd.DataFrame, ours: Measured, theirs: Measured, confidence: float) -> dict[str, Interval]:
    """Compare sensitivities and specificities, each model at its own operating point, on manifest rows (N)."""
    if not (ours.finite and theirs.finite):
        return dict.fromkeys(_RATES, not_computable(len(rows), NOT_FINITE))
    everywhere = np.ones(len(rows), dtype=np.bool_)
    return {name: _rate(name, rows, everywhere, ours, theirs, confidence) for name in _RATES}


def slice_differences(
    config: ExperimentConfig, rows: pd.DataFrame, ours: Measured, theirs: Measured
) -> tuple[SliceDifference, ...]:
    """Compare on every slice of the configured properties; a required one by itself, however small.

    The confidence is shared among all comparisons (Bonferroni), so that the family of them rejects by chance as seldom
    as one.
    """
    if not (ours.finite and theirs.finite):
        return ()
    gates = config.gates
    members = slice_members(rows, gates.required_slices)
    found = [(f"{by}={value}", inside) for by, value, inside in members if by in gates.slices]
    labels, least = _labels(rows), config.evaluation.min_slice_patients
    enough = [
        tuple(_n_patients(rows, inside & (labels == kind)) >= least for kind in (1.0, 0.0)) for _, inside in found
    ]
    n_comparisons = sum(positive + negative + (positive and negative) for positive, negative in enough)
    confidence = 1 - (1 - config.evaluation.confidence) / max(n_comparisons, 1)

    def rate(name: str, inside: Members, is_enough: bool) -> Interval | None:
        return _rate(name, rows, inside, ours, theirs, confidence) if is_enough else None

    return tuple(
        SliceDifference(
            name=name,
            n_images=int(inside.sum()),
            n_patients=_n_patients(rows, inside),
            auroc=_slice_auroc(rows, inside, ours, theirs, confidence) if positive and negative else None,
            sensitivity=rate("sensitivity", inside, positive),
            specificity=rate("specificity", inside, negative),
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


def _slice_auroc(rows: pd.DataFrame, inside: Members, ours: Measured, theirs: Measured, confidence: float) -> Interval:
    cases = known_cases(_labels(rows)[inside], ours.probabilities[inside, _DIAGNOSIS], list(rows["group"][inside]))
    known = ~np.isnan(_labels(rows)[inside])
    others = theirs.probabilities[inside, _DIAGNOSIS][known]
    return auroc_difference_against_margin(cases, others, confidence)


def _rate(
    name: str, rows: pd.DataFrame, inside: Members, ours: Measured, theirs: Measured, confidence: float
) -> Interval:
    groups = list(rows["group"][inside])
    return _RATES[name](
        _labels(rows)[inside], ours.called[inside], theirs.called[inside], groups, confidence=confidence
    )


def _labels(rows: pd.DataFrame) -> NDArray[np.float64]:
    return label_matrix(rows)[:, _DIAGNOSIS].astype(np.float64)


def _n_patients(rows: pd.DataFrame, inside: Members) -> int:
    return int(rows.loc[inside, "group"].nunique())
