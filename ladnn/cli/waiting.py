"""`ladnn waiting`: the candidates that wait for a person."""

import typer

from ladnn.cli.options import Json
from ladnn.platform import open_platform
from ladnn.progress import say
from ladnn.result import emit

_SHOWN = {"retrain_id", "variant", "bundle_id", "policy", "reasons", "decided_at", "expires_at"}


def waiting(as_json: Json = False) -> None:
    """Show the candidates that wait for a person, until when, and why."""
    from ladnn.governance.approval import until
    from ladnn.presentation import open_console, table
    from ladnn.registry.damaged import undamaged
    from ladnn.registry.summary import waiting as read_waiting

    store, damaged = undamaged(open_platform().store, "open")
    for what, error in damaged.items():
        say(f"whether {what} waits for a person cannot be told: {error}")
    held = read_waiting(store)
    if as_json:
        emit([item.model_dump(mode="json", include=_SHOWN) | {"accepts": item.unevaluated} for item in held])
        return
    if not held:
        typer.echo("no candidate waits for a person")
        return
    columns = ("retrain", "candidate", "since (UTC)", "until", "policy", "why")
    rows = [
        (
            item.retrain_id,
            item.variant,
            f"{item.decided_at:%Y-%m-%d %H:%M}",
            until(item),
            item.policy,
            "\n".join(item.reasons),
        )
        for item in held
    ]
    open_console().print(table(columns, rows, "waiting for a person"))
    typer.echo(
        f"next: ladnn approve {held[0].retrain_id} --by NAME --reason WHY, or ladnn reject with the same options"
    )
