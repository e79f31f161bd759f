"""Owns decisions and test results made by hand, for tests of what comes after them."""

from datetime import UTC, datetime, timedelta

from trained_platform import VARIANT

from ladnn.governance.decision import Decision
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict
from ladnn.registry.promotion import champion
from ladnn.registry.test_set import TestResult
from ladnn.retrain import keep


def decision_for(platform, outcome="promote", *, retrain_id=None, bundle_id=None, hours=1.0):
    verdict = {"promote": Verdict.PASS, "reject": Verdict.FAIL, "hold": Verdict.NOT_EVALUATED}[outcome]
    gate = GateResult(
        name="auroc_floor", value=None, limit=0.75, interval=None, n=0, verdict=verdict, reason="made by hand"
    )
    return Decision(
        retrain_id=retrain_id or platform.retrain_id,
        variant=VARIANT,
        bundle_id=bundle_id or platform.bundle_id,
        outcome=outcome,
        policy="automatic",
        gates=(gate,),
        reasons=(f"{gate.name}: {gate.reason}",),
        decided_at=datetime.now(UTC),
        expires_at=datetime.now(UTC) + timedelta(hours=hours) if outcome == "hold" else None,
    )


def held(platform, hours=1.0):
    """A held decision of the platform's retrain, with the documents that a retrain keeps."""
    test, decision = result_against_the_champion(platform), decision_for(platform, "hold", hours=hours)
    keep(platform.store, platform.retrain_id, "test", test.model_dump(mode="json"))
    keep(platform.store, platform.retrain_id, "decision", decision.model_dump(mode="json"))
    return decision


def result_against_the_champion(platform, bundle_id=None):
    current = champion(platform.store)
    evidence = TestEvidence(
        candidate=None,
        champion=None,
        difference=None,
        has_champion=current is not None,
        candidate_is_champion=False,
        openings=0,
    )
    return TestResult(
        candidate_bundle=bundle_id or platform.bundle_id,
        champion=current,
        candidate_scores=None,
        champion_scores=None,
        candidate_slices=(),
        champion_slices=(),
        difference=None,
        evidence=evidence,
    )
