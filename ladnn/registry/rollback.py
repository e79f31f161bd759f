"""The way back: a model that was champion before becomes champion again, by one record of the promotion log.

Needs the object store alone, neither MLflow nor a network to train, so that it takes seconds; the aliases follow later.
"""

from collections.abc import Sequence
from itertools import pairwise

from ladnn.accountability import check_accountable
from ladnn.errors import BundleError, NoChampionError, PromotionError
from ladnn.registry.bundle import damage_of, load_bundle
from ladnn.registry.promotion import Promotion, Proposal, promote, promotions, required_champion, way_back
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def roll_back(
    store: ObjectStore, trusted: TrustedKeys, *, by: str, reason: str, version: str | None = None
) -> Promotion:
    """Make a model champion again.

    A running retrain is not in the way: it finds the log moved on and promotes nothing.

    Args:
        store: holds the log and the bundles.
        trusted: keys one of which must have signed the bundle.
        by: who decides it.
        reason: why.
        version: model version, bundle or retrain of a model that was champion before; None for the one before the present one.

    Raises:
        PromotionError: nobody or no reason is named; or the version is champion, never was, or a model of phantoms.
        NoChampionError: nothing has been promoted, or there is none before.
        PromotionConflictError: another model became champion at the same time.
        BundleError: the bundle to return to is damaged, or no trusted key signed it; nothing was written.
    """
    check_accountable(by, reason, "a rollback", PromotionError)
    current = required_champion(store)
    log = promotions(store)[: current.number]
    target = _before(log) if version is None else _named(log, version)
    if target.bundle_id == current.bundle_id:
        raise PromotionError(
            f"model version {current.model_version} is champion already (record {current.number}); nothing to roll back"
        )
    if target.synthetic and not current.synthetic:
        raise PromotionError(
            f"model version {target.model_version} was trained on phantoms and the champion on patients; "
            "it cannot come back, name another version"
        )
    try:
        load_bundle(store, target.bundle_id, trusted)
    except BundleError as error:
        what = f"model version {target.model_version} cannot come back: {error.problem}"
        raise BundleError(what, whole_one(store, trusted, damaged=target) or error.remedy) from error
    proposal = Proposal(
        action="rollback",
        bundle_id=target.bundle_id,
        model_version=target.model_version,
        retrain_id=target.retrain_id,
        synthetic=target.synthetic,
        by=by,
        reason=reason,
    )
    return promote(store, proposal, expected=current.number)


def whole_one(store: ObjectStore, trusted: TrustedKeys, damaged: Promotion) -> str | None:
    """Say which rollback leads to a former champion that is whole, where a model is damaged; None where none is whole.

    Those to which rollbacks lead by themselves come first, and those from which a person rolled away last; of either kind
    the latest first.
    """
    log = promotions(store)
    removed = {before.bundle_id for before, record in pairwise(log) if record.action == "rollback"}
    others = sorted(reversed(log), key=lambda record: record.bundle_id in removed)
    former = {record.bundle_id: record for record in (*reversed(way_back(log)), *others)}
    for record in former.values():
        if record.bundle_id in {damaged.bundle_id, log[-1].bundle_id} or (record.synthetic and not log[-1].synthetic):
            continue
        if damage_of(store, record.bundle_id, trusted) is None:
            return f"`ladnn rollback {record.model_version}` leads to a model that is whole"
    return None


def _before(log: Sequence[Promotion]) -> Promotion:
    path = way_back(log)
    if len(path) > 1:
        return path[-2]
    others = dict.fromkeys(item.model_version for item in reversed(log) if item.bundle_id != path[-1].bundle_id)
    undo = f"; {' or '.join(f'`ladnn rollback {name}`' for name in others)} undoes a rollback" if others else ""
    raise NoChampionError(
        f"there is no champion before model version {path[-1].model_version}, nothing to roll back to{undo}"
    )


def _named(log: Sequence[Promotion], version: str) -> Promotion:
    if not version.strip():
        raise PromotionError("an empty VERSION names no model; leave it out for the one before the champion")
    found = {
        record.bundle_id: record
        for record in log
        if version in {record.model_version, record.bundle_id, record.retrain_id}
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise PromotionError(f"model version {version} names several models; name one of {', '.join(found)}")
    known = ", ".join(dict.fromkeys(record.model_version for record in log))
    raise PromotionError(
        f"{version} never was champion, so there is no way back to it; versions that were: {known}. "
        "`ladnn promote` is for a model that was not"
    )
