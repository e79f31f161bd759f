"""Retention: candidate and champion on the test version that the champion was promoted on, and on the new one."""

from pathlib import Path

import numpy as np
import pandas as pd

from ladnn.dataset.version import DatasetVersion, label_matrix, load_manifest, load_version, rows_of
from ladnn.errors import BudgetSpentError, LadnnError
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_by_delong
from ladnn.governance.gates.evidence import Retention
from ladnn.governance.ledger import check_budget, record_opening
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

    Where the budget of the previous version is used up, or the champion's dataset version cannot be read, the table
    says so and stays empty.
    """
    previous_version = None
    try:
        previous = load_version(store, theirs.bundle.manifest.dataset_version)
        previous_version = previous.test_version
        earlier = rows_of(load_manifest(store, previous.id), "test")
        if earlier.empty:
            return Retention(
                previous_version=previous_version,
                new_version=version.test_version,
                problem="the champion's dataset version holds no test patients",
            )
        if previous_version != version.test_version:
            check_budget(store, previous_version, plan.retrain_id, plan.config.gates.max_test_openings)
            record_opening(store, previous_version, plan.retrain_id, (ours.bundle.id, theirs.bundle.id))
        before = {
            "candidate": probabilities_on(store, rows, earlier, ours, cache),
            "champion": probabilities_on(store, rows, earlier, theirs, cache),
        }
    except BudgetSpentError:
        problem = f"the budget of test set {previous_version} is used up"
        return Retention(previous_version=previous_version, new_version=version.test_version, problem=problem)
    except LadnnError as error:
        problem = f"the champion's dataset version cannot be read: {error}"
        return Retention(previous_version=previous_version, new_version=version.test_version, problem=problem)
    confidence = plan.config.evaluation.confidence
    return Retention(
        previous_version=previous_version,
        new_version=version.test_version,
        champion_previous=_auroc(earlier, before["champion"], confidence),
        champion_new=theirs.scores.diagnosis.auroc,
        candidate_previous=_auroc(earlier, before["candidate"], confidence),
        candidate_new=ours.scores.diagnosis.auroc,
        difference=auroc_difference(plan.config, earlier, before["candidate"], before["champion"]).deciding,
    )


def _auroc(rows: pd.DataFrame, probabilities: np.ndarray, confidence: float) -> Interval:
    labels = label_matrix(rows)[:, 0].astype(np.float64)
    return auroc_by_delong(known_cases(labels, probabilities[:, 0], list(rows["group"])), confidence)
