"""The cells of a reproduction: one backbone, one cut and one seed, with a baseline and a LA-DNN variant each.

A cell is a plan like that of a retrain, under `reproductions/<id>/`, so it is trained, checkpointed and resumed by the
same code. Its id comes from data and recipe, so a cell that was trained is found again, whatever else is asked for.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ladnn import __version__
from ladnn.config import ExperimentConfig, Variant
from ladnn.dataset.freezing import check_trainable_parts, freeze
from ladnn.dataset.version import DatasetVersion
from ladnn.errors import WeightsError
from ladnn.model.network import check_trainable
from ladnn.model.weights import WeightsSource
from ladnn.retrain import REPRODUCTION, Plan, keep_plan
from ladnn.store import ObjectStore

TASKS = ("baseline", "ladnn")


@dataclass(frozen=True, slots=True)
class Cell:
    """A pair of variants that differ in their task alone.

    Attributes:
        backbone: of both.
        cut: of the data.
        seed: of both.
        recipe_id: of everything but backbone and seed; each backbone of a recipe opens a test part once.
        version: frozen data of the cut.
        plan: what is trained.
    """

    backbone: str
    cut: str
    seed: int
    recipe_id: str
    version: DatasetVersion
    plan: Plan

    def variant(self, task: str) -> Variant:
        """Return the variant of a task."""
        return next(variant for variant in self.plan.config.variants if variant.task == task)


def check_backbones(backbones: Sequence[str], config: ExperimentConfig, weights: WeightsSource) -> None:
    """Find out before any training which backbones cannot be trained.

    Raises:
        ConfigError: a backbone is unknown.
        WeightsError: ImageNet weights are not to be had; all such backbones are named.
    """
    problems = []
    for backbone in backbones:
        try:
            check_trainable(_variants(backbone)[0], config.training, weights)
        except WeightsError as error:
            problems.append(f"{backbone}: {error}")
    if problems:
        raise WeightsError(f"{len(problems)} of {len(backbones)} backbones cannot be trained: " + "; ".join(problems))


def plan_cells(
    store: ObjectStore, config: ExperimentConfig, backbones: Sequence[str], cuts: Sequence[str], n_seeds: int
) -> tuple[Cell, ...]:
    """Freeze each cut and plan its cells, or find those that were planned before.

    Args:
        store: holds what intake accepted.
        config: the recipe; its variants, cut and number of seeds are replaced.
        backbones: entries of `ladnn.model.backbones`.
        cuts: names of cuts of the config.
        n_seeds: trainings of each variant, by `config.seed` and the numbers after it.

    Raises:
        ConfigError: a cut is unknown.
        EmptyInboxError: nothing of a cut was accepted.
        DatasetError: a part of a cut lacks positive or negative images.
    """
    cells = []
    for cut in cuts:
        of_cut = config.model_copy(update={"data": config.data.of_cut(cut), "n_seeds": 1})
        version = freeze(store, of_cut.data)
        check_trainable_parts(version)
        recipe_id = _recipe_id(version, of_cut)
        for backbone in backbones:
            for seed in range(config.seed, config.seed + n_seeds):
                experiment = of_cut.model_copy(update={"seed": seed, "variants": _variants(backbone)})
                plan = _plan(store, f"{recipe_id}-{backbone}-{seed}", version, experiment)
                cells.append(Cell(backbone, cut, seed, recipe_id, version, plan))
    return tuple(cells)


def _variants(backbone: str) -> tuple[Variant, ...]:
    return tuple(Variant.model_validate({"backbone": backbone, "task": task}) for task in TASKS)


def _recipe_id(version: DatasetVersion, config: ExperimentConfig) -> str:
    values = config.model_dump(mode="json", include={"data", "training"})
    digest = hashlib.sha256(f"{version.id}:{json.dumps(values, sort_keys=True)}".encode()).hexdigest()
    return f"{REPRODUCTION}{digest[:12]}"


def _plan(store: ObjectStore, plan_id: str, version: DatasetVersion, config: ExperimentConfig) -> Plan:
    plan = Plan(
        retrain_id=plan_id,
        attempt=1,
        dataset_version=version.id,
        config=config,
        ladnn_version=__version__,
        reason="reproduction of table 2",
        planned_at=datetime.now(UTC),
    )
    return keep_plan(store, plan)
