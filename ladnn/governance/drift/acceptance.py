"""A person's word that a site was asked about what moved there: from then on its images may be learned from.

It counts for the families of properties that had moved, as long as the same model is champion; another family that moves
later is asked about anew.
"""

from datetime import UTC, datetime

from ladnn.acceptance import Acceptance, keep_acceptance, read_acceptances
from ladnn.accountability import check_accountable
from ladnn.errors import DriftError
from ladnn.governance.drift.sample import Family, family_of
from ladnn.governance.drift.verdict import Action, DriftRecord
from ladnn.store import ObjectStore

_LOG = "drift/acceptances/"


class DriftAcceptance(Acceptance):
    """Who was told what by which sites of a check.

    Attributes:
        check_id: the check that asked for them.
        bundle_id: the champion that it looked at; `model_version` names it in MLflow.
        moved: by site the properties that had moved there.
        accepted_at: when.
    """

    check_id: str
    bundle_id: str
    model_version: str
    moved: dict[str, tuple[str, ...]]
    accepted_at: datetime


def accept_drift(
    store: ObjectStore, record: DriftRecord, by: str, reason: str, site: str | None = None
) -> DriftAcceptance:
    """Record that a person asked the sites of a check, or one of them, and that their images may be learned from.

    Raises:
        DriftError: nobody or no reason is named, the check does not ask this site or any, or that was accepted before.
    """
    check_accountable(by, reason, "an acceptance", DriftError)
    asked = record.verdict.sites if record.verdict.action is Action.INVESTIGATE else ()
    if not asked:
        raise DriftError(
            f"check {record.id} asks no site, its verdict is {record.verdict.action}; there is nothing to accept"
        )
    if site is not None and site not in asked:
        raise DriftError(f"check {record.id} does not ask {site}; it asks {', '.join(asked)}")
    wanted = set(sites_to_ask(store, record)) & ({site} if site else set(asked))
    if not wanted:
        raise DriftError(f"what moved at {site or ', '.join(asked)} was accepted already; see `ladnn history`")
    acceptance = DriftAcceptance(
        by=by,
        reason=reason,
        check_id=record.id,
        bundle_id=record.bundle_id,
        model_version=record.model_version,
        moved={name: properties for name, properties in _moved(record).items() if name in wanted},
        accepted_at=datetime.now(UTC),
    )
    return keep_acceptance(store, _LOG, acceptance)


def drift_acceptances(store: ObjectStore) -> list[DriftAcceptance]:
    """Return what persons accepted of checks for drift, oldest first."""
    return read_acceptances(store, _LOG, DriftAcceptance)


def acceptances_of(store: ObjectStore, record: DriftRecord) -> list[DriftAcceptance]:
    """Return the acceptances that speak of sites which a check asks, while the same model is champion."""
    asked = set(record.verdict.sites) if record.verdict.action is Action.INVESTIGATE else set()
    return [item for item in drift_acceptances(store) if item.bundle_id == record.bundle_id and asked & set(item.moved)]


def sites_to_ask(store: ObjectStore, record: DriftRecord) -> tuple[str, ...]:
    """Return the sites that are still to be asked what changed: of the verdict `investigate` those nobody accepted."""
    if record.verdict.action is not Action.INVESTIGATE:
        return ()
    accepted: dict[str, set[Family]] = {}
    for item in acceptances_of(store, record):
        for site, properties in item.moved.items():
            accepted.setdefault(site, set()).update(map(family_of, properties))
    moved = _moved(record)
    return tuple(
        site
        for site in record.verdict.sites
        if site not in accepted or not set(map(family_of, moved[site])) <= accepted[site]
    )


def _moved(record: DriftRecord) -> dict[str, tuple[str, ...]]:
    """Return by site of the verdict the properties that moved there."""
    found: dict[str, dict[str, None]] = {site: {} for site in record.verdict.sites}
    for item in record.comparisons:
        if item.alarm and item.site in found:
            found[item.site].update(dict.fromkeys(moved.name for moved in item.moved))
    return {site: tuple(names) for site, names in found.items()}
