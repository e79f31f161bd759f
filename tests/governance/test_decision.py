"""The decision: verdicts and the policy turned into promote, reject or hold, once."""

from datetime import UTC, datetime, timedelta

from evidence_parts import FIRST, NO_TEST_SET, audit, diagnosis, judged

from ladnn.config import PromotionConfig
from ladnn.config_gates import GateConfig
from ladnn.governance.decision import decide, read_decision

CONFIG = GateConfig(min_auroc=0.75, max_test_openings=3)


def evidence(auroc=0.9, *, tested=True, openings=1, shortcuts="green"):
    changes = FIRST | ({"candidate": diagnosis(auroc), "openings": openings} if tested else NO_TEST_SET)
    return judged(shortcuts=audit(borders=shortcuts), **changes)


def decided(store, shown, retrain_id="r-1"):
    return decide(store, retrain_id, "lite0-ladnn", "b-1", shown, CONFIG)


def test_when_all_gates_pass_it_is_a_promotion_with_every_gates_reason(file_store):
    decision = decided(file_store, evidence(0.9))

    assert decision.outcome == "promote"
    told = [name for reason in decision.reasons for name in reason.split(":")[0].split(", ")]
    assert sorted(told) == sorted(gate.name for gate in decision.gates)
    assert len(decision.gates) > 3


def test_one_failing_gate_rejects_and_only_it_is_named(file_store):
    decision = decided(file_store, evidence(0.6))

    assert decision.outcome == "reject"
    assert [reason.split(":")[0] for reason in decision.reasons] == ["auroc_floor"]


def test_a_number_that_cannot_be_computed_rejects(file_store):
    assert decided(file_store, evidence(None)).outcome == "reject"


def test_a_gate_that_cannot_be_evaluated_holds_for_a_person(file_store):
    decision = decided(file_store, evidence(tested=False))

    assert decision.outcome == "hold"
    (without,) = [reason for reason in decision.reasons if "no test set" in reason]
    assert without.startswith("auroc_floor, sensitivity_floor, specificity_floor, ")
    assert set(decision.unevaluated) == {
        name for reason in decision.reasons for name in reason.split(":")[0].split(", ")
    }


def test_a_test_set_opened_too_often_holds_a_candidate_that_would_pass(file_store):
    assert decided(file_store, evidence(0.9, openings=4)).outcome == "hold"


def test_a_red_shortcut_audit_holds_a_candidate_that_would_pass(file_store):
    decision = decided(file_store, evidence(0.9, shortcuts="red"))

    assert decision.outcome == "hold"
    assert decision.unevaluated == ("shortcut_audit",)


def test_a_model_that_was_rolled_back_is_held_though_its_numbers_pass(file_store):
    withdrawn = "this very model was champion and rolled back by Ada on 2026-11-25: worse at site b"
    decision = decided(file_store, evidence(0.9).model_copy(update={"withdrawn": withdrawn}))

    assert (decision.outcome, decision.unevaluated) == ("hold", ("not_withdrawn",))
    assert "rolled back by Ada on 2026-11-25: worse at site b" in decision.reasons[0]


def test_a_failure_weighs_more_than_what_was_not_evaluated(file_store):
    assert decided(file_store, evidence(0.6, openings=4)).outcome == "reject"


def test_the_first_decision_of_a_retrain_holds(store):
    first = decided(store, evidence(0.9))

    assert decided(store, evidence(0.1)) == first == read_decision(store, "r-1")
    assert decided(store, evidence(0.1), "r-2").outcome == "reject"
    assert abs(datetime.now(UTC) - first.decided_at) < timedelta(minutes=1)


def test_without_decision_there_is_none_to_read(store):
    assert read_decision(store, "r-1") is None


def by_policy(store, shown, hours=168):
    promotion = PromotionConfig(policy="approval", approval_hours=hours)
    return decide(store, "r-1", "lite0-ladnn", "b-1", shown, CONFIG, promotion)


def test_by_the_policy_approval_what_passed_waits_for_a_person_too(file_store):
    decision = by_policy(file_store, evidence(0.9), hours=12)

    assert (decision.outcome, decision.policy, decision.unevaluated) == ("hold", "approval", ())
    assert decision.expires_at - decision.decided_at == timedelta(hours=12)
    told = [name for reason in decision.reasons for name in reason.split(":")[0].split(", ")]
    assert sorted(told) == sorted([*(gate.name for gate in decision.gates), "policy"])
    assert decision.reasons[-1].startswith("policy: ")


def test_no_policy_lets_a_person_approve_what_a_gate_rejected(file_store):
    decision = by_policy(file_store, evidence(0.6))

    assert (decision.outcome, decision.expires_at) == ("reject", None)


def test_a_hold_expires_by_the_automatic_policy_too_and_a_promotion_does_not(file_store):
    held, promoted = decided(file_store, evidence(tested=False)), decided(file_store, evidence(0.9), "r-2")

    assert held.expires_at - held.decided_at == timedelta(days=7)
    assert (held.policy, promoted.policy, promoted.expires_at) == ("automatic", "automatic", None)
