"""After a crash: promotion log, MLflow's versions, aliases and runs, and checkpoints agree again; says what it did.

The object store is the truth and MLflow follows it. Each step looks first and changes only what differs, so a reconcile
that is killed is finished by the next one. Training is not taken up: that is for `ladnn retrain`.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from pydantic import BaseModel, ConfigDict

from ladnn.errors import BundleError, PromotionLogError, RetrainError, TrackingError
from ladnn.platform import only_one_retrain
from ladnn.registry.bundle import damage_of, load_bundle
from ladnn.registry.challenger_log import Challenger, named_challengers
from ladnn.registry.damaged import quoted_records, undamaged
from ladnn.registry.leftovers import (
    Item,
    correct_statuses,
    discard_checkpoints,
    end_runs,
    finish_held,
    finish_retrains,
    tell_withdrawals,
    unreadable,
)
from ladnn.registry.model_versions import (
    aliased_models,
    drop_duplicates,
    follow_log,
    has_no_versions,
    register,
    versions_of,
)
from ladnn.registry.promotion import Promotion, is_damaged, promotions, record_key, way_back
from ladnn.registry.rollback import whole_one
from ladnn.registry.summary import read_outcome
from ladnn.registry.tracking import Tracking, brief_requests, open_tracking
from ladnn.retrain import PREFIX, REPRODUCTIONS, retrain_ids
from ladnn.settings import Settings
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore, write_json, write_json_if_absent
from ladnn.store.keys import CHECKPOINTS

FLOW_RUN_LATER = "a flow run that still waits for it is ended by the next retrain or monitor"
_TOUCHED = ("promotions/", PREFIX, REPRODUCTIONS, CHECKPOINTS)


class Reconciled(BaseModel):
    """What a reconcile found and did."""

    model_config = ConfigDict(frozen=True)

    mended: tuple[Item, ...] = ()
    at_work: tuple[Item, ...] = ()
    """Unfinished, but a process may be at work on it."""
    needs_a_person: tuple[Item, ...] = ()


def reconcile(settings: Settings, store: ObjectStore) -> Reconciled:
    """Mend what a crash left; where nothing differs, nothing is written.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    if not any(True for prefix in _TOUCHED for _ in store.list(prefix)):
        return Reconciled()
    store, wrong = undamaged(store)
    damaged = [unreadable(what, error) for what, error in wrong.items()]
    at_work: list[Item] = []
    mended = _restore_records(store)
    if (lost := _lost_record(store)) is not None:  # what follows from half a log would be wrong
        return Reconciled(mended=tuple(mended), needs_a_person=(lost, *damaged))
    with brief_requests():  # one that hangs is told within seconds
        tracking = open_tracking(settings)
    trusted = settings.trusted_keys()
    with ExitStack() as stack:
        try:
            stack.enter_context(only_one_retrain(settings))
            alone = True
        except RetrainError:
            alone = False
        damaged += _damaged_models(store, trusted)
        if alone:
            _divide(_without_flow_run(finish_held(store, tracking, trusted)), mended, damaged)
        damaged += _restore_versions(store, tracking, trusted, mended)
        if alone:
            _divide(finish_retrains(store, tracking, trusted), mended, damaged)
            mended += _drop_duplicates(store, tracking)  # alone, since a new version is not named at once
        mended += _aliases(store, tracking, damaged)
        if alone:
            _divide(tell_withdrawals(store, tracking, trusted), mended, damaged)
        _divide(end_runs(store, tracking, alone=alone), mended, at_work)
        _divide(correct_statuses(store, tracking), mended, damaged)
        mended += discard_checkpoints(store)
    return Reconciled(mended=tuple(mended), at_work=tuple(at_work), needs_a_person=tuple(damaged))


def _divide(found: Iterable[tuple[bool, Item]], done: list[Item], left: list[Item]) -> None:
    for is_done, item in found:
        (done if is_done else left).append(item)


def _without_flow_run(held: Iterable[tuple[bool, Item]]) -> Iterator[tuple[bool, Item]]:
    for is_done, item in held:
        yield is_done, item.model_copy(update={"done": f"{item.done}; {FLOW_RUN_LATER}"}) if is_done else item


def _lost_record(store: ObjectStore) -> Item | None:
    """Tell which record of the promotion log is missing; a retrain that ended as promoted has one."""
    what = "promotion log"
    try:
        log = promotions(store)
    except PromotionLogError as error:
        return Item(what=what, found=error.problem, done=error.remedy or "")
    recorded = {record.retrain_id for record in log}
    for retrain_id in retrain_ids(store):
        outcome = read_outcome(store, retrain_id)
        if outcome is None or outcome.model_version is None or retrain_id in recorded:
            continue
        found = f"no record of model version {outcome.model_version}, which retrain {retrain_id} promoted"
        return Item(what=what, found=found, done=f"restore {record_key(len(log) + 1)} from backup")
    return None


def _restore_records(store: ObjectStore) -> list[Item]:
    """Write records of the promotion log again that were lost or damaged, but are quoted by the decision record of a retrain."""
    restored = []
    for record in (quoted for retrain_id in retrain_ids(store) for quoted in quoted_records(store, retrain_id)):
        key, document = record_key(record.number), record.model_dump(mode="json")
        if write_json_if_absent(store, key, document):
            found = f"record {record.number} was lost"
        elif is_damaged(store, record.number):
            write_json(store, key, document)
            found = f"record {record.number} was damaged"
        else:
            continue
        restored.append(Item(what="promotion log", found=found, done=f"written again to {key} from a decision record"))
    return restored


def _damaged_models(store: ObjectStore, trusted: TrustedKeys) -> Iterator[Item]:
    """Yield the champion where its bundle cannot be served, and what a rollback would lead to where that cannot."""
    path = way_back(promotions(store))
    if not path:
        return
    *before, current = path
    if (error := damage_of(store, current.bundle_id, trusted)) is not None:
        ways = filter(None, (error.remedy, whole_one(store, trusted, damaged=current)))
        what = f"champion, model version {current.model_version}"
        yield Item(what=what, found=error.problem, done="; or ".join(ways))
    for model in before[-1:]:
        if (error := damage_of(store, model.bundle_id, trusted)) is not None:
            what = f"model version {model.model_version}, to which `ladnn rollback` leads"
            yield unreadable(what, error)


def _restore_versions(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, mended: list[Item]) -> list[Item]:
    """Register again what the aliases stand for and MLflow lost; return what cannot be, and what has another number now.

    Where MLflow lost all, every model that had a version is registered in the order of the versions, so that they agree.
    """
    lost: list[Item] = []
    for model in _known(store) if has_no_versions(tracking) else aliased_models(store):
        if versions_of(tracking, model.bundle_id):
            continue
        what = f"model version {model.model_version} (bundle {model.bundle_id})"
        try:
            bundle = load_bundle(store, model.bundle_id, trusted)
            run_id = tracking.variant_run(model.retrain_id, bundle.manifest.variant.name, {})
            version = register(tracking, bundle, run_id)
            tracking.finish(run_id)
        except BundleError as error:
            lost.append(Item(what=what, found=f"not in MLflow, and {error}", done="restore the bundle from backup"))
            continue
        mended.append(Item(what=what, found="not in MLflow", done=f"registered from the store as version {version}"))
        if version != model.model_version:
            found = f"MLflow's number for it is {version} now, that of the promotion log and of `ladnn` stays"
            lost.append(Item(what=what, found=found, done="restore MLflow's database from backup, or note it"))
    return lost


def _drop_duplicates(store: ObjectStore, tracking: Tracking) -> Iterator[Item]:
    named = {(model.bundle_id, model.model_version) for model in _known(store)}
    for bundle_id, version in drop_duplicates(tracking, named):
        found = f"registers bundle {bundle_id} a second time"
        yield Item(what=f"model version {version}", found=found, done="removed; no promotion names it")


def _known(store: ObjectStore) -> list[Promotion | Challenger]:
    """Return every model that has, or had, a version in MLflow, in the order of their versions."""
    known: list[Promotion | Challenger] = [*promotions(store), *named_challengers(store)]
    return sorted(known, key=lambda model: int(model.model_version))


def _aliases(store: ObjectStore, tracking: Tracking, damaged: list[Item]) -> Iterator[Item]:
    try:
        changes = follow_log(tracking, store)
    except TrackingError as error:
        if not damaged:
            raise
        damaged.append(Item(what="aliases", found=str(error), done="run `ladnn reconcile` again after the rest"))
        return
    for change in changes:
        found = f"pointed at version {change.before}" if change.before else "pointed at nothing"
        done = f"set to version {change.after}" if change.after else "removed"
        yield Item(what=f"alias {change.alias}", found=found, done=done)
