"""Lesion heads and attention of candidate and champion, on the same test rows and the same phantoms."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import label_matrix
from ladnn.evaluation.outlined import OutlinedSlice, outlined_phantoms
from ladnn.evaluation.pointing import Look, look
from ladnn.evaluation.validation import sampling_of
from ladnn.governance.gates.evidence import LesionSanity
from ladnn.labels import LESIONS
from ladnn.registry.measured import Measured
from ladnn.statistics import (
    Bootstrap,
    Interval,
    Ranking,
    Weights,
    bootstrap_of_totals,
    cluster_bootstrap,
    weighted_auroc,
)

_PHANTOM_SEED = 9100
"""Another than those of training data (from 1) and of `ladnn attention` (9000)."""

_OURS, _THEIRS, _DIFFERENCE = "candidate", "champion", "difference"
_LEAST_PATIENTS = 3
"""With a lesion, and without it, for the lesion to be compared; fewer where the config asks for fewer images."""


def compare_lesions(config: ExperimentConfig, rows: pd.DataFrame, ours: Measured, theirs: Measured) -> LesionSanity:
    """Compare the lesion heads on manifest rows (N), and where both models look on phantoms."""
    sampling = sampling_of(config.evaluation, config.seed)
    heads: dict[str, Interval] = {}
    if ours.finite and theirs.finite:
        heads = _heads(rows, ours, theirs, config.gates.min_lesion_images, sampling)
    energies = _energies(config.gates.n_attention_phantoms, ours, theirs, sampling)
    return LesionSanity(
        candidate_auroc=heads[_OURS].value if heads else None,
        champion_auroc=heads[_THEIRS].value if heads else None,
        auroc_difference=heads.get(_DIFFERENCE),
        lesion_differences={lesion: heads[lesion] for lesion in LESIONS if lesion in heads},
        candidate_energy=energies[0].value if energies else None,
        champion_energy=energies[1].value if energies else None,
        energy_difference=energies[2] if energies else None,
    )


def _heads(
    rows: pd.DataFrame, ours: Measured, theirs: Measured, least: int, sampling: Bootstrap
) -> dict[str, Interval]:
    """Return the mean AUROC over known lesions of both, its difference, and that of each; nothing where no lesion has enough labels.

    A lesion whose images with it, or without it, are of one or two patients would be undefined in many resamplings, and
    take the interval of the mean with it.
    """
    labels, groups = label_matrix(rows)[:, 1:], rows["group"].to_numpy()
    columns = [
        column
        for column in range(labels.shape[1])
        if all(
            (inside := labels[:, column] == kind).sum() >= least
            and np.unique(groups[inside]).size >= min(least, _LEAST_PATIENTS)
            for kind in (0, 1)
        )
    ]
    if not columns:
        return {}
    known = [~np.isnan(labels[:, column]) for column in columns]

    def rankings(probabilities: NDArray[np.float64]) -> list[Ranking]:
        return [
            Ranking.of(labels[inside, column] == 1, probabilities[inside, column + 1])
            for column, inside in zip(columns, known, strict=True)
        ]

    of_both = [rankings(item.probabilities) for item in (ours, theirs)]

    def statistic(weights: Weights) -> Weights:
        candidate, champion = (
            np.stack(
                [
                    weighted_auroc(*ranking.tally(weights[:, inside]))
                    for ranking, inside in zip(of_model, known, strict=True)
                ]
            )
            for of_model in of_both
        )
        means = candidate.mean(axis=0), champion.mean(axis=0)
        return np.stack([*means, means[0] - means[1], *(candidate - champion)], axis=1)

    n_cases = [int(np.any(known, axis=0).sum())] * 3 + [int(inside.sum()) for inside in known]
    names = (_OURS, _THEIRS, _DIFFERENCE, *(LESIONS[column] for column in columns))
    return dict(zip(names, cluster_bootstrap(statistic, list(rows["group"]), n_cases, sampling), strict=True))


def _energies(n_patients: int, ours: Measured, theirs: Measured, sampling: Bootstrap) -> tuple[Interval, ...] | None:
    """Return the mean share of the maps' sum inside outlined lesions of both, and the difference; None without looks."""
    shown = list(outlined_phantoms(_PHANTOM_SEED, n_patients, 1))
    pairs = [_paired(shown, item) for item in (ours, theirs)]
    if not pairs[0]:
        return None
    values = np.array([(a.energy, b.energy, a.energy - b.energy, 1.0) for a, b in zip(*pairs, strict=True)])

    def means(totals: Weights) -> Weights:
        return totals[:, :3] / totals[:, 3:]

    return bootstrap_of_totals(means, values, [item.patient for item in pairs[0]], [len(values)] * 3, sampling)


def _paired(shown: list[OutlinedSlice], measured: Measured) -> tuple[Look, ...]:
    return look(measured.bundle.attention(), shown, fineness=1)
