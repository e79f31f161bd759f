"""Promotion by hand: a person names a retrain, a bundle or a model version that the gates passed or a person accepted."""

from ladnn.accountability import check_accountable
from ladnn.errors import PromotionError
from ladnn.governance.approval import expired_message, is_overdue, read_answer
from ladnn.governance.decision import Decision, read_decision
from ladnn.registry.challenger import check_open, promote_challenger
from ladnn.registry.challenger_log import Challenger, named_challengers
from ladnn.registry.promotion import Promotion, champion, promotions, required_champion
from ladnn.registry.publication import end_retrain
from ladnn.registry.summary import read_held
from ladnn.registry.test_set import required_test_result
from ladnn.registry.tracking import Tracking
from ladnn.retrain import required_plan, retrain_ids
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def promote_named(
    store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, name: str, *, by: str, reason: str
) -> Promotion:
    """Promote the candidate that a person names, against the champion that it was measured against.

    Repeated after a crash it finishes what was begun and returns the same record.

    Args:
        store: holds retrains, bundles and the promotion log.
        tracking: where model versions are.
        trusted: keys one of which must have signed the bundle.
        name: a retrain (`r-…`), a bundle (`b-…`) or a model version that was challenger.
        by: who decides it.
        reason: why.

    Raises:
        PromotionError: nothing has this name, gates rejected it, nobody accepted it, its retrain ended otherwise, or it
            is or was champion.
        PromotionConflictError: another model became champion since it was measured.
        RetrainError: there is no such retrain, or a model of phantoms would replace one of patients.
        BundleError: the bundle or its upload is damaged, or no trusted key signed it.
    """
    check_accountable(by, reason, "a promotion", PromotionError)
    decision = _decision(store, name)
    _check_accepted(store, decision)
    check_open(store, decision.retrain_id)
    _check_not_promoted(store, decision)
    test = required_test_result(store, decision.retrain_id)
    promote_challenger(store, tracking, trusted, decision, test, by=by, reason=reason)
    finish_promoted(store, tracking, trusted, decision.retrain_id)
    return required_champion(store)


def finish_promoted(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, retrain_id: str) -> None:
    """End a retrain whose model stands in the promotion log: on paper, in MLflow and in the store."""
    held, plan = read_held(store, retrain_id), required_plan(store, retrain_id)
    end_retrain(store, tracking, trusted, plan, "promoted", held.stages if held else ())


def _decision(store: ObjectStore, name: str) -> Decision:
    if name.startswith("r-"):
        required_plan(store, name)
        decision = read_decision(store, name)
        if decision is None:
            raise PromotionError(f"retrain {name} has no decision yet; finish it by the same `ladnn retrain` command")
        return decision
    bundles = {name} if name.startswith("b-") else _bundles_of(store, name)
    decisions = (read_decision(store, retrain_id) for retrain_id in retrain_ids(store))
    found = [decision for decision in decisions if decision is not None and decision.bundle_id in bundles]
    if not found:
        raise PromotionError(f"no retrain decided on {name}; `ladnn history` shows retrains, challenger and promotions")
    return max(found, key=lambda decision: decision.decided_at)


def _bundles_of(store: ObjectStore, model_version: str) -> set[str]:
    known: list[Promotion | Challenger] = [*promotions(store), *named_challengers(store)]
    return {model.bundle_id for model in known if model.model_version == model_version}


def _check_accepted(store: ObjectStore, decision: Decision) -> None:
    reasons = "; ".join(decision.reasons)
    if decision.outcome == "reject":
        raise PromotionError(f"the gates rejected retrain {decision.retrain_id}: {reasons}")
    given = read_answer(store, decision.retrain_id)
    if (given is None and is_overdue(decision)) or (given is not None and given.verdict == "expired"):
        raise PromotionError(expired_message(decision))
    if decision.outcome == "hold" and given is None:
        raise PromotionError(
            f"retrain {decision.retrain_id} waits for a person ({reasons}); `ladnn approve {decision.retrain_id}` accepts it"
        )
    if given is not None and given.verdict != "approved":
        raise PromotionError(f"retrain {decision.retrain_id} was {given.verdict} by {given.by}: {given.reason}")


def _check_not_promoted(store: ObjectStore, decision: Decision) -> None:
    current = champion(store)
    earlier = [record for record in promotions(store) if record.bundle_id == decision.bundle_id]
    if not earlier or current is None:
        return
    last = earlier[-1]
    if last == current and current.action == "promote" and current.retrain_id == decision.retrain_id:
        return  # the same command again: what a crash left is finished
    if current.bundle_id == decision.bundle_id:
        raise PromotionError(f"model version {last.model_version} is champion already (record {current.number})")
    raise PromotionError(
        f"model version {last.model_version} was champion before (record {last.number}); "
        f"`ladnn rollback {last.model_version}` makes it champion again"
    )
