"""The history of all: promotions and rollbacks, the challenger, drift that persons accepted, and retrains."""

from typing import Any

from ladnn.governance.approval import read_answer
from ladnn.governance.decision import read_decision
from ladnn.governance.drift.acceptance import drift_acceptances
from ladnn.registry.challenger_log import challenger
from ladnn.registry.damaged import undamaged
from ladnn.registry.promotion import promotions
from ladnn.registry.summary import promoted_version, read_outcome, status_of
from ladnn.retrain import Plan, plans
from ladnn.store import ObjectStore


def history(store: ObjectStore) -> dict[str, Any]:
    """Return champion, challenger, promotion log, drift that persons accepted, and retrains, oldest first, for JSON.

    What is damaged is told under `damaged`, with what to do, and left out of the rest.
    """
    store, damaged = undamaged(store, "history")
    log, on_its_way = promotions(store), challenger(store)
    records = [
        record.model_dump(mode="json") | {"replaced": before.model_version if before else None}
        for before, record in zip([None, *log], log, strict=False)
    ]
    return {
        "champion": records[-1] if records else None,
        "challenger": on_its_way.model_dump(mode="json") if on_its_way else None,
        "promotions": records,
        "drift_accepted": [item.model_dump(mode="json") for item in drift_acceptances(store)],
        "retrains": [_past(store, plan) for plan in sorted(plans(store), key=lambda plan: plan.planned_at)],
        "damaged": {what: str(error) for what, error in damaged.items()},
    }


def _past(store: ObjectStore, plan: Plan) -> dict[str, Any]:
    """Return what the history tells of a retrain, also where its data are lost."""
    status, outcome = status_of(store, plan.retrain_id), read_outcome(store, plan.retrain_id)
    decision, approval = read_decision(store, plan.retrain_id), read_answer(store, plan.retrain_id)
    waits_until = decision.expires_at if decision and status == "held" else None
    return {
        "retrain_id": plan.retrain_id,
        "status": status,
        "set_off_by": plan.reason,
        "dataset_version": plan.dataset_version,
        "model_version": promoted_version(store, plan.retrain_id),
        "policy": decision.policy if decision else None,
        "reasons": list(decision.reasons) if decision else [],
        "waits_until": waits_until.isoformat() if waits_until else None,
        "approval": approval.model_dump(mode="json") if approval else None,
        "finished_at": outcome.finished_at.isoformat() if outcome else None,
    }
