"""Commands for drift: `ladnn drift` looks, `ladnn drift accept` records that a site was asked."""

from pathlib import Path
from typing import Annotated

import typer

from ladnn.cli.files import write_asked
from ladnn.cli.options import By, Json, Reason
from ladnn.config_monitoring import DriftConfig
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit, results_only_on_stdout

app = typer.Typer()


@app.callback(invoke_without_command=True)
def drift(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="Experiment file; its section drift counts. Without it the defaults do.", show_default=False),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the page to look at.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Compare new contributions, and what the service saw, with the data of the promoted model.

    The verdict is none, retrain, investigate (and which site to ask), or not enough cases. It is kept in the store, in
    MLflow (experiment ladnn-monitoring) and in Evidently's workspace, LADNN_HOME/evidently.
    """
    if context.invoked_subcommand is not None:
        return
    from ladnn.config_file import load_config
    from ladnn.governance.drift.acceptance import acceptances_of, sites_to_ask
    from ladnn.registry.drift import check_drift, log_check, read_page
    from ladnn.registry.tracking import open_tracking

    limits = load_config(config).drift if config else DriftConfig()
    platform = open_platform()
    with results_only_on_stdout(), progress_bar("drift: images") as bar:
        record = check_drift(platform, limits, bar)
        log_check(platform.store, open_tracking(platform.settings), record)
    if html is not None:
        _write_page(html, read_page(platform.store, record))
    if as_json:
        standing = {"accepted": acceptances_of(platform.store, record), "to_ask": sites_to_ask(platform.store, record)}
        emit(record.model_dump() | standing)
        return
    from ladnn.presentation_of_drift import print_drift

    print_drift(record, platform.store)


@app.command()
def accept(
    name: Annotated[
        str, typer.Argument(metavar="CHECK|SITE", help="A check (k-…) with all sites that it asks, or one site.")
    ],
    by: By,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Record that a site was asked what changed and may be learned from, so that the monitor waits for it no longer.

    It counts for what had moved, while the same model is champion. A site is that of the latest check.
    """
    from ladnn.governance.drift.acceptance import accept_drift
    from ladnn.registry.drift import check_that_asks

    store = open_platform().store
    record, site = check_that_asks(store, name)
    acceptance = accept_drift(store, record, by, reason, site)
    if as_json:
        emit(acceptance)
        return
    for place, properties in acceptance.moved.items():
        typer.echo(f"{place}: {', '.join(properties)} accepted by {acceptance.by}: {acceptance.reason}")


def _write_page(path: Path, page: bytes | None) -> None:
    if page is None:
        say(f"{path} is not written: no image came since the promoted model was trained, so there is nothing to draw")
    else:
        write_asked(path, page)
