"""Table 2 of the paper, reproduced: metrics of baseline and LA-DNN by backbone and cut, and their paired difference."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.version import label_matrix, load_manifest, rows_of
from ladnn.errors import DatasetError
from ladnn.evaluation.at_threshold import AT_THRESHOLD, ThresholdMetrics
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.comparison import PairedMeans, paired_means
from ladnn.evaluation.scored import read_scored
from ladnn.reproduction.cells import TASKS, Cell
from ladnn.reproduction.paper import METRICS, Metric, published
from ladnn.reproduction.running import scores
from ladnn.statistics import Bootstrap, Ranking, Weights, weighted_auroc
from ladnn.store import ObjectStore

THRESHOLD = 0.5
"""Probability at which a case is called positive. The paper states none; temperature scaling does not move it."""


class Compared(PairedMeans):
    """One number of the table, as the paper has it and as it was measured here; all between 0 and 1.

    Attributes:
        paper_baseline: of the paper; None for a backbone that it has not.
        paper_ladnn: of the paper.
    """

    metric: Metric
    backbone: str
    cut: str
    paper_baseline: float | None
    paper_ladnn: float | None


class Table2(BaseModel):
    """The whole table.

    Attributes:
        rows: by cut, backbone and metric.
        dataset_versions: by cut.
        n_test_images: by cut.
        n_test_patients: by cut.
        n_seeds: trainings behind each mean.
        min_patients: patients of each class with fewer of which a difference has no value.
        threshold: probability from which a case counts as positive.
        plans: ids of the cells, under `reproductions/`.
    """

    model_config = ConfigDict(frozen=True)

    rows: tuple[Compared, ...]
    dataset_versions: dict[str, str]
    n_test_images: dict[str, int]
    n_test_patients: dict[str, int]
    n_seeds: int
    min_patients: int
    threshold: float
    plans: tuple[str, ...]


def tabulate(store: ObjectStore, cells: Sequence[Cell], sampling: Bootstrap, min_patients: int) -> Table2:
    """Measure scored cells, those of one backbone and cut together.

    Args:
        store: holds their scores.
        cells: trained and scored; those of one backbone and cut stand together.
        sampling: of the intervals.
        min_patients: patients of each class that a difference needs.

    Raises:
        DatasetError: a test part holds no known diagnosis, or a cell is not scored.
    """
    rows: list[Compared] = []
    for (cut, backbone), members in groupby(cells, key=lambda cell: (cell.cut, cell.backbone)):
        of_seeds = list(members)
        cases = {task: [_cases(store, cell, task) for cell in of_seeds] for task in TASKS}
        rows.extend(_compare(cut, backbone, cases, sampling, min_patients))
    versions = {cell.cut: cell.version for cell in cells}
    return Table2(
        rows=tuple(rows),
        dataset_versions={cut: version.id for cut, version in versions.items()},
        n_test_images={cut: version.splits["test"].n_images for cut, version in versions.items()},
        n_test_patients={cut: version.splits["test"].n_groups for cut, version in versions.items()},
        n_seeds=len({cell.seed for cell in cells}),
        min_patients=min_patients,
        threshold=THRESHOLD,
        plans=tuple(cell.plan.retrain_id for cell in cells),
    )


def _cases(store: ObjectStore, cell: Cell, task: str) -> Cases:
    scored = read_scored(store, cell.plan.retrain_id, scores(cell, task))
    if scored is None:
        raise DatasetError(f"{cell.plan.retrain_id} is not scored yet; run the reproduction again")
    rows = rows_of(load_manifest(store, cell.version.id), "test")
    labels = label_matrix(rows)[:, 0].astype(np.float64)
    cases = known_cases(labels, scored.probabilities_of(rows)[:, 0], list(rows["group"]))
    if not cases.finite or not 0 < cases.n_present < cases.n:
        raise DatasetError(
            f"{cell.plan.retrain_id} on {cases.n} test images, {cases.n_present} of them positive, cannot be measured: a "
            "score is not finite or a diagnosis is missing; lower training.learning_rate or contribute more patients"
        )
    return cases


def _compare(
    cut: str, backbone: str, cases: dict[str, list[Cases]], sampling: Bootstrap, min_patients: int
) -> Iterable[Compared]:
    """Measure all seeds of both tasks on the same resampled patients."""
    measured = paired_means(cases["baseline"], cases["ladnn"], _metrics, sampling, min_patients)
    for metric, means in zip(METRICS, measured, strict=True):
        of_paper = published(metric, backbone, cut) or (None, None)
        paper_baseline, paper_ladnn = (None if value is None else value / 100 for value in of_paper)
        yield Compared(
            metric=metric,
            backbone=backbone,
            cut=cut,
            paper_baseline=paper_baseline,
            paper_ladnn=paper_ladnn,
            **means.model_dump(),
        )


def _metrics(cases: Cases, weights: Weights) -> Weights:
    """Return the metrics of `METRICS` (R, M) under case weights (R, N)."""
    at_threshold = ThresholdMetrics.of(cases, THRESHOLD)
    columns = dict(zip(AT_THRESHOLD, at_threshold.statistic(weights @ at_threshold.values).T, strict=False))
    ranking = Ranking.of(cases.present, cases.probabilities)
    columns["auroc"] = weighted_auroc(*ranking.tally(weights))
    return np.stack([columns[metric] for metric in METRICS], axis=1)
