"""A person's acceptance of a dataset version whose shortcut audit is red; recorded once, by name and reason."""

from datetime import UTC, datetime

from ladnn.acceptance import Acceptance, keep_acceptance, read_acceptances
from ladnn.accountability import check_accountable
from ladnn.dataset.shortcuts.audit import read_audits
from ladnn.dataset.shortcuts.probes import Probe
from ladnn.dataset.version import document_key
from ladnn.errors import DatasetError
from ladnn.store import ObjectStore

_LOG = "acceptances/"


class AuditAcceptance(Acceptance):
    """Who accepts which shortcuts of a version, and why."""

    dataset_version: str
    accepted: tuple[Probe, ...]
    """Probes that were red when it was accepted; another one that turns red later is not."""
    accepted_at: datetime


def accept_audit(store: ObjectStore, version_id: str, by: str, reason: str) -> AuditAcceptance:
    """Record that a person accepts the red probes of a version's audits; a later acceptance adds to the earlier ones.

    Raises:
        DatasetError: nobody or no reason is named, or there is no audit or nothing red in it that is not accepted.
    """
    check_accountable(by, reason, "an acceptance", DatasetError)
    audits = read_audits(store, version_id)
    if not audits:
        raise DatasetError(
            f"dataset version {version_id} has no shortcut audit to accept; run `ladnn dataset audit {version_id}`"
        )
    red = sorted({result.probe for audit in audits for result in audit.red})
    if not red:
        raise DatasetError(f"the shortcut audit of dataset version {version_id} is not red; there is nothing to accept")
    known = read_acceptance(store, version_id)
    if known is not None and set(red) <= set(known.accepted):
        raise DatasetError(f"{known.by} has accepted all that is red in dataset version {version_id} already")
    accepted = {*red, *(known.accepted if known else ())}
    acceptance = AuditAcceptance(
        dataset_version=version_id,
        by=by,
        reason=reason,
        accepted=tuple(sorted(accepted)),
        accepted_at=datetime.now(UTC),
    )
    return keep_acceptance(store, document_key(version_id, _LOG), acceptance)


def read_acceptance(store: ObjectStore, version_id: str) -> AuditAcceptance | None:
    """Read the latest acceptance of a version, which takes in the earlier ones, if there is one."""
    return next(reversed(read_acceptances(store, document_key(version_id, _LOG), AuditAcceptance)), None)
