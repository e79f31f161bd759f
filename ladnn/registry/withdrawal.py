"""Models that a person took out of service: by the promotion log, and known again by what they serve."""

from collections.abc import Collection, Sequence
from itertools import pairwise

from ladnn.errors import BundleError
from ladnn.registry.bundle import read_manifest
from ladnn.registry.promotion import Promotion, promotions
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def withdrawal(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> str | None:
    """Say that a person rolled a candidate's model back, who and why; None where nobody did, or where it came back since.

    A bundle that was rolled back and cannot be read is told, too: it may hold this model.

    Raises:
        BundleError: the candidate's bundle is damaged, or no trusted key signed it.
    """
    log = promotions(store)
    if all(record.action != "rollback" for record in log):
        return None
    digest, same, unreadable = read_manifest(store, bundle_id, trusted).model_digest, {bundle_id}, {}
    for other in dict.fromkeys(record.bundle_id for record in log):
        try:
            if read_manifest(store, other, trusted).model_digest == digest:
                same.add(other)
        except BundleError as error:
            unreadable[other] = str(error)
    if record := rolled_back(log, same):
        return f"this very model was champion and rolled back by {told(record)}"
    for other, problem in unreadable.items():
        if record := rolled_back(log, {other}):
            return f"whether this is the model that was rolled back by {told(record)} cannot be told: {problem}"
    return None


def told(record: Promotion) -> str:
    """Say who decided a record of the log, when and why."""
    return f"{record.by} on {record.at:%Y-%m-%d}: {record.reason}"


def rolled_back(log: Sequence[Promotion], bundles: Collection[str]) -> Promotion | None:
    """Return the record that took the model which these bundles hold out of service, unless it came back since."""
    found = None
    for before, record in pairwise(log):
        if record.bundle_id in bundles:
            found = None
        elif record.action == "rollback" and before.bundle_id in bundles:
            found = record
    return found
