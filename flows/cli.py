"""The commands that need Prefect: `ladnn retrain`, `schedule`, `approve`. They join the `ladnn` command line.

Prefect is imported by the commands, not with this module, so that the other commands stay quick.
"""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from flows.embedded import prefect_errors_explained, prefect_server
from flows.environment import prepare_prefect
from ladnn.cli.options import Json, Overrides
from ladnn.config_file import load_config
from ladnn.errors import RetrainError
from ladnn.platform import check_free_space, only_one_retrain, open_platform
from ladnn.result import emit, results_only_on_stdout

ConfigFile = Annotated[Path, typer.Option("--config", help="Experiment, such as infra/configs/weekly.toml.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the `ladnn` command line."""
    app.command()(retrain)
    app.command()(schedule)
    app.command()(approve)


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


def approve(
    retrain_id: Annotated[str, typer.Argument(help="A held retrain, see `ladnn history`.")],
    reason: Annotated[str, typer.Option(help="Why what could not be evaluated is accepted.")],
    by: Annotated[str, typer.Option(help="Who accepts it.", envvar="USER")],
    as_json: Json = False,
) -> None:
    """Accept a held candidate by name and reason, and promote it."""
    from ladnn.governance.decision import read_approval, read_decision
    from ladnn.registry.challenger import approve_challenger
    from ladnn.registry.tracking import open_tracking

    platform = open_platform()
    decision = read_decision(platform.store, retrain_id)
    if decision is None:
        raise RetrainError(f"retrain {retrain_id} has no decision; see `ladnn history` for the retrains there are")
    with only_one_retrain(platform.settings), results_only_on_stdout():
        tracking = open_tracking(platform.settings)
        model_version = approve_challenger(platform.store, tracking, decision, by=by, reason=reason)
        approval = read_approval(platform.store, retrain_id)
    if as_json:
        emit({"retrain_id": retrain_id, "status": "promoted", "model_version": model_version, "approval": approval})
    elif approval is not None:
        accepted = f"accepted by {approval.by}: {approval.reason}"
        typer.echo(f"promoted: model version {model_version} (models:/ladnn@champion), {accepted}")
