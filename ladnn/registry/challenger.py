"""A challenger on its way to champion: registered in MLflow, appended to the promotion log, followed by the aliases.

Every step finds what an earlier, killed run left, so the whole can be repeated.
"""

from ladnn.errors import PromotionConflictError, PromotionError, RetrainError
from ladnn.governance.decision import Decision
from ladnn.registry.bundle import load_bundle
from ladnn.registry.challenger_log import Challenger, name_challenger
from ladnn.registry.model_versions import follow_log, register
from ladnn.registry.promotion import Proposal, champion, is_overtaken, overtaken_message, promote, promotions
from ladnn.registry.summary import read_outcome
from ladnn.registry.test_set import TestResult
from ladnn.registry.tracking import Tracking
from ladnn.signing import TrustedKeys
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


def check_open(store: ObjectStore, retrain_id: str) -> None:
    """Refuse to promote the candidate of a retrain that ended otherwise: log, outcome and MLflow would never agree again.

    Raises:
        PromotionError: it ended as rejected, expired or superseded.
    """
    ended = read_outcome(store, retrain_id)
    if ended is not None and ended.status != "promoted":
        raise PromotionError(
            f"retrain {retrain_id} ended as {ended.status}, so its candidate can no longer become champion; "
            "run `ladnn retrain` again, with --force if it finds nothing new"
        )


def challenge(
    store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, decision: Decision, test: TestResult
) -> Challenger:
    """Register the bundle of a decision that rejects nothing, and give it the alias `challenger`.

    Raises:
        PromotionConflictError: another model became champion since the test set was opened.
        RetrainError: a model of phantoms would challenge one of patients.
        BundleError: the bundle or its upload is damaged, or no trusted key signed it.
    """
    named = _register(store, tracking, trusted, decision, test)
    follow_log(tracking, store)
    return named


def promote_challenger(
    store: ObjectStore,
    tracking: Tracking,
    trusted: TrustedKeys,
    decision: Decision,
    test: TestResult,
    *,
    by: str,
    reason: str,
) -> str:
    """Register and promote the bundle of a decision; return its model version.

    Raises:
        PromotionError: its retrain ended otherwise, such as superseded by one on newer data, maybe just now.
        PromotionConflictError: another model became champion since the test set was opened.
        RetrainError: a model of phantoms would replace one of patients.
        BundleError: the bundle or its upload is damaged, or no trusted key signed it.
    """
    named = _register(store, tracking, trusted, decision, test)
    proposal = Proposal(
        bundle_id=named.bundle_id,
        model_version=named.model_version,
        retrain_id=named.retrain_id,
        synthetic=named.synthetic,
        by=by,
        reason=reason,
    )
    check_open(store, named.retrain_id)  # the upload took its time
    record = promote(store, proposal, expected=named.against)
    follow_log(tracking, store)
    return record.model_version


def _register(
    store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, decision: Decision, test: TestResult
) -> Challenger:
    bundle = load_bundle(store, decision.bundle_id, trusted)
    check_replaceable(store, synthetic=bundle.manifest.synthetic)
    against = test.against
    if is_overtaken(promotions(store), decision.retrain_id, test.champion):
        raise PromotionConflictError(overtaken_message(decision.retrain_id, against + 1))
    run_id = tracking.variant_run(decision.retrain_id, decision.variant, {})
    model_version = register(tracking, bundle, run_id)
    tracking.finish(run_id)
    synthetic = bundle.manifest.synthetic
    return name_challenger(store, decision.retrain_id, bundle.id, model_version, against, synthetic=synthetic)
