"""A person's answer to a held candidate: approved or rejected, by whom and why; or expired, where nobody answered.

One document a retrain, created only if absent: the first answer holds, whoever gives the next one and wherever.
"""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ladnn.accountability import check_accountable
from ladnn.errors import ApprovalError, GateError
from ladnn.governance.decision import Decision
from ladnn.retrain import keep, read
from ladnn.store import ObjectStore

Given = Literal["approved", "rejected"]
_DOCUMENT = "answer"
_NOBODY = "nobody"


class Answer(BaseModel):
    """What a person said of a held candidate."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["approved", "rejected", "expired"]
    by: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    accepted: tuple[str, ...]
    """Gates that could not be evaluated, accepted by approving."""
    answered_at: datetime


def read_answer(store: ObjectStore, retrain_id: str) -> Answer | None:
    """Read the answer to a held candidate, if there is one."""
    document = read(store, retrain_id, _DOCUMENT)
    return None if document is None else Answer.model_validate(document)


def required_answer(store: ObjectStore, retrain_id: str) -> Answer:
    """Read the answer to a held candidate.

    Raises:
        ApprovalError: there is none yet.
    """
    given = read_answer(store, retrain_id)
    if given is None:
        raise ApprovalError(f"nobody has answered for retrain {retrain_id} yet; see `ladnn waiting`")
    return given


def answer(store: ObjectStore, decision: Decision, verdict: Given, by: str, reason: str) -> Answer:
    """Record a person's answer to a held candidate; the same answer again returns the first.

    Raises:
        GateError: the decision is no hold, or nobody or no reason is named.
        ApprovalError: it was answered otherwise before, or has expired.
    """
    if decision.outcome != "hold":
        passed = decision.outcome == "promote" and read(store, decision.retrain_id, "outcome") is None
        raise GateError(
            f"retrain {decision.retrain_id} is not held, its decision is {decision.outcome}",
            f"`ladnn promote {decision.retrain_id}` finishes it" if passed else "nothing to approve or reject",
        )
    check_accountable(by, reason, "an approval or a rejection", GateError)
    holds = settled_answer(store, decision)
    if holds is None:
        accepted = decision.unevaluated if verdict == "approved" else ()
        holds = _keep(
            store, decision, Answer(verdict=verdict, by=by, reason=reason, accepted=accepted, answered_at=_now())
        )
    if holds.verdict != verdict:
        raise ApprovalError(_contradiction(decision, holds))
    return holds


def settled_answer(store: ObjectStore, decision: Decision) -> Answer | None:
    """Return the answer that holds, None while a person may still answer; past the deadline expiry is recorded."""
    given = read_answer(store, decision.retrain_id)
    if given is not None or not is_overdue(decision):
        return given
    expired = Answer(
        verdict="expired", by=_NOBODY, reason=f"no answer until {until(decision)}", accepted=(), answered_at=_now()
    )
    return _keep(store, decision, expired)


def is_overdue(decision: Decision) -> bool:
    """Tell whether the time to answer is over."""
    return decision.expires_at is not None and _now() > decision.expires_at


def until(decision: Decision) -> str:
    """Return the deadline of a hold for a person to read."""
    return f"{decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else "no time"


def expired_message(decision: Decision) -> str:
    """Say that nobody answered in time, and what to do."""
    return (
        f"retrain {decision.retrain_id} has expired, it could be answered until {until(decision)}; "
        "run `ladnn retrain` again, which measures anew"
    )


def _keep(store: ObjectStore, decision: Decision, given: Answer) -> Answer:
    return Answer.model_validate(keep(store, decision.retrain_id, _DOCUMENT, given.model_dump(mode="json")))


def _contradiction(decision: Decision, holds: Answer) -> str:
    if holds.verdict == "expired":
        return expired_message(decision)
    given = f"{holds.verdict} by {holds.by} on {holds.answered_at:%Y-%m-%d %H:%M} UTC: {holds.reason}"
    remedy = (
        "`ladnn rollback` takes a promotion back"
        if holds.verdict == "approved"
        else "retrain with --force to measure anew"
    )
    return f"retrain {decision.retrain_id} was {given}; the first answer holds, {remedy}"


def _now() -> datetime:
    return datetime.now(UTC)
