"""The daily monitor: intake, a check for drift, and a retrain where a trigger asks for one."""

from typing import Any

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment

from flows.held import settle_held
from flows.intake import take_in_contributions
from flows.retrain import retrain
from ladnn.config import ExperimentConfig
from ladnn.config_file import parse_config
from ladnn.platform import is_retraining, open_platform
from ladnn.progress import progress_bar, say
from ladnn.registry.drift import Watch, log_check, watch_drift
from ladnn.registry.summary import RetrainSummary
from ladnn.registry.tracking import open_tracking
from ladnn.registry.triggers import Monitored, Trigger, find_trigger

WEEKLY = "weekly"
"""Name of the retrain's deployment, which `ladnn schedule` serves beside the monitor."""


@flow(name="monitor")
def monitor(experiment: dict[str, Any]) -> Monitored:
    """Take in what waits, look for drift, and retrain if the configuration's triggers say so.

    Args:
        experiment: values of an experiment configuration.
    """
    config = parse_config(experiment, "of the monitor flow")
    settle_held()
    take_in_contributions(sweep=False)
    watch = look_for_drift(config)
    trigger = weigh(config, watch)
    summary = set_off(experiment, trigger.reason) if trigger.retrain else None
    return Monitored(drift=watch.check, drift_problem=watch.problem, trigger=trigger, retrain=summary)


def set_off(experiment: dict[str, Any], reason: str) -> RetrainSummary | None:
    """Retrain now; from a deployment as a flow run of its own, which can wait for a person and is not waited for."""
    if runtime.deployment.id is None:
        return retrain(experiment, reason=reason)
    parameters = {"experiment": experiment, "force": False, "reason": reason}
    run_deployment(f"{retrain.name}/{WEEKLY}", parameters=parameters, timeout=0, as_subflow=False)
    say("  retrain: handed to its deployment")
    return None


@task(cache_policy=NO_CACHE)
def look_for_drift(config: ExperimentConfig) -> Watch:
    """Check for drift and show it in MLflow; where there is nothing to compare with, tell why."""
    platform = open_platform()
    with progress_bar("drift: images") as bar:
        watch = watch_drift(platform, config.drift, bar)
    if watch.check is None:
        say(f"  drift: {watch.problem}")
        return watch
    log_check(platform.store, open_tracking(platform.settings), watch.check)
    say(f"  drift: {watch.check.verdict.action}: {watch.check.verdict.reason}")
    return watch


@task(cache_policy=NO_CACHE)
def weigh(config: ExperimentConfig, watch: Watch) -> Trigger:
    """Find out whether anything sets off a retrain."""
    platform = open_platform()
    trigger = find_trigger(platform.store, config, watch)
    if trigger.retrain and is_retraining(platform.settings):
        waits = f"a retrain is running here, so it waits for the next look: {trigger.reason}"
        trigger = trigger.model_copy(update={"retrain": False, "reason": waits})
    say(f"  retrain: {'yes' if trigger.retrain else 'no'}: {trigger.reason}")
    return trigger
