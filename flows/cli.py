"""The commands that need Prefect: `ladnn retrain`, `monitor`, `schedule`, `approve`, `reject`. They join the `ladnn` command line.

Prefect is imported by the commands, not with this module, so that the other commands stay quick.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from flows import approval_cli
from flows.embedded import prefect_errors_explained, prefect_server
from flows.environment import prepare_prefect
from ladnn.cli.options import Json, Overrides
from ladnn.config_file import load_config
from ladnn.platform import Platform, check_free_space, open_platform
from ladnn.result import emit, results_only_on_stdout

ConfigFile = Annotated[Path, typer.Option("--config", help="Experiment, such as infra/configs/weekly.toml.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the `ladnn` command line."""
    app.command()(retrain)
    app.command()(monitor)
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
    with _prefect_of(platform) as wait_until_up:
        from flows.retrain import retrain as flow

        wait_until_up()
        summary = flow(experiment.model_dump(mode="json"), force)
    if as_json:
        emit(summary)
        return
    from ladnn.presentation import print_retrain

    print_retrain(summary, platform.settings, config, time.perf_counter() - started_s, by_flag)


def monitor(config: ConfigFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Run the daily monitor now: intake, a check for drift, and a retrain where a trigger asks for one."""
    started_s = time.perf_counter()
    experiment = load_config(config, overrides or ())
    platform = open_platform()
    with _prefect_of(platform) as wait_until_up:
        from flows.monitor import monitor as flow

        wait_until_up()
        monitored = flow(experiment.model_dump(mode="json"))
    if as_json:
        emit(monitored)
        return
    from ladnn.presentation import print_retrain
    from ladnn.presentation_of_drift import print_drift

    if monitored.drift is None:
        typer.echo(f"drift: {monitored.drift_problem}")
    else:
        print_drift(monitored.drift, platform.store)
    typer.echo(f"retrain: {'yes' if monitored.trigger.retrain else 'no'}: {monitored.trigger.reason}")
    if monitored.retrain is not None:
        print_retrain(monitored.retrain, platform.settings, config, time.perf_counter() - started_s, overrides or ())


def schedule(
    config: ConfigFile,
    overrides: Overrides = None,
    cron: Annotated[
        str | None,
        typer.Option(help="When to retrain, in UTC, in place of triggers.schedule.", show_default=False),
    ] = None,
) -> None:
    """Serve the retrain (weekly) and the monitor (daily) until stopped; Prefect keeps the runs."""
    by_flag = [*(overrides or ()), *([f"triggers.schedule={json.dumps(cron)}"] if cron is not None else [])]
    experiment = load_config(config, by_flag)
    home = open_platform().settings.home
    prepare_prefect(os.environ, home, log_level="ERROR")  # nobody waits for its exit code: failures go to its log
    with prefect_errors_explained(home), prefect_server(os.environ, home) as wait_until_up:
        from flows.schedule import serve_scheduled

        wait_until_up()
        serve_scheduled(experiment)


@contextmanager
def _prefect_of(platform: Platform) -> Iterator[Callable[[], None]]:
    """Prepare the run of a flow in this process; yield what waits until the server is up, so that imports need not."""
    check_free_space(platform.settings)
    home = platform.settings.home
    prepare_prefect(os.environ, home)
    with results_only_on_stdout(), prefect_errors_explained(home), prefect_server(os.environ, home) as wait_until_up:
        yield wait_until_up
