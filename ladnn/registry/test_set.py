"""The one opening of the test set in a retrain: candidate and champion, rescored now, on the same test patients."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import DatasetVersion, label_matrix, load_manifest, rows_of
from ladnn.evaluation.metrics import paired_auroc_difference
from ladnn.evaluation.validation import Scores, sampling_of, score
from ladnn.governance.gates import TestEvidence
from ladnn.governance.ledger import record_opening
from ladnn.registry.bundle import Bundle, load_bundle
from ladnn.registry.promotion import Promotion, champion
from ladnn.retrain import Plan, keep, read
from ladnn.store import ObjectStore

_DOCUMENT = "test"


class TestResult(BaseModel):
    """What the test set showed, and against which champion."""

    model_config = ConfigDict(frozen=True)

    __test__ = False

    candidate_bundle: str
    champion: Promotion | None
    """The record that was champion when the test set was opened; a promotion holds only if it still is."""
    candidate_scores: Scores | None
    champion_scores: Scores | None
    evidence: TestEvidence


def open_test_set(
    store: ObjectStore, plan: Plan, version: DatasetVersion, candidate_bundle: str, cache: Path
) -> TestResult:
    """Measure candidate and champion on the test part, or return what an earlier run measured.

    The ledger notes the opening before anything is scored.

    Raises:
        BundleError: a bundle is damaged.
    """
    if (done := read_test_result(store, plan.retrain_id)) is not None:
        return done
    current = champion(store)
    rows = rows_of(load_manifest(store, plan.dataset_version), "test")
    if rows.empty:
        result = _no_test_set(candidate_bundle, current)
    else:
        bundles = (candidate_bundle, *([current.bundle_id] if current else []))
        openings = record_opening(store, version.test_version, plan.retrain_id, bundles)
        result = _measure(store, plan, rows, candidate_bundle, current, openings, cache)
    return TestResult.model_validate(keep(store, plan.retrain_id, _DOCUMENT, result.model_dump(mode="json")))


def read_test_result(store: ObjectStore, retrain_id: str) -> TestResult | None:
    """Read what the test set showed in a retrain, if it got that far."""
    document = read(store, retrain_id, _DOCUMENT)
    return None if document is None else TestResult.model_validate(document)


def _no_test_set(candidate_bundle: str, current: Promotion | None) -> TestResult:
    evidence = TestEvidence(
        candidate=None,
        champion=None,
        difference=None,
        has_champion=current is not None,
        candidate_is_champion=current is not None and current.bundle_id == candidate_bundle,
        openings=0,
    )
    return TestResult(
        candidate_bundle=candidate_bundle,
        champion=current,
        candidate_scores=None,
        champion_scores=None,
        evidence=evidence,
    )


def _measure(
    store: ObjectStore,
    plan: Plan,
    rows: pd.DataFrame,
    candidate_bundle: str,
    current: Promotion | None,
    openings: int,
    cache: Path,
) -> TestResult:
    sampling = sampling_of(plan.config.evaluation, plan.config.seed)
    bundle = load_bundle(store, candidate_bundle)
    ours = _probabilities(store, bundle, rows, cache)
    scores = score(rows, ours, bundle.manifest.threshold, sampling)
    champion_scores, difference = None, None
    if current is not None:
        incumbent = load_bundle(store, current.bundle_id)
        theirs = _probabilities(store, incumbent, rows, cache)
        champion_scores = score(rows, theirs, incumbent.manifest.threshold, sampling)
        labels = label_matrix(rows)[:, 0].astype(np.float64)
        difference = paired_auroc_difference(labels, ours[:, 0], theirs[:, 0], list(rows["group"]), sampling=sampling)
    evidence = TestEvidence(
        candidate=scores.diagnosis,
        champion=champion_scores.diagnosis if champion_scores else None,
        difference=difference,
        has_champion=current is not None,
        candidate_is_champion=current is not None and current.bundle_id == candidate_bundle,
        openings=openings,
    )
    return TestResult(
        candidate_bundle=candidate_bundle,
        champion=current,
        candidate_scores=scores,
        champion_scores=champion_scores,
        evidence=evidence,
    )


def _probabilities(store: ObjectStore, bundle: Bundle, rows: pd.DataFrame, cache: Path) -> NDArray[np.float64]:
    return bundle.probabilities(load_pixels(store, list(rows["image"]), bundle.manifest.preprocessing, cache))
