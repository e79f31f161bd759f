"""The retrain on a schedule: one deployment, one run at a time."""

from prefect.schedules import Cron

from flows.retrain import retrain
from ladnn.config import ExperimentConfig
from ladnn.progress import say


def serve_weekly(experiment: ExperimentConfig, cron: str) -> None:
    """Serve the retrain until the process is stopped."""
    say(f"serving retrain at {cron!r} (UTC); stop with Ctrl-C")
    retrain.serve(
        name="weekly",
        parameters={"experiment": experiment.model_dump(mode="json"), "force": False},
        schedule=Cron(cron, timezone="UTC"),
        limit=1,
        global_limit=1,
        pause_on_shutdown=False,
        print_starting_message=False,
    )
