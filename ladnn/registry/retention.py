"""Retention: candidate and champion on the test version that the champion was promoted on, and on the new one."""

from pathlib import Path

import numpy as np
import pandas as pd

from ladnn.dataset.version import DatasetVersion, label_matrix, load_manifest, load_version, rows_of
from ladnn.errors import BudgetSpentError, LadnnError
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_by_delong
from ladnn.governance.gates.evidence import Retention
from ladnn.governance.ledger import record_opening
from ladnn.registry.champion_comparison import auroc_difference
from ladnn.registry.measured import Measured, probabilities_on
from ladnn.retrain import Plan
from ladnn.statistics import Interval
from ladnn.store import ObjectStore


def measure_retention(
    store: ObjectStore,
    plan: Plan,
    version: DatasetVersion,
    rows: pd.DataFrame,
    ours: Measured,
    theirs: Measured,
    cache: Path,
) -> Retention:
    """Fill the 2 x 2 of models and test versions; the ledger counts the opening of the previous version, too.

    Patients that this retrain has looked at in the new version are used no further. Where the others of the previous
    version have no budget left, or what stands in the store of it cannot be read, the table says so and stays empty.
    """
    table = Retention(previous_version=None, new_version=version.test_version)
    try:
        previous = load_version(store, theirs.bundle.manifest.dataset_version)
        table = table.model_copy(update={"previous_version": previous.test_version})
        earlier = rows_of(load_manifest(store, previous.id), "test")
        n_kept = int(earlier["image"].isin(set(rows["image"])).sum())
        table = table.model_copy(update={"n_previous": len(earlier), "n_kept": n_kept})
        if earlier.empty:
            return _unmeasured(table, "the champion's dataset version holds no test patients")
        if previous.test_version != version.test_version:
            bundles, budget = (ours.bundle.id, theirs.bundle.id), plan.config.gates.max_test_openings
            record_opening(store, previous.test_version, plan.retrain_id, bundles, budget)
        before = {
            "candidate": probabilities_on(store, rows, earlier, ours, cache),
            "champion": probabilities_on(store, rows, earlier, theirs, cache),
        }
    except BudgetSpentError:
        return _unmeasured(table, f"the budget of test set {table.previous_version} is used up")
    except LadnnError as error:
        return _unmeasured(table, f"the champion's test version cannot be measured again: {error}")
    confidence = plan.config.evaluation.confidence
    measured = {
        "champion_previous": _auroc(earlier, before["champion"], confidence),
        "champion_new": theirs.scores.diagnosis.auroc,
        "candidate_previous": _auroc(earlier, before["candidate"], confidence),
        "candidate_new": ours.scores.diagnosis.auroc,
        "difference": auroc_difference(plan.config, earlier, before["candidate"], before["champion"]).deciding,
    }
    return table.model_copy(update=measured)


def _unmeasured(table: Retention, problem: str) -> Retention:
    return table.model_copy(update={"problem": problem})


def _auroc(rows: pd.DataFrame, probabilities: np.ndarray, confidence: float) -> Interval:
    labels = label_matrix(rows)[:, 0].astype(np.float64)
    return auroc_by_delong(known_cases(labels, probabilities[:, 0], list(rows["group"])), confidence)
