"""Training and scoring the cells of a reproduction; what an earlier run finished is not done again."""

from collections.abc import Sequence
from pathlib import Path

from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.evaluation.scored import Scored, keep_scored, read_scored
from ladnn.evaluation.validation import validate_variant
from ladnn.governance.ledger import check_budget, record_opening
from ladnn.model.graph import InferenceGraph
from ladnn.platform import Platform
from ladnn.progress import say
from ladnn.registry.retrain_runs import fail
from ladnn.registry.tracked_training import train_tracked
from ladnn.registry.tracking import open_tracking
from ladnn.reproduction.cells import TASKS, Cell
from ladnn.store import ObjectStore
from ladnn.training.result import read_file, required_trained


def train_cells(platform: Platform, cells: Sequence[Cell]) -> None:
    """Train every variant that is not trained yet, one after the other; each has a run in MLflow.

    Raises:
        BudgetSpentError: a test part may not be opened any more, which is found out before any work.
        TrainingError: a variant's loss became non-finite; the others that are trained stay.
        TrackingError: MLflow cannot be used.
    """
    for cell in cells:
        _check_budget(platform.store, cell)
    tracking = open_tracking(platform.settings)
    for number, cell in enumerate(cells, start=1):
        try:
            for task in TASKS:
                name = cell.variant(task).name
                title = f"{cell.cut} {name} seed {cell.seed}"
                train_tracked(platform, tracking, cell.plan, name, title)
                say(f"  {title}: trained (cell {number} of {len(cells)})")
        except Exception:
            fail(platform.settings, cell.plan.retrain_id)
            raise
        tracking.finish_all(cell.plan.retrain_id, "FINISHED")


def score_cells(store: ObjectStore, cells: Sequence[Cell], cache: Path) -> None:
    """Score every variant on the test part of its cut, once, with the graph that would be served.

    The ledger notes the opening before anything is read, one for each recipe and test part: what is seen here can
    guide the next recipe as much as what a retrain sees.

    Raises:
        BudgetSpentError: a test part may not be opened any more.
        RetrainError: a variant is not trained yet.
    """
    for cell in cells:
        unscored = [task for task in TASKS if read_scored(store, cell.plan.retrain_id, scores(cell, task)) is None]
        if not unscored:
            continue
        names = tuple(other.plan.retrain_id for other in cells if other.recipe_id == cell.recipe_id)
        _check_budget(store, cell)
        record_opening(store, cell.version.test_version, cell.recipe_id, names)
        rows = rows_of(load_manifest(store, cell.version.id), "test")
        for task in unscored:
            name = cell.variant(task).name
            trained = required_trained(store, cell.plan.retrain_id, name)
            calibration = validate_variant(store, cell.plan, name, cache).calibration
            pixels = load_pixels(store, list(rows["image"]), trained.preprocessing, cache)
            logits = InferenceGraph(read_file(store, trained.graph)).logits(pixels)
            keep_scored(store, cell.plan.retrain_id, scores(cell, task), Scored.of(rows, logits, calibration))


def _check_budget(store: ObjectStore, cell: Cell) -> None:
    check_budget(store, cell.version.test_version, cell.recipe_id, cell.plan.config.gates.max_test_openings)


def scores(cell: Cell, task: str) -> str:
    """Name of the document of a variant's scores on test."""
    return f"variants/{cell.variant(task).name}/test_scores"
