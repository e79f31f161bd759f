"""The decision: the gates' verdicts and the policy turned into promote, reject or hold, recorded once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.config import Policy, PromotionConfig
from ladnn.config_gates import GateConfig
from ladnn.governance.change_control import ChangeSheet
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
_AUTOMATIC = PromotionConfig()


class Decision(BaseModel):
    """What the gates say of a candidate."""

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    variant: str
    bundle_id: str
    outcome: Literal["promote", "reject", "hold"]
    """`hold`: no gate fails, but a person must accept what could not be evaluated, or the policy asks for one."""
    policy: Policy
    gates: tuple[GateResult, ...]
    reasons: tuple[str, ...]
    """What tells, a line each with the gates that say it: `auroc_floor, flips: no test set`."""
    changes: ChangeSheet | None = None
    """Change-control sheet; None where it was decided before there was one."""
    decided_at: datetime
    expires_at: datetime | None
    """When a hold that nobody answered has expired."""

    @property
    def unevaluated(self) -> tuple[str, ...]:
        """Names of the gates that a person accepts by approving."""
        return tuple(gate.name for gate in self.gates if gate.verdict is Verdict.NOT_EVALUATED)


def decide(
    store: ObjectStore,
    retrain_id: str,
    variant: str,
    bundle_id: str,
    evidence: Evidence,
    config: GateConfig,
    promotion: PromotionConfig = _AUTOMATIC,
) -> Decision:
    """Run the gates and record the decision, or return the one that was recorded.

    By the policy `approval` also what passed every gate is held for a person.

    Raises:
        GateError: there is no gate.
    """
    gates = run_gates(evidence, config)
    outcome, decided_at = _OUTCOMES[overall(gates)], datetime.now(UTC)
    reasons = _reasons(gates, outcome)
    if outcome == "promote" and promotion.policy == "approval":
        outcome, reasons = "hold", (*reasons, "policy: every promotion waits for a person's approval")
    decision = Decision(
        retrain_id=retrain_id,
        variant=variant,
        bundle_id=bundle_id,
        outcome=outcome,
        policy=promotion.policy,
        gates=gates,
        reasons=reasons,
        changes=evidence.changes,
        decided_at=decided_at,
        expires_at=decided_at + timedelta(hours=promotion.approval_hours) if outcome == "hold" else None,
    )
    return Decision.model_validate(keep(store, retrain_id, "decision", decision.model_dump(mode="json")))


def read_decision(store: ObjectStore, retrain_id: str) -> Decision | None:
    """Read the decision of a retrain, if it got that far."""
    document = read(store, retrain_id, "decision")
    return None if document is None else Decision.model_validate(document)


def _reasons(gates: Sequence[GateResult], outcome: str) -> tuple[str, ...]:
    telling = [gate for gate in gates if gate.verdict is not Verdict.PASS] if outcome != "promote" else list(gates)
    named: dict[str, list[str]] = {}
    for gate in telling:
        named.setdefault(gate.reason, []).append(gate.name)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in named.items())
