"""The commands that need Prefect: `ladnn retrain`, `schedule`, `approve`, `reject`. They join the `ladnn` command line.

Prefect is imported by the commands, not with this module, so that the other commands stay quick.
"""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from flows import approval_cli
from flows.embedded import prefect_errors_explained, prefect_server
from flows.environment import prepare_prefect
from ladnn.cli.options import Json, Overrides
from ladnn.config_file import load_config
from ladnn.platform import check_free_space, open_platform
from ladnn.result import emit, results_only_on_stdout

ConfigFile = Annotated[Path, typer.Option("--config", help="Experiment, such as infra/configs/weekly.toml.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the `ladnn` command line."""
    app.command()(retrain)
    app.command()(schedule)
    app.command()(approval_cli.approve)
    app.command()(approval_cli.reject)


def retrain(
    config: ConfigFile,
    overrides: Overrides = None,
    processes: Annotated[int | None, typer.Option(help="Processes that share a training; default: one a GPU.")] = None,
    force: Annotated[bool, typer.Option(help="Retrain although neither data nor experiment changed.")] = False,
    as_json: Json = False,
) -> None:
    """Run the weekly retrain now: intake, dataset, training, evaluation, gates, promotion."""
    started_s = time.perf_counter()
    by_flag = [*(overrides or ()), *([f"training.processes={processes}"] if processes is not None else [])]
    experiment = load_config(config, by_flag)
    platform = open_platform()
    check_free_space(platform.settings)
    home = platform.settings.home
    prepare_prefect(os.environ, home)
    with results_only_on_stdout(), prefect_errors_explained(home), prefect_server(os.environ, home) as wait_until_up:
        from flows.retrain import retrain as flow

        wait_until_up()
        summary = flow(experiment.model_dump(mode="json"), force)
    if as_json:
        emit(summary)
        return
    from ladnn.presentation import print_retrain

    print_retrain(summary, platform.settings, config, time.perf_counter() - started_s)


def schedule(
    config: ConfigFile,
    overrides: Overrides = None,
    cron: Annotated[str, typer.Option(help="When to retrain, in UTC.")] = "0 3 * * 1",
) -> None:
    """Serve the retrain on a schedule until stopped; Prefect keeps the runs."""
    experiment = load_config(config, overrides or ())
    home = open_platform().settings.home
    prepare_prefect(os.environ, home, log_level="ERROR")  # nobody waits for its exit code: failures go to its log
    with prefect_errors_explained(home), prefect_server(os.environ, home) as wait_until_up:
        from flows.schedule import serve_weekly

        wait_until_up()
        serve_weekly(experiment, cron)
