"""Retrain and monitor on their schedules, and the end of what nobody answers: deployments that one process serves.

Of retrains one runs at a time.
"""

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Schedule

from flows.approval import EXPIRE
from flows.held import expire
from flows.monitor import WEEKLY, monitor
from flows.retrain import retrain
from ladnn.config import ExperimentConfig
from ladnn.errors import ConfigError
from ladnn.progress import say

SCHEDULED = "schedule"


def serve_scheduled(experiment: ExperimentConfig) -> None:
    """Serve retrain and monitor until the process is stopped.

    Raises:
        ConfigError: a schedule is no cron expression.
    """
    triggers = experiment.triggers
    weekly = None if triggers.schedule is None else _cron("triggers.schedule", triggers.schedule)
    daily = _cron("triggers.monitor", triggers.monitor)
    values = experiment.model_dump(mode="json")
    say(
        f"serving retrain at {triggers.schedule!r} (UTC)" if weekly else "serving retrain where the monitor asks for it"
    )
    say(f"serving monitor at {triggers.monitor!r} (UTC); stop with Ctrl-C")
    serve(
        RunnerDeployment.from_flow(
            retrain,
            name=WEEKLY,
            schedule=weekly,
            parameters={"experiment": values, "force": False, "reason": SCHEDULED},
            concurrency_limit=1,
        ),
        RunnerDeployment.from_flow(monitor, name="daily", schedule=daily, parameters={"experiment": values}),
        RunnerDeployment.from_flow(expire, name=EXPIRE),
        pause_on_shutdown=False,
        print_starting_message=False,
    )


def _cron(name: str, expression: str) -> Schedule:
    try:
        return Cron(expression, timezone="UTC")
    except ValueError as error:
        raise ConfigError(f"{name} {expression!r} is no cron expression; use one such as '0 3 * * 1'") from error
