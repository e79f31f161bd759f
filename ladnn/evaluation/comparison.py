"""Baseline against LA-DNN on the same images: means over seeds, and the paired difference with its interval."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.evaluation.at_threshold import not_certain
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.scored import read_scored, validation_scores
from ladnn.evaluation.validation import sampling_of
from ladnn.labels import DIAGNOSIS
from ladnn.retrain import Plan, keep, read
from ladnn.statistics import (
    NOT_ENOUGH,
    Bootstrap,
    Interval,
    Ranking,
    Weights,
    cluster_bootstrap,
    not_computable,
    weighted_auroc,
)
from ladnn.store import ObjectStore

Metrics = Callable[[Cases, Weights], Weights]
"""Cases (N) and their weights (R, N) to metrics (R, M)."""
_DOCUMENT = "comparison"


class PairedMeans(BaseModel):
    """One metric of baseline and LA-DNN, which differ in their task alone.

    Attributes:
        baseline: mean over seeds, with an interval over patients.
        ladnn: the same.
        baseline_by_seed: None where it is not defined.
        ladnn_by_seed: the same.
        difference: ladnn minus baseline on the same patients, mean over seeds; the interval covers the choice of
            patients, not that of seeds. No value where a class has too few patients to tell a difference from chance.
        difference_by_seed: the difference of each seed, which shows the latter.
    """

    model_config = ConfigDict(frozen=True)

    baseline: Interval
    ladnn: Interval
    baseline_by_seed: tuple[float | None, ...]
    ladnn_by_seed: tuple[float | None, ...]
    difference: Interval
    difference_by_seed: tuple[float | None, ...]


class Comparison(BaseModel):
    """AUROC of the diagnosis by baseline and LA-DNN of one backbone.

    Attributes:
        n_images: images with a known diagnosis.
        n_patients: their patients.
    """

    model_config = ConfigDict(frozen=True)

    backbone: str
    seeds: tuple[int, ...]
    n_images: int
    n_patients: int
    auroc: PairedMeans


def paired_means(
    baseline: Sequence[Cases], ladnn: Sequence[Cases], metrics: Metrics, sampling: Bootstrap, min_patients: int
) -> tuple[PairedMeans, ...]:
    """Measure both tasks by all seeds on the same resampled patients; return one value for each of the metrics.

    Args:
        baseline: the same cases with the scores of each seed, finite.
        ladnn: the same, in the same order of seeds.
        metrics: what is measured.
        sampling: of the intervals.
        min_patients: patients of each class with fewer of which a difference has no value.
    """
    first = baseline[0]
    n_patients = {kind: first.n_patients(present=kind) for kind in (True, False)}
    too_few = (
        f"{NOT_ENOUGH}: {n_patients[True]} positive and {n_patients[False]} negative patients, a difference needs "
        f"{min_patients} of each"
    )
    is_enough = min(n_patients.values()) >= min_patients
    whole = np.ones((1, first.n))
    by_seed = [np.array([metrics(item, whole)[0] for item in items]) for items in (baseline, ladnn)]

    def statistic(weights: Weights) -> Weights:
        """Return means of baseline, of ladnn and of their difference (R, 3 M)."""
        means = [np.mean([metrics(item, weights) for item in items], axis=0) for items in (baseline, ladnn)]
        return np.concatenate([*means, means[1] - means[0]], axis=1)

    n_metrics = by_seed[0].shape[1]
    measured = cluster_bootstrap(statistic, first.patients, [first.n] * 3 * n_metrics, sampling)
    measured = tuple(not_certain(interval, None, sampling.confidence) for interval in measured)
    return tuple(
        PairedMeans(
            baseline=measured[column],
            ladnn=measured[column + n_metrics],
            difference=measured[column + 2 * n_metrics] if is_enough else not_computable(first.n, too_few),
            baseline_by_seed=_known(by_seed[0][:, column]),
            ladnn_by_seed=_known(by_seed[1][:, column]),
            difference_by_seed=_known(by_seed[1][:, column] - by_seed[0][:, column]),
        )
        for column in range(n_metrics)
    )


def compare_variants(
    config: ExperimentConfig, cases: Mapping[str, Cases], sampling: Bootstrap
) -> tuple[Comparison, ...]:
    """Compare the tasks of each backbone by the seeds with which both were trained.

    Args:
        config: of the variants.
        cases: the same cases with the scores of each variant, by its name; one that is missing, or whose scores are not
            finite, is left out with its counterpart.
        sampling: of the intervals.
    """
    scored = {variant: cases[variant.name] for variant in config.variants if variant.name in cases}
    by_place = {(v.backbone, v.task, config.seed_of(v)): found for v, found in scored.items() if found.finite}
    compared = []
    for backbone in dict.fromkeys(variant.backbone for variant in scored):
        of_task = {
            task: {s for name, t, s in by_place if (name, t) == (backbone, task)} for task in ("baseline", "ladnn")
        }
        seeds = tuple(sorted(of_task["baseline"] & of_task["ladnn"]))
        if not seeds:
            continue
        baseline, ladnn = ([by_place[backbone, task, seed] for seed in seeds] for task in ("baseline", "ladnn"))
        (auroc,) = paired_means(baseline, ladnn, _auroc, sampling, config.evaluation.min_slice_patients)
        compared.append(
            Comparison(
                backbone=backbone,
                seeds=seeds,
                n_images=baseline[0].n,
                n_patients=baseline[0].n_all_patients,
                auroc=auroc,
            )
        )
    return tuple(compared)


def read_comparisons(store: ObjectStore, retrain_id: str) -> tuple[Comparison, ...]:
    """Return what `compare_validated` kept of a retrain; nothing before it did."""
    return _of_document(read(store, retrain_id, _DOCUMENT) or ())


def compare_validated(store: ObjectStore, plan: Plan) -> tuple[Comparison, ...]:
    """Compare the variants of a retrain on validation, or return what an earlier run compared.

    Nothing is compared, nor kept, before all variants are validated.
    """
    if (done := read(store, plan.retrain_id, _DOCUMENT)) is not None:
        return _of_document(done)
    rows = rows_of(load_manifest(store, plan.dataset_version), "validation")
    labels, patients, cases = rows[DIAGNOSIS].to_numpy(dtype=np.float64), list(rows["group"]), {}
    for variant in plan.config.variants:
        scored = read_scored(store, plan.retrain_id, validation_scores(variant.name))
        if scored is None:
            return ()
        cases[variant.name] = known_cases(labels, scored.probabilities_of(rows)[:, 0], patients)
    compared = compare_variants(plan.config, cases, sampling_of(plan.config.evaluation, plan.config.seed))
    return _of_document(keep(store, plan.retrain_id, _DOCUMENT, [item.model_dump(mode="json") for item in compared]))


def _of_document(items: Iterable[Any]) -> tuple[Comparison, ...]:
    return tuple(Comparison.model_validate(item) for item in items)


def _auroc(cases: Cases, weights: Weights) -> Weights:
    return weighted_auroc(*Ranking.of(cases.present, cases.probabilities).tally(weights))[:, None]


def _known(values: Iterable[float]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
