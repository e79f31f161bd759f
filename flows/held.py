"""The end of a retrain whose candidate is held: it waits for a person, and what was answered is carried out."""

import os
from typing import NoReturn

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.approval import EXPIRE, end_flow_run, end_suspended, wait_for_answer
from flows.embedded import owns_server
from flows.stages import StageClock
from ladnn.platform import open_platform
from ladnn.progress import say
from ladnn.registry import retrain_runs
from ladnn.registry.approvals import held_decision, settle
from ladnn.registry.damaged import undamaged
from ladnn.registry.leftovers import finish_held
from ladnn.registry.publication import publish
from ladnn.registry.summary import RetrainSummary, begin_wait, open_holds, summarise
from ladnn.registry.tracking import Tracking, open_tracking
from ladnn.retrain import Plan, required_plan


def await_person(retrain_id: str) -> RetrainSummary:
    """Bring a held retrain to its end; where that takes a person, suspend until there is an answer, or leave it held."""
    if not settle_one(retrain_id):
        platform = open_platform()
        decision = held_decision(platform.store, retrain_id)
        wait_for_answer(platform.store, platform.settings.trusted_keys(), decision)
        settle_one(retrain_id)
    return report(retrain_id)


def go_on(retrain_id: str) -> NoReturn:
    """Carry out the answer in a flow run that was resumed: its stages are done, whatever was contributed meanwhile.

    The run's state tells how the retrain ended, so that a form that came too late does not look like a success.
    """
    end_flow_run(retrain_id, await_person(retrain_id).status)


@flow(name=EXPIRE)
def expire() -> None:
    """End what nobody answered in time; runs when the time of a candidate is over."""
    settle_held()


@task(cache_policy=NO_CACHE)
def settle_held() -> None:
    """Carry out what persons answered and a crash broke off, and end what nobody answered in time."""
    platform = open_platform()
    trusted = platform.settings.trusted_keys()
    store, damaged = undamaged(platform.store, "open")
    for what, error in damaged.items():
        say(f"  {what} is left as it is: {error}")
    for _, item in finish_held(store, _tracking(), trusted) if open_holds(store) else ():
        say(f"  {item.what}: {item.found}; {item.done}")
    if not owns_server(os.environ):
        end_suspended(store)


@task(cache_policy=NO_CACHE)
def settle_one(retrain_id: str) -> bool:
    """Bring a held retrain to its end, unless it waits for a person; tell whether it has ended."""
    platform = open_platform()
    tracking, trusted = _tracking(), platform.settings.trusted_keys()
    outcome = settle(platform.store, tracking, trusted, held_decision(platform.store, retrain_id))
    say(f"retrain {retrain_id}: {outcome.status if outcome else 'held'}")
    return outcome is not None


@task(cache_policy=NO_CACHE)
def report(retrain_id: str) -> RetrainSummary:
    """Tell what a retrain came to."""
    store = open_platform().store
    return summarise(store, required_plan(store, retrain_id))


@task(cache_policy=NO_CACHE)
def hold(current: Plan, clock: StageClock) -> None:
    """Note that all is done but what a person decides."""
    platform, tracking = open_platform(), _tracking()
    store = platform.store
    publish(store, tracking, platform.settings.trusted_keys(), current)
    retrain_runs.end(tracking, summarise(store, current))
    begin_wait(store, current.retrain_id, clock.times())


def _tracking() -> Tracking:
    return open_tracking(open_platform().settings)
