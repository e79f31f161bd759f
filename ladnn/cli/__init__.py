"""The `ladnn` command line: everything but what needs Prefect, which joins through the entry-point group `ladnn.commands`.

Heavy libraries are imported by the commands that need them, so that each command starts quickly.
"""

import errno
import os
import sys
from importlib.metadata import entry_points

import typer

from ladnn.cli import (
    attention,
    audit,
    contributions,
    dataset,
    drift,
    evaluation,
    keys,
    label_changes,
    labels,
    models,
    promotions,
    quarantine,
    records,
    reproduce,
    test_sets,
    waiting,
)
from ladnn.errors import LadnnError
from ladnn.progress import say
from ladnn.settings import silence_services

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Retraining platform for LA-DNN. State lives in LADNN_HOME (default ~/.ladnn).",
)
app.add_typer(contributions.importing, name="import")
app.command()(contributions.phantoms)
app.command()(contributions.contribute)
app.command()(contributions.intake)
app.add_typer(test_sets.app, name="test-set")
app.add_typer(quarantine.app, name="quarantine")
label_changes.join(labels.app)
app.add_typer(labels.app, name="labels")
dataset.app.command("audit")(audit.audit)
dataset.app.command("accept")(audit.accept)
app.add_typer(dataset.app, name="dataset")
app.add_typer(contributions.schema, name="schema")
app.command()(models.predict)
app.command()(models.evaluate)
app.command()(evaluation.metrics)
app.command()(evaluation.figures)
app.add_typer(attention.app, name="attention")
app.add_typer(reproduce.app, name="reproduce")
app.add_typer(drift.app, name="drift")
app.command()(models.serve)
app.command()(promotions.history)
app.command()(waiting.waiting)
app.command()(promotions.promote)
app.command()(promotions.rollback)
app.command()(promotions.reconcile)
app.command()(records.decision)
app.command()(records.card)
app.command()(keys.verify)
app.command()(keys.keys)

_EXTRAS = {
    **dict.fromkeys(("torch", "mlflow", "prefect"), "all"),
    **dict.fromkeys(("fastapi", "uvicorn"), "serve"),
    "evidently": "monitoring",
    **dict.fromkeys(("dicomanonymizer", "imagehash", "jinja2", "matplotlib"), "data"),
}
"""Extra of this distribution that brings a library."""


def main() -> None:
    """Run the command line; an error that was foreseen is one line on stderr and exit code 1."""
    silence_services(os.environ)
    for entry in entry_points(group="ladnn.commands"):
        entry.load()(app)
    try:
        app()
    except LadnnError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        _fail(f"this command needs {package}; install it with: pip install 'ladnn[{_EXTRAS[package]}]'")
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}:
            raise
        where = f": {error.filename}" if error.filename else ""
        _fail(f"{error.strerror}{where}; free space or change permissions, or set LADNN_HOME to another folder")


def _fail(message: str) -> None:
    say(f"ladnn: error: {' '.join(message.split())}")
    sys.exit(1)
