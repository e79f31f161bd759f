"""What waits for a person, and how a held candidate ends: promoted, rejected, expired or superseded.

Whoever comes first ends it: the command that answers, the flow run that waited, the next retrain, a reconcile. Every
step finds what an earlier, killed one left.
"""

from ladnn.errors import ApprovalError, PromotionConflictError, RetrainError, TrackingError
from ladnn.governance.approval import Answer, Given, answer, required_answer, settled_answer
from ladnn.governance.decision import Decision, read_decision
from ladnn.progress import say
from ladnn.registry.bundle import load_bundle
from ladnn.registry.challenger import promote_challenger
from ladnn.registry.holds import standing
from ladnn.registry.model_versions import follow_log
from ladnn.registry.promotion import required_champion
from ladnn.registry.publication import end_retrain
from ladnn.registry.summary import (
    Outcome,
    Status,
    promoted_version,
    read_held,
    read_outcome,
    waiting,
)
from ladnn.registry.test_set import required_test_result
from ladnn.registry.tracking import Tracking, brief_requests
from ladnn.retrain import required_plan
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def held_decision(store: ObjectStore, retrain_id: str | None) -> Decision:
    """Read the decision of a retrain that somebody wants to answer.

    Raises:
        RetrainError: no retrain is named (those that wait are), there is no such retrain, or it has no decision yet.
    """
    if retrain_id is None:
        ids = ", ".join(decision.retrain_id for decision in waiting(store))
        raise RetrainError(f"name the retrain; waiting for a person: {ids}" if ids else "no retrain waits for a person")
    required_plan(store, retrain_id)
    decision = read_decision(store, retrain_id)
    if decision is None:
        raise RetrainError(f"retrain {retrain_id} has no decision yet; finish it by the same `ladnn retrain` command")
    return decision


def give_answer(
    store: ObjectStore, trusted: TrustedKeys, decision: Decision, verdict: Given, by: str, reason: str
) -> Answer:
    """Record a person's answer to a held candidate; the first one holds.

    Raises:
        GateError: the decision is no hold, or nobody or no reason is named.
        ApprovalError: it was answered otherwise before, has expired, or the champion changed since it was measured.
        BundleError: it was approved, but its bundle is damaged, or no trusted key signed it; nothing is recorded.
    """
    state = standing(store, decision) if decision.outcome == "hold" else None
    if state == "superseded":
        raise ApprovalError(
            f"the champion changed since retrain {decision.retrain_id} was measured (record "
            f"{required_champion(store).number} of the promotion log), so its figures no longer count; "
            "run `ladnn retrain` again, which measures against the new champion"
        )
    if state == "held" and verdict == "approved":
        load_bundle(store, decision.bundle_id, trusted)  # an approval that cannot be carried out would never end
    return answer(store, decision, verdict, by, reason)


def settle(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, decision: Decision) -> Outcome | None:
    """Bring a held retrain to its end; None while it waits for a person.

    Raises:
        BundleError: the bundle or its upload is damaged, or no trusted key signed it.
        TrackingError: MLflow cannot be used.
    """
    retrain_id = decision.retrain_id
    if (ended := read_outcome(store, retrain_id)) is not None:
        return ended
    settled_answer(store, decision)
    state = standing(store, decision)
    if state == "held":
        return None
    status = state if state != "approved" else _promoted(store, tracking, trusted, decision)
    held = read_held(store, retrain_id)
    ended = end_retrain(store, tracking, trusted, required_plan(store, retrain_id), status, held.stages if held else ())
    try:
        with brief_requests():
            follow_log(tracking, store)  # it is challenger no more
    except TrackingError as error:
        say(f"MLflow's aliases do not follow yet; `ladnn reconcile` mends them: {error.problem}")
    return ended


def _promoted(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, decision: Decision) -> Status:
    given, test = required_answer(store, decision.retrain_id), required_test_result(store, decision.retrain_id)
    try:
        promote_challenger(store, tracking, trusted, decision, test, by=given.by, reason=given.reason)
    except PromotionConflictError:
        # Unless another process promoted this very candidate at the same time.
        return "promoted" if promoted_version(store, decision.retrain_id) else "superseded"
    return "promoted"
