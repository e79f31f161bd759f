"""The command for drift: `ladnn drift`."""

from pathlib import Path
from typing import Annotated

import typer

from ladnn.cli.files import write_asked
from ladnn.cli.options import Json
from ladnn.config_monitoring import DriftConfig
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit, results_only_on_stdout


def drift(
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
    from ladnn.config_file import load_config
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
        emit(record)
        return
    from ladnn.presentation_of_drift import print_drift

    print_drift(record)


def _write_page(path: Path, page: bytes | None) -> None:
    if page is None:
        say(f"{path} is not written: no image came since the promoted model was trained, so there is nothing to draw")
    else:
        write_asked(path, page)
