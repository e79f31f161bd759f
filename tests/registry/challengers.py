"""Owns decisions and test results made by hand, for tests of what comes after them."""

import shutil
from datetime import UTC, datetime, timedelta

from trained_platform import VARIANT, TrainedPlatform

from ladnn.governance.decision import Decision, read_decision
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict
from ladnn.registry.challenger import promote_challenger
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promote_named import finish_promoted
from ladnn.registry.promotion import champion
from ladnn.registry.test_set import TestResult, required_test_result
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import keep, keep_plan

SECOND = "r-second"
"""The retrain of the second model that is promoted."""


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


def decide(platform, retrain_id, bundle_id, outcome="promote", hours=1.0):
    """Leave the documents of a retrain that was measured against the champion and decided on."""
    keep_plan(platform.store, platform.plan.model_copy(update={"retrain_id": retrain_id}))
    decision = decision_for(platform, outcome, retrain_id=retrain_id, bundle_id=bundle_id, hours=hours)
    test = result_against_the_champion(platform, bundle_id)
    keep(platform.store, retrain_id, "decision", decision.model_dump(mode="json"))
    keep(platform.store, retrain_id, "test", test.model_dump(mode="json"))


def promote_decided(platform, retrain_id):
    """Do what a retrain does from its decision on."""
    store, tracking = platform.store, open_tracking(platform.settings)
    decision, test = read_decision(store, retrain_id), required_test_result(store, retrain_id)
    promote_challenger(store, tracking, platform.trusted, decision, test, by="gates", reason="all gates passed")
    finish_promoted(store, tracking, platform.trusted, retrain_id)


def copied(platform, target):
    """Return a copy of a platform in another folder."""
    return TrainedPlatform(shutil.copytree(platform.home, target), platform.retrain_id, platform.bundle_id)


def aliases(tracking):
    """Return alias to version, as strings."""
    return {name: str(version) for name, version in tracking.client.get_registered_model(MODEL).aliases.items()}


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
