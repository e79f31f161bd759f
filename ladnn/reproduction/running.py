"""Training and scoring the cells of a reproduction; what an earlier run finished is not done again."""

from collections.abc import Sequence
from pathlib import Path

from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.evaluation.scored import Scored, keep_scored, read_scored
from ladnn.evaluation.validation import validate_variant
from ladnn.governance.ledger import check_budget, openings, record_opening
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
    _check_budget(platform.store, cells)
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

    The ledger notes each opening before anything is read: one for each backbone and test part, as a baseline beside a
    LA-DNN is looked at as a candidate beside a champion. Seeds are averaged and count once, seeds that are asked for
    later anew: what is seen here can guide the next recipe as much as what a retrain sees.

    Raises:
        BudgetSpentError: a test part may not be opened any more.
        RetrainError: a variant is not trained yet.
    """
    _check_budget(store, cells)
    for look in _new_looks(store, cells):
        version, plan = look[0].version, look[0].plan
        measured = tuple(cell.plan.retrain_id for cell in look)
        record_opening(store, version.test_version, plan.retrain_id, measured, _budget(look[0]))
    for cell in cells:
        unscored = [task for task in TASKS if read_scored(store, cell.plan.retrain_id, scores(cell, task)) is None]
        if not unscored:
            continue
        rows = rows_of(load_manifest(store, cell.version.id), "test")
        for task in unscored:
            name = cell.variant(task).name
            trained = required_trained(store, cell.plan.retrain_id, name)
            calibration = validate_variant(store, cell.plan, name, cache).calibration
            pixels = load_pixels(store, list(rows["image"]), trained.preprocessing, cache)
            logits = InferenceGraph(read_file(store, trained.graph)).logits(pixels)
            keep_scored(store, cell.plan.retrain_id, scores(cell, task), Scored.of(rows, logits, calibration))


def _check_budget(store: ObjectStore, cells: Sequence[Cell]) -> None:
    """Refuse before any of them is opened: one that is opened counts."""
    looks = _new_looks(store, cells)
    if looks:
        planned = [(look[0].version.test_version, look[0].plan.retrain_id) for look in looks]
        check_budget(store, planned, _budget(looks[0][0]))


def _budget(cell: Cell) -> int:
    return cell.plan.config.gates.max_test_openings


def _new_looks(store: ObjectStore, cells: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells that no opening has looked at, by recipe, which is of one cut, and backbone."""
    looked_at = {plan_id for opening in openings(store) for plan_id in opening.opened_by}
    looks: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.plan.retrain_id not in looked_at:
            looks.setdefault((cell.recipe_id, cell.backbone), []).append(cell)
    return list(looks.values())


def scores(cell: Cell, task: str) -> str:
    """Name of the document of a variant's scores on test."""
    return f"variants/{cell.variant(task).name}/test_scores"
