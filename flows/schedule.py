"""The retrain on a schedule: one deployment, one run at a time."""

from prefect.schedules import Cron

from flows.retrain import retrain
from ladnn.config import ExperimentConfig
from ladnn.errors import ConfigError
from ladnn.progress import say


def serve_weekly(experiment: ExperimentConfig, cron: str) -> None:
    """Serve the retrain until the process is stopped.

    Raises:
        ConfigError: `cron` is no cron expression.
    """
    try:
        weekly = Cron(cron, timezone="UTC")
    except ValueError as error:
        raise ConfigError(f"--cron {cron!r} is no cron expression; use one such as '0 3 * * 1'") from error
    say(f"serving retrain at {cron!r} (UTC); stop with Ctrl-C")
    retrain.serve(
        name="weekly",
        parameters={"experiment": experiment.model_dump(mode="json"), "force": False},
        schedule=weekly,
        limit=1,
        global_limit=1,
        pause_on_shutdown=False,
        print_starting_message=False,
    )
