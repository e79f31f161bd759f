"""Shows in MLflow what a retrain came to on paper: its decision record, and the card of the model that it promoted."""

from ladnn.registry.decision_record import keep_record, record_page
from ladnn.registry.model_card import card_page, card_summary, keep_model_card
from ladnn.registry.model_versions import MODEL
from ladnn.registry.tracking import Tracking, mlflow_errors_explained
from ladnn.retrain import Plan
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


@mlflow_errors_explained()
def publish(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, plan: Plan) -> None:
    """Keep both documents in the store and with the retrain's run, which has ended; the card is the version's description.

    Raises:
        RetrainError: the retrain has not come to a decision.
        BundleError: the promoted bundle is damaged, or no trusted key signed it.
        TrackingError: MLflow cannot be used.
    """
    record = keep_record(store, plan)
    run_id = tracking.parent_run(plan.retrain_id, {})
    tracking.log_document(run_id, record.model_dump(mode="json"), "decision_record.json")
    tracking.log_text(run_id, record_page(record), "decision_record.html")
    tags = {f"ladnn.gate.{gate.name}": gate.verdict.value for gate in record.gates}
    if record.promotion:
        card, version = keep_model_card(store, record.bundle_id, trusted), record.promotion.model_version
        tracking.log_text(run_id, card_page(card), "model_card.html")
        tags |= {"ladnn.promoted_by": record.promotion.by, "ladnn.model_version": version}
        tracking.client.update_model_version(MODEL, version, description=card_summary(card))
    tracking.log_summary(run_id, {}, tags)
    tracking.finish(run_id)
