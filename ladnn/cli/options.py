"""Options that many commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]
By = Annotated[str, typer.Option(help="Who decides it.", envvar="USER")]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Value in place of the config's, such as training.epochs=3."),
]
