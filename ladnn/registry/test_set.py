"""The one opening of the test set in a retrain: candidate and champion, rescored now, on the same test patients."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import DatasetVersion, label_matrix, load_manifest, rows_of
from ladnn.errors import BundleError, RetrainError
from ladnn.evaluation.paired import AurocDifference, paired_auroc_difference, paired_sensitivity_difference
from ladnn.evaluation.scored import TEST_CANDIDATE, TEST_CHAMPION, Scored, keep_scored
from ladnn.evaluation.slices import Scores, Slice, score, score_slices
from ladnn.evaluation.validation import sampling_of
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.ledger import record_opening
from ladnn.registry.bundle import load_bundle
from ladnn.registry.promotion import Promotion, champion
from ladnn.retrain import Plan, keep, read
from ladnn.statistics import NOT_FINITE, Interval, not_computable
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
    candidate_slices: tuple[Slice, ...]
    champion_slices: tuple[Slice, ...]
    difference: AurocDifference | None
    """AUROC of the candidate minus that of the champion; the evidence holds its bootstrap interval."""
    evidence: TestEvidence


@dataclass(frozen=True, slots=True)
class _Measured:
    """A bundle on the test part; probabilities are (N, 6)."""

    probabilities: NDArray[np.float64]
    scores: Scores
    slices: tuple[Slice, ...]

    @property
    def called(self) -> NDArray[np.bool_]:
        """Whether each image is called positive at the model's own operating point (N,)."""
        return self.probabilities[:, 0] >= self.scores.diagnosis.threshold


def open_test_set(
    store: ObjectStore, plan: Plan, version: DatasetVersion, candidate_bundle: str, cache: Path
) -> TestResult:
    """Measure candidate and champion on the test part, or return what an earlier run measured.

    The ledger notes the opening before anything is scored.

    Raises:
        BundleError: the candidate's bundle is damaged; that of the champion is told in the evidence.
    """
    if (done := read_test_result(store, plan.retrain_id)) is not None:
        return done
    current = champion(store)
    rows = rows_of(load_manifest(store, plan.dataset_version), "test")
    ours, theirs, openings, problem = None, None, 0, None
    if not rows.empty:
        opened_by = (candidate_bundle, *([current.bundle_id] if current else []))
        openings = record_opening(store, version.test_version, plan.retrain_id, opened_by)
        ours = _measure(store, plan, rows, candidate_bundle, TEST_CANDIDATE, cache)
        try:
            theirs = _measure(store, plan, rows, current.bundle_id, TEST_CHAMPION, cache) if current else None
        except BundleError as error:  # a person decides: without a way on, a damaged champion would end all retrains
            problem = str(error)
    difference = _difference(plan, rows, ours, theirs)
    evidence = TestEvidence(
        candidate=ours.scores.diagnosis if ours else None,
        champion=theirs.scores.diagnosis if theirs else None,
        lesions=ours.scores.lesions if ours else None,
        difference=difference.deciding if difference else None,
        sensitivity_difference=_sensitivity_difference(plan, rows, ours, theirs),
        has_champion=current is not None,
        champion_problem=problem,
        candidate_is_champion=current is not None and current.bundle_id == candidate_bundle,
        openings=openings,
    )
    result = TestResult(
        candidate_bundle=candidate_bundle,
        champion=current,
        candidate_scores=ours.scores if ours else None,
        champion_scores=theirs.scores if theirs else None,
        candidate_slices=ours.slices if ours else (),
        champion_slices=theirs.slices if theirs else (),
        difference=difference,
        evidence=evidence,
    )
    return TestResult.model_validate(keep(store, plan.retrain_id, _DOCUMENT, result.model_dump(mode="json")))


def read_test_result(store: ObjectStore, retrain_id: str) -> TestResult | None:
    """Read what the test set showed in a retrain, if it got that far."""
    document = read(store, retrain_id, _DOCUMENT)
    return None if document is None else TestResult.model_validate(document)


def required_test_result(store: ObjectStore, retrain_id: str) -> TestResult:
    """Read what the test set showed in a retrain that has a decision.

    Raises:
        RetrainError: the document is missing.
    """
    result = read_test_result(store, retrain_id)
    if result is None:
        raise RetrainError(f"retrain {retrain_id} has no test result; run the retrain again")
    return result


def _measure(
    store: ObjectStore, plan: Plan, rows: pd.DataFrame, bundle_id: str, scores_name: str, cache: Path
) -> _Measured:
    bundle = load_bundle(store, bundle_id)
    manifest, evaluation = bundle.manifest, plan.config.evaluation
    logits = bundle.graph.logits(load_pixels(store, list(rows["image"]), manifest.preprocessing, cache))
    keep_scored(store, plan.retrain_id, scores_name, Scored.of(rows, logits, manifest.calibration))
    probabilities = manifest.calibration.probabilities(logits)
    sampling = sampling_of(evaluation, plan.config.seed)
    scores = score(rows, probabilities, manifest.threshold, sampling)
    slices = score_slices(rows, probabilities, manifest.threshold, sampling, evaluation.min_slice_patients)
    return _Measured(probabilities, scores, slices)


def _difference(
    plan: Plan, rows: pd.DataFrame, ours: _Measured | None, theirs: _Measured | None
) -> AurocDifference | None:
    if ours is None or theirs is None:
        return None
    return paired_auroc_difference(
        label_matrix(rows)[:, 0].astype(np.float64),
        ours.probabilities[:, 0],
        theirs.probabilities[:, 0],
        list(rows["group"]),
        margin=plan.config.gates.non_inferiority_margin,
        sampling=sampling_of(plan.config.evaluation, plan.config.seed),
    )


def _sensitivity_difference(
    plan: Plan, rows: pd.DataFrame, ours: _Measured | None, theirs: _Measured | None
) -> Interval | None:
    if ours is None or theirs is None:
        return None
    if not (np.isfinite(ours.probabilities).all() and np.isfinite(theirs.probabilities).all()):
        return not_computable(len(rows), NOT_FINITE)
    return paired_sensitivity_difference(
        label_matrix(rows)[:, 0].astype(np.float64),
        ours.called,
        theirs.called,
        list(rows["group"]),
        confidence=plan.config.evaluation.confidence,
    )
