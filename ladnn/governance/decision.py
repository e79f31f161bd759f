"""The decision: the gates' verdicts turned into promote, reject or hold, recorded once; and a person's approval."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ladnn.accountability import check_accountable
from ladnn.config import GateConfig
from ladnn.errors import GateError
from ladnn.governance.gates.evidence import Evidence
from ladnn.governance.gates.run import run_gates
from ladnn.governance.gates.verdicts import GateResult, Verdict, overall
from ladnn.retrain import keep, read
from ladnn.store import ObjectStore

_OUTCOMES: dict[Verdict, Literal["promote", "reject", "hold"]] = {
    Verdict.PASS: "promote",
    Verdict.FAIL: "reject",
    Verdict.NOT_EVALUATED: "hold",
}


class Decision(BaseModel):
    """What the gates say of a candidate."""

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    variant: str
    bundle_id: str
    outcome: Literal["promote", "reject", "hold"]
    """`hold`: no gate fails, but a person must accept what could not be evaluated."""
    gates: tuple[GateResult, ...]
    reasons: tuple[str, ...]
    decided_at: datetime


class Approval(BaseModel):
    """A person's acceptance of a held candidate."""

    model_config = ConfigDict(frozen=True)

    by: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    accepted: tuple[str, ...]
    """Gates that could not be evaluated."""
    approved_at: datetime


def decide(
    store: ObjectStore, retrain_id: str, variant: str, bundle_id: str, evidence: Evidence, config: GateConfig
) -> Decision:
    """Run the gates and record the decision, or return the one that was recorded.

    Raises:
        GateError: there is no gate.
    """
    gates = run_gates(evidence, config)
    outcome = _OUTCOMES[overall(gates)]
    decision = Decision(
        retrain_id=retrain_id,
        variant=variant,
        bundle_id=bundle_id,
        outcome=outcome,
        gates=gates,
        reasons=_reasons(gates, outcome),
        decided_at=datetime.now(UTC),
    )
    return Decision.model_validate(keep(store, retrain_id, "decision", decision.model_dump(mode="json")))


def read_decision(store: ObjectStore, retrain_id: str) -> Decision | None:
    """Read the decision of a retrain, if it got that far."""
    document = read(store, retrain_id, "decision")
    return None if document is None else Decision.model_validate(document)


def approve(store: ObjectStore, decision: Decision, by: str, reason: str) -> Approval:
    """Record that a person accepts a held candidate; the first approval holds.

    Raises:
        GateError: the decision is no hold, or nobody or no reason is named.
    """
    if decision.outcome != "hold":
        raise GateError(
            f"retrain {decision.retrain_id} is not held, its decision is {decision.outcome}; nothing to approve"
        )
    check_accountable(by, reason, "an approval", GateError)
    accepted = tuple(gate.name for gate in decision.gates if gate.verdict is Verdict.NOT_EVALUATED)
    approval = Approval(by=by, reason=reason, accepted=accepted, approved_at=datetime.now(UTC))
    return Approval.model_validate(keep(store, decision.retrain_id, "approval", approval.model_dump(mode="json")))


def read_approval(store: ObjectStore, retrain_id: str) -> Approval | None:
    """Read the approval of a retrain, if there is one."""
    document = read(store, retrain_id, "approval")
    return None if document is None else Approval.model_validate(document)


def _reasons(gates: Sequence[GateResult], outcome: str) -> tuple[str, ...]:
    telling = [gate for gate in gates if gate.verdict is not Verdict.PASS] if outcome != "promote" else list(gates)
    return tuple(f"{gate.name}: {gate.reason}" for gate in telling)
