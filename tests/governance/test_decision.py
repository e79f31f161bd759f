"""The decision: verdicts turned into promote, reject or hold, once; and a person's approval of a hold."""

from datetime import UTC, datetime, timedelta

import pytest

from ladnn.config import GateConfig, ProbeLimits
from ladnn.dataset.canonical_form import CanonicalForm
from ladnn.dataset.shortcuts.audit import ProbeResult, ShortcutAudit
from ladnn.errors import GateError
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS, DiagnosisMetrics
from ladnn.governance.decision import approve, decide, read_approval, read_decision
from ladnn.governance.gates import evidence as gates
from ladnn.statistics import Interval

CONFIG = GateConfig(min_auroc=0.75, max_test_openings=3)


def metrics(auroc):
    measured = Interval(value=auroc, low=None, high=None, n=40)
    counts = {
        "n_images": 40,
        "n_patients": 20,
        "n_positive": 20,
        "n_positive_patients": 10,
        "n_negative_patients": 10,
        "n_unknown": 0,
    }
    return DiagnosisMetrics(**dict.fromkeys(DIAGNOSIS_METRICS, measured), **counts, threshold=0.5)


def audit(verdict="green"):
    probe = ProbeResult(
        probe="borders",
        stage="stored",
        auroc=Interval(value=0.9, low=0.8, high=0.95, n=40),
        n_patients=20,
        limits=ProbeLimits(),
        verdict=verdict,
    )
    return ShortcutAudit(
        dataset_version="d-1",
        n_images=40,
        n_patients=20,
        n_unknown=0,
        n_not_sampled=0,
        form=CanonicalForm(),
        results=(probe,),
        verdict=verdict,
    )


def evidence(auroc=0.9, *, tested=True, openings=1, shortcuts="green"):
    test = gates.TestEvidence(
        candidate=metrics(auroc) if tested else None,
        champion=None,
        difference=None,
        has_champion=False,
        candidate_is_champion=False,
        openings=openings,
    )
    return gates.Evidence(test=test, audit=audit(shortcuts), acceptance=None)


def decided(store, shown, retrain_id="r-1"):
    return decide(store, retrain_id, "lite0-ladnn", "b-1", shown, CONFIG)


def test_when_all_gates_pass_it_is_a_promotion_with_every_gates_reason(file_store):
    decision = decided(file_store, evidence(0.9))

    assert decision.outcome == "promote"
    assert len(decision.reasons) == len(decision.gates) == 3


def test_one_failing_gate_rejects_and_only_it_is_named(file_store):
    decision = decided(file_store, evidence(0.6))

    assert decision.outcome == "reject"
    assert [reason.split(":")[0] for reason in decision.reasons] == ["auroc_floor"]


def test_a_number_that_cannot_be_computed_rejects(file_store):
    assert decided(file_store, evidence(None)).outcome == "reject"


def test_a_gate_that_cannot_be_evaluated_holds_for_a_person(file_store):
    decision = decided(file_store, evidence(tested=False))

    assert decision.outcome == "hold"
    assert "no test set" in " ".join(decision.reasons)


def test_a_test_set_opened_too_often_holds_a_candidate_that_would_pass(file_store):
    assert decided(file_store, evidence(0.9, openings=4)).outcome == "hold"


def test_a_red_shortcut_audit_holds_a_candidate_that_would_pass(file_store):
    decision = decided(file_store, evidence(0.9, shortcuts="red"))

    assert decision.outcome == "hold"
    assert approve(file_store, decision, "A. Person", "known").accepted == ("shortcut_audit",)


def test_a_failure_weighs_more_than_what_was_not_evaluated(file_store):
    assert decided(file_store, evidence(0.6, openings=4)).outcome == "reject"


def test_the_first_decision_of_a_retrain_holds(store):
    first = decided(store, evidence(0.9))

    assert decided(store, evidence(0.1)) == first == read_decision(store, "r-1")
    assert decided(store, evidence(0.1), "r-2").outcome == "reject"
    assert abs(datetime.now(UTC) - first.decided_at) < timedelta(minutes=1)


def test_without_decision_or_approval_there_is_none_to_read(store):
    assert read_decision(store, "r-1") is None
    assert read_approval(store, "r-1") is None


@pytest.mark.parametrize("auroc", [0.9, 0.6], ids=["promote", "reject"])
def test_only_a_hold_can_be_approved(file_store, auroc):
    decision = decided(file_store, evidence(auroc))

    with pytest.raises(GateError, match="not held"):
        approve(file_store, decision, "A. Person", "looks good")
    assert read_approval(file_store, "r-1") is None


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("A. Person", ""), ("  ", "why"), ("A. Person", "\t\n")])
def test_an_approval_needs_a_person_and_a_reason(file_store, by, reason):
    decision = decided(file_store, evidence(tested=False))

    with pytest.raises(GateError, match="--by and --reason"):
        approve(file_store, decision, by, reason)
    assert read_approval(file_store, "r-1") is None


def test_the_first_approval_holds_and_says_what_was_accepted(store):
    decision = decided(store, evidence(tested=False))

    first = approve(store, decision, "A. Person", "published split without a test part")
    second = approve(store, decision, "B. Other", "me too")

    assert second == first == read_approval(store, "r-1")
    assert (first.by, first.accepted) == ("A. Person", ("auroc_floor",))
    assert first.approved_at.utcoffset() == timedelta(0)
