"""Options that many commands share."""

import getpass
import os
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]


def _current_user() -> str:
    try:
        return os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):  # no variable says it, and the system does not know this user, as in some containers
        return ""


By = Annotated[
    str, typer.Option(help="Who decides it.", default_factory=_current_user, show_default="the user who runs it")
]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Value in place of the config's, such as training.epochs=3."),
]
