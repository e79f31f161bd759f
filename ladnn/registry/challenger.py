"""A challenger on its way to champion: registered in MLflow, appended to the promotion log, followed by the aliases.

Every step finds what an earlier, killed run left, so the whole can be repeated.
"""

from ladnn.errors import NoChampionError, RetrainError
from ladnn.governance.decision import Decision
from ladnn.registry.bundle import load_bundle
from ladnn.registry.model_versions import follow_log, register
from ladnn.registry.promotion import Promotion, Proposal, champion, promote, promotions, required_champion
from ladnn.registry.test_set import TestResult
from ladnn.registry.tracking import Tracking
from ladnn.store import ObjectStore


def check_replaceable(store: ObjectStore, *, synthetic: bool) -> None:
    """Refuse to let a model of phantoms compete with one of patients.

    Raises:
        RetrainError: the champion was trained on patients and the experiment is synthetic.
    """
    current = champion(store)
    if current is not None and synthetic and not current.synthetic:
        raise RetrainError(
            f"the champion of {store.url} was trained on patients, this experiment trains on phantoms; "
            "set LADNN_HOME to another folder for it"
        )


def promote_challenger(
    store: ObjectStore, tracking: Tracking, decision: Decision, test: TestResult, *, by: str, reason: str
) -> str:
    """Register and promote the bundle of a decision; return its model version.

    Raises:
        PromotionConflictError: another model became champion since the test set was opened.
        RetrainError: a model of phantoms would replace one of patients.
        BundleError: the bundle or its upload is damaged.
    """
    bundle = load_bundle(store, decision.bundle_id)
    check_replaceable(store, synthetic=bundle.manifest.synthetic)
    run_id = tracking.variant_run(decision.retrain_id, decision.variant, {})
    model_version = register(tracking, bundle, run_id)
    tracking.finish(run_id)
    proposal = Proposal(
        bundle_id=bundle.id,
        model_version=model_version,
        retrain_id=decision.retrain_id,
        synthetic=bundle.manifest.synthetic,
        by=by,
        reason=reason,
    )
    record = promote(store, proposal, expected=test.champion.number if test.champion else 0)
    follow_log(tracking, store)
    return record.model_version


def roll_back(store: ObjectStore, tracking: Tracking, *, by: str, reason: str) -> Promotion:
    """Make the model that was champion before the present one champion again.

    Raises:
        NoChampionError: nothing has been promoted, or no other model before.
        PromotionConflictError: another model became champion at the same time.
        BundleError: the earlier bundle is damaged.
    """
    current = required_champion(store)
    earlier = [record for record in promotions(store)[: current.number] if record.bundle_id != current.bundle_id]
    if not earlier:
        raise NoChampionError(
            f"model version {current.model_version} is the only one ever promoted; nothing to roll back to"
        )
    target = earlier[-1]
    load_bundle(store, target.bundle_id)
    proposal = Proposal(
        action="rollback",
        bundle_id=target.bundle_id,
        model_version=target.model_version,
        retrain_id=target.retrain_id,
        synthetic=target.synthetic,
        by=by,
        reason=reason,
    )
    record = promote(store, proposal, expected=current.number)
    follow_log(tracking, store)
    return record
