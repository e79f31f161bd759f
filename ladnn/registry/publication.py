"""How a retrain ends: in MLflow, on paper by its decision record and the card of what it promoted, and in the store.

A rollback adds to both papers; the tag `ladnn.withdrawn` of the retrain's run is written after them and tells that they are told.
"""

from collections.abc import Iterator

from ladnn.errors import BundleError, DatasetError, RetrainError, StoreError
from ladnn.governance.decision import read_decision
from ladnn.progress import say
from ladnn.registry import retrain_runs
from ladnn.registry.decision_record import keep_record, record_page
from ladnn.registry.model_card import card_page, card_summary, keep_model_card
from ladnn.registry.model_versions import MODEL, version_of
from ladnn.registry.promotion import Promotion, promotions
from ladnn.registry.summary import (
    Outcome,
    StageTime,
    Status,
    finish_retrain,
    promoted_version,
    read_outcome,
    summarise,
)
from ladnn.registry.tracking import Tracking, mlflow_errors_explained
from ladnn.registry.withdrawal import rolled_back, told
from ladnn.retrain import Plan, required_plan
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore

WITHDRAWN = "ladnn.withdrawn"
UNREADABLE = (BundleError, DatasetError, RetrainError, StoreError)
"""What is raised where a document of a retrain, or what it rests on, is lost or damaged: that one stays as it is."""


def end_retrain(
    store: ObjectStore,
    tracking: Tracking,
    trusted: TrustedKeys,
    plan: Plan,
    status: Status,
    stages: tuple[StageTime, ...] = (),
) -> Outcome:
    """End a retrain: on paper if it came to a decision, its run, and in the store last, so that a crash repeats the whole.

    Raises:
        BundleError: the promoted bundle is damaged, or no trusted key signed it; the retrain has not ended.
        StoreError: what it rests on is missing or damaged.
        TrackingError: MLflow cannot be used.
    """
    if read_decision(store, plan.retrain_id) is not None:
        publish(store, tracking, trusted, plan, status)
    retrain_runs.end(tracking, summarise(store, plan, status))
    return finish_retrain(store, plan.retrain_id, status, promoted_version(store, plan.retrain_id), stages)


@mlflow_errors_explained()
def publish(
    store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, plan: Plan, status: str | None = None
) -> None:
    """Keep both documents in the store and with the retrain's run, which stays open; the card describes the version.

    Args:
        store: holds what the retrain left.
        tracking: shows it.
        trusted: keys one of which must have signed what was promoted.
        plan: of the retrain.
        status: how it is about to end; without it where it stands.

    Raises:
        RetrainError: the retrain has not come to a decision.
        BundleError: the promoted bundle is damaged, or no trusted key signed it.
        TrackingError: MLflow cannot be used.
    """
    record = keep_record(store, plan, status)
    run_id = tracking.parent_run(plan.retrain_id, {})
    tracking.log_document(run_id, record.model_dump(mode="json"), "decision_record.json")
    tracking.log_text(run_id, record_page(record), "decision_record.html")
    tags = {f"ladnn.gate.{gate.name}": gate.verdict.value for gate in record.gates}
    if (promotion := record.promotion) is not None:
        _publish_card(store, tracking, trusted, run_id, promotion)
        tags |= {"ladnn.promoted_by": promotion.by, "ladnn.model_version": promotion.model_version}
        tags[WITHDRAWN] = _withdrawn(record.withdrawal)
    tracking.log_summary(run_id, {}, tags)


def publish_withdrawals(
    store: ObjectStore, tracking: Tracking, trusted: TrustedKeys
) -> Iterator[tuple[Promotion, str]]:
    """Write the papers of promoted models anew that were withdrawn, or came back, since; yield each with a problem, or "".

    Raises:
        TrackingError: MLflow cannot be used.
    """
    log, shown = promotions(store), tracking.tags_of_retrains(WITHDRAWN)
    for promotion in [record for record in log if record.action == "promote"]:
        retrain_id, withdrawal = promotion.retrain_id, rolled_back(log, {promotion.bundle_id})
        if retrain_id not in shown or read_outcome(store, retrain_id) is None:
            continue  # it is told when the retrain ends
        if _tells(shown[retrain_id], withdrawal):
            continue
        try:
            _publish_ended(store, tracking, trusted, required_plan(store, retrain_id))
        except UNREADABLE as error:
            yield promotion, str(error)
        else:
            yield promotion, ""


def _publish_ended(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, plan: Plan) -> None:
    """Publish anew what has ended, and end its run again even where that fails."""
    try:
        publish(store, tracking, trusted, plan)
    finally:
        retrain_runs.end(tracking, summarise(store, plan))


def _withdrawn(withdrawal: Promotion | None) -> str:
    return f"record {withdrawal.number}: {told(withdrawal)}" if withdrawal else "no"


def _tells(tag: str | None, withdrawal: Promotion | None) -> bool:
    """Tell whether a run's tag, of which MLflow keeps the beginning alone, names this withdrawal."""
    said = (tag or _withdrawn(None)).partition(":")[0]
    return said == _withdrawn(withdrawal).partition(":")[0]


def _publish_card(
    store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, run_id: str, promotion: Promotion
) -> None:
    card = keep_model_card(store, promotion.bundle_id, trusted)
    tracking.log_text(run_id, card_page(card), "model_card.html")
    if (version := version_of(tracking, promotion)) is None:
        say(f"MLflow has no version of bundle {promotion.bundle_id} to describe; run `ladnn reconcile`")
        return
    tracking.client.update_model_version(MODEL, version, description=card_summary(card))
