"""What is known of a candidate before the test set is opened: its data, what changed, whether it can be served."""

from ladnn.dataset.shortcuts.acceptance import read_acceptance
from ladnn.dataset.shortcuts.audit import ShortcutAudit
from ladnn.governance.gates.evidence import Beforehand
from ladnn.governance.gates.run import run_gates_beforehand
from ladnn.governance.gates.verdicts import GateResult, Verdict
from ladnn.registry.changes import changes_of
from ladnn.registry.data_facts import gather_data_facts
from ladnn.registry.promotion import Promotion, champion
from ladnn.registry.serving_check import check_serving
from ladnn.registry.withdrawal import withdrawal
from ladnn.retrain import Plan
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def gather_beforehand(
    store: ObjectStore,
    plan: Plan,
    bundle_id: str,
    audit: ShortcutAudit,
    against: Promotion | None,
    trusted: TrustedKeys,
) -> Beforehand:
    """Gather what a candidate is judged by besides the test set, against this champion.

    Raises:
        BundleError: the candidate's bundle is damaged, or no trusted key signed it.
        RetrainError: this machine could not try to serve it.
    """
    return Beforehand(
        audit=audit,
        acceptance=read_acceptance(store, plan.dataset_version),
        changes=changes_of(store, bundle_id, against.bundle_id if against else None, trusted),
        withdrawn=withdrawal(store, bundle_id, trusted),
        data=gather_data_facts(store, plan, against, trusted),
        serving=check_serving(store, plan, bundle_id, trusted),
    )


def failed_beforehand(
    store: ObjectStore, plan: Plan, bundle_id: str, audit: ShortcutAudit, trusted: TrustedKeys
) -> tuple[GateResult, ...]:
    """Return the gates that reject a candidate whatever the test set would show.

    Raises:
        BundleError: the candidate's bundle is damaged, or no trusted key signed it.
        RetrainError: this machine could not try to serve it.
    """
    evidence = gather_beforehand(store, plan, bundle_id, audit, champion(store), trusted)
    gates = run_gates_beforehand(evidence, plan.config.gates)
    return tuple(gate for gate in gates if gate.verdict is Verdict.FAIL)
