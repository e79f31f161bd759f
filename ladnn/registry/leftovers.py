"""What killed processes leave behind: retrains without their end, runs that seem to run, checkpoints of what is done."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from ladnn.errors import LadnnError
from ladnn.governance.decision import read_decision
from ladnn.progress import say
from ladnn.registry import retrain_runs
from ladnn.registry.approvals import settle
from ladnn.registry.damaged import undamaged
from ladnn.registry.holds import standing
from ladnn.registry.promotion import is_overtaken, promotions
from ladnn.registry.publication import UNREADABLE, end_retrain, publish_withdrawals
from ladnn.registry.summary import (
    Status,
    open_holds,
    promoted_version,
    read_outcome,
    status_of,
    summarise,
    unfinished_before,
)
from ladnn.registry.test_set import read_test_result
from ladnn.registry.tracking import STATUS, Tracking
from ladnn.retrain import REPRODUCTION, Plan, plans, read_plan
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore
from ladnn.store.keys import CHECKPOINTS
from ladnn.training.result import read_trained

_SILENT_FOR = timedelta(hours=1)
"""Without a word for so long, a process on another host counts as dead: while it trains, it is heard of every 10 s."""

_RESTORE = "restore that from backup"


class Item(BaseModel):
    """One thing that did not agree."""

    model_config = ConfigDict(frozen=True)

    what: str
    found: str
    done: str
    """What was done about it; or what a person can do."""


def unreadable(what: str, error: LadnnError, found: str = "") -> Item:
    """Return what a person must mend: what is lost or damaged, and where that hinders, what was found before."""
    return Item(
        what=what, found=f"{found}, but {error.problem}" if found else error.problem, done=error.remedy or _RESTORE
    )


def finish_held(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys) -> Iterator[tuple[bool, Item]]:
    """End held retrains that no longer wait for a person; yield whether it could be done."""
    for decision in open_holds(store):
        state, what = "waits for a person", f"retrain {decision.retrain_id}"
        try:
            if (state := standing(store, decision)) == "held":
                continue
            outcome = settle(store, tracking, trusted, decision)
        except UNREADABLE as error:
            yield False, unreadable(what, error, state)
        else:
            done = f"ended as {outcome.status if outcome else state}"
            yield True, Item(what=what, found=f"{state}, but had not ended", done=done)


def finish_retrains(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys) -> Iterator[tuple[bool, Item]]:
    """End retrains whose verdict is known, but whose process died first; yield whether it could be done."""
    for plan in plans(store):
        if read_outcome(store, plan.retrain_id) is not None:
            continue
        if (verdict := _verdict(store, plan)) is None:
            continue
        (status, found), what = verdict, f"retrain {plan.retrain_id}"
        try:
            end_retrain(store, tracking, trusted, plan, status)
        except UNREADABLE as error:
            yield False, unreadable(what, error, found)
        else:
            yield True, Item(what=what, found=f"{found}, but had not ended", done=f"ended as {status}")


def supersede_unfinished(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys, current: Plan) -> None:
    """End retrains of the same experiment that newer data overtook; one that damage keeps from ending stays open."""
    store, _ = undamaged(store, "history")
    for plan in unfinished_before(store, current):
        status: Status = "promoted" if promoted_version(store, plan.retrain_id) else "superseded"
        tracking.finish_all(plan.retrain_id, retrain_runs.ending(status))
        try:
            end_retrain(store, tracking, trusted, plan, status)
        except UNREADABLE as error:
            say(f"  retrain {plan.retrain_id} was broken off and stays so: {error}")
        else:
            say(f"  retrain {plan.retrain_id} was broken off; newer data supersede it")


def end_runs(store: ObjectStore, tracking: Tracking, *, alone: bool) -> Iterator[tuple[bool, Item]]:
    """End runs that no process is at work on; yield whether it was done, or left to a process that may still run.

    Args:
        store: holds the plans and outcomes.
        tracking: holds the runs; those of other stores are left alone.
        alone: whether no retrain of this LADNN_HOME is running.
    """
    for retrain_id, heard_at in tracking.running().items():
        plan = read_plan(store, retrain_id)
        if plan is None:
            continue
        what, ending = f"runs of {retrain_id}", _run_status(store, plan)
        silent = datetime.now(UTC) - heard_at > _SILENT_FOR
        if ending is None and not (alone and (silent or not tracking.has_server)):
            found = "unfinished, and its process may be at work here or on another host"
            yield False, Item(what=what, found=found, done="nothing; run `ladnn reconcile` again when it is not")
            continue
        tracking.finish_all(retrain_id, ending or "KILLED")
        found = "still running in MLflow, though it ended" if ending else "still running in MLflow, but broken off"
        yield True, Item(what=what, found=found, done=f"ended as {ending or 'KILLED'}{_way_on(store, plan, ending)}")


def correct_statuses(store: ObjectStore, tracking: Tracking) -> Iterator[tuple[bool, Item]]:
    """Make the tag `ladnn.status` of every retrain that ended, or waits for a person, say so; yield whether it could be done."""
    shown = tracking.tags_of_retrains(STATUS)
    for plan in plans(store):
        if plan.retrain_id not in shown:
            continue
        status, before = status_of(store, plan.retrain_id), shown[plan.retrain_id]
        if status == "unfinished" or before == status:
            continue
        what, found = f"run of {plan.retrain_id}", f"MLflow shows it as {before or 'without an end'}"
        try:
            retrain_runs.end(tracking, summarise(store, plan))
        except UNREADABLE as error:
            yield False, unreadable(what, error, found)
        else:
            yield True, Item(what=what, found=found, done=f"set to {status}")


def tell_withdrawals(store: ObjectStore, tracking: Tracking, trusted: TrustedKeys) -> Iterator[tuple[bool, Item]]:
    """Tell rollbacks on the decision records and model cards that do not yet; yield whether it could be done."""
    for model, problem in publish_withdrawals(store, tracking, trusted):
        what, found = f"papers of model version {model.model_version}", "a rollback changed what they should tell"
        if problem:
            yield False, Item(what=what, found=f"{found}, but {problem}", done="restore that from backup")
        else:
            yield True, Item(what=what, found=found, done="decision record and model card written anew")


def discard_checkpoints(store: ObjectStore) -> Iterator[Item]:
    """Remove the checkpoints of what is trained, ended or unknown; those of an unfinished training stay."""
    found: dict[tuple[str, str], list[str]] = {}
    for key in store.list(CHECKPOINTS):
        retrain_id, _, variant = key.removeprefix(CHECKPOINTS).rpartition("/")[0].partition("/")
        found.setdefault((retrain_id, variant), []).append(key)
    for (retrain_id, variant), keys in found.items():
        if (why := _why_useless(store, retrain_id, variant)) is None:
            continue
        for key in keys:
            store.discard(key)
        what = f"checkpoints of {retrain_id}/{variant}"
        yield Item(what=what, found=f"{len(keys)} left, though {why}", done="removed")


def _verdict(store: ObjectStore, plan: Plan) -> tuple[Status, str] | None:
    """Return how a retrain without an outcome ended, and what shows it; None where it did not."""
    if (version := promoted_version(store, plan.retrain_id)) is not None:
        return "promoted", f"had promoted model version {version}"
    decision = read_decision(store, plan.retrain_id)
    if decision is None or decision.outcome == "hold":
        return None
    if decision.outcome == "reject":
        return "rejected", "was rejected by its gates"
    test = read_test_result(store, plan.retrain_id)
    overtaken = is_overtaken(promotions(store), plan.retrain_id, test.champion if test else None)
    return ("superseded", "passed its gates after another champion had come") if overtaken else None


def _run_status(store: ObjectStore, plan: Plan) -> str | None:
    """Return how the runs of a retrain ended; None where it did not end, or waits for its next attempt."""
    outcome = read_outcome(store, plan.retrain_id)
    if outcome is not None:
        return retrain_runs.ending(outcome.status)
    decision = read_decision(store, plan.retrain_id)
    if decision is not None and decision.outcome == "hold":
        return "FINISHED"
    trained = [read_trained(store, plan.retrain_id, variant.name) is not None for variant in plan.config.variants]
    is_measured_only = plan.retrain_id.startswith(REPRODUCTION)
    return "FINISHED" if is_measured_only and all(trained) else None


def _way_on(store: ObjectStore, plan: Plan, ending: str | None) -> str:
    if ending is not None or plan.retrain_id.startswith(REPRODUCTION):
        return ""
    decision = read_decision(store, plan.retrain_id)
    if decision is not None and decision.outcome == "promote":
        return f"; it passed its gates: `ladnn promote {plan.retrain_id}`, or the same `ladnn retrain`, finishes it"
    return "; the same `ladnn retrain` takes it up"


def _why_useless(store: ObjectStore, retrain_id: str, variant: str) -> str | None:
    if read_plan(store, retrain_id) is None:
        return "nothing here trains it"
    if read_outcome(store, retrain_id) is not None:
        return "the retrain ended"
    return "it is trained" if read_trained(store, retrain_id, variant) is not None else None
