"""The one opening of the test set in a retrain: candidate and champion, rescored now, on the same test patients."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.version import DatasetVersion, load_manifest, rows_of
from ladnn.errors import BundleError, RetrainError
from ladnn.evaluation.paired import AurocDifference
from ladnn.evaluation.scored import TEST_CANDIDATE, TEST_CHAMPION
from ladnn.evaluation.slices import Scores, Slice
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import GateResult
from ladnn.governance.ledger import record_opening, use_of
from ladnn.registry.bundle import load_bundle, read_manifest
from ladnn.registry.champion_comparison import auroc_difference, flipped, rate_differences, slice_differences
from ladnn.registry.lesion_comparison import compare_lesions
from ladnn.registry.measured import Measured, measure
from ladnn.registry.promotion import Promotion, champion
from ladnn.registry.retention import measure_retention
from ladnn.retrain import Plan, keep, read
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore

_DOCUMENT = "test"
FLIPS = "flips"
"""Document with the images whose answer changes against the champion."""


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
    """AUROC of the candidate minus that of the champion; the evidence holds the interval that decides."""
    evidence: TestEvidence

    @property
    def against(self) -> int:
        """Number of the promotion that was champion; 0 where there was none."""
        return self.champion.number if self.champion else 0


def open_test_set(
    store: ObjectStore,
    plan: Plan,
    version: DatasetVersion,
    candidate_bundle: str,
    trusted: TrustedKeys,
    cache: Path,
    failed: Sequence[GateResult] = (),
) -> TestResult:
    """Measure candidate and champion on the test part, or return what an earlier run measured.

    The ledger notes the opening before anything is scored. Where gates that need no test set have failed, it is not
    opened, and the result says so.

    Raises:
        BudgetSpentError: the test set has been opened as often as its budget allows; nothing is scored.
        BundleError: the candidate's bundle is damaged, or no trusted key signed it; that of the champion is told in the evidence.
    """
    if (done := read_test_result(store, plan.retrain_id)) is not None:
        return done
    current = champion(store)
    rows = rows_of(load_manifest(store, plan.dataset_version), "test")
    ours, theirs, problem, use = None, None, None, None
    shut = f"{', '.join(gate.name for gate in failed)} failed before" if failed and not rows.empty else None
    if shut is not None:
        use = use_of(store, version.test_version)
    elif not rows.empty:
        opened_by = (candidate_bundle, *([current.bundle_id] if current else []))
        budget = plan.config.gates.max_test_openings
        use = record_opening(store, version.test_version, plan.retrain_id, opened_by, budget)
        ours = measure(store, plan, rows, load_bundle(store, candidate_bundle, trusted), TEST_CANDIDATE, cache)
        theirs, problem = _champion(store, plan, rows, current, trusted, cache)
    evidence = TestEvidence(
        candidate=ours.scores.diagnosis if ours else None,
        champion=theirs.scores.diagnosis if theirs else None,
        lesions=ours.scores.lesions if ours else None,
        difference=None,
        has_champion=current is not None,
        champion_problem=problem,
        candidate_is_champion=_is_champion(store, candidate_bundle, current, trusted),
        openings=use.used if use else 0,
        allowed=use.allowed if use else 0,
        allowed_by=use.allowed_by if use else None,
        shut=shut,
    )
    difference = None
    if ours is not None and theirs is not None:
        difference = auroc_difference(plan.config, rows, ours.probabilities, theirs.probabilities)
        evidence = _compared(store, plan, version, rows, evidence, difference, ours, theirs, cache)
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


def read_flips(store: ObjectStore, retrain_id: str) -> list[dict[str, Any]]:
    """Read which images change their answer against the champion; none where nothing was compared."""
    listed: list[dict[str, Any]] | None = read(store, retrain_id, FLIPS)
    return listed or []


def required_test_result(store: ObjectStore, retrain_id: str) -> TestResult:
    """Read what the test set showed in a retrain that has a decision.

    Raises:
        RetrainError: the document is missing.
    """
    result = read_test_result(store, retrain_id)
    if result is None:
        raise RetrainError(f"retrain {retrain_id} has no test result; run the retrain again")
    return result


def _champion(
    store: ObjectStore,
    plan: Plan,
    rows: pd.DataFrame,
    current: Promotion | None,
    trusted: TrustedKeys,
    cache: Path,
) -> tuple[Measured | None, str | None]:
    """Measure the champion, or say why it cannot be: a person decides, or a broken one would end or reject all of them."""
    if current is None:
        return None, None
    try:
        bundle = load_bundle(store, current.bundle_id, trusted)
    except BundleError as error:
        return None, str(error)
    measured = measure(store, plan, rows, bundle, TEST_CHAMPION, cache)
    return (measured, None) if measured.finite else (None, "its scores are not finite")


def _is_champion(store: ObjectStore, bundle_id: str, current: Promotion | None, trusted: TrustedKeys) -> bool:
    """Tell whether the candidate serves what the champion serves; one that cannot be read is told as the champion's problem."""
    if current is None or current.bundle_id == bundle_id:
        return current is not None
    candidate = read_manifest(store, bundle_id, trusted)
    try:
        return candidate.model_digest == read_manifest(store, current.bundle_id, trusted).model_digest
    except BundleError:
        return False


def _compared(
    store: ObjectStore,
    plan: Plan,
    version: DatasetVersion,
    rows: pd.DataFrame,
    evidence: TestEvidence,
    difference: AurocDifference,
    ours: Measured,
    theirs: Measured,
    cache: Path,
) -> TestEvidence:
    """Add what candidate and champion show beside each other, and keep the list of answers that change."""
    counts, listed = flipped(rows, ours, theirs)
    keep(store, plan.retrain_id, FLIPS, listed)
    rates = rate_differences(rows, ours, theirs, plan.config.evaluation.confidence)
    return evidence.model_copy(
        update={
            "difference": difference.deciding,
            **{f"{name}_difference": difference for name, difference in rates.items()},
            "slices": slice_differences(plan.config, rows, ours, theirs),
            "flips": counts,
            "retention": measure_retention(store, plan, version, rows, ours, theirs, cache),
            "sanity": compare_lesions(plan.config, rows, ours, theirs),
        }
    )
