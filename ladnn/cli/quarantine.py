"""Commands for what intake set aside: `ladnn quarantine list|show|release|reject`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.files import write_asked
from ladnn.cli.options import By, Json, Reason
from ladnn.errors import QuarantineError
from ladnn.platform import open_platform
from ladnn.progress import say
from ladnn.result import emit

if TYPE_CHECKING:
    from ladnn.intake.process import Desk

app = typer.Typer(no_args_is_help=True, help="What intake set aside, why, and the way back.")
Item = Annotated[str, typer.Argument(help="Item, as `ladnn quarantine list` names it.")]


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Show what was rejected, too.")] = False,
    reason: Annotated[str | None, typer.Option(help="Only this reason code.")] = None,
    as_json: Json = False,
) -> None:
    """List what stands in quarantine, oldest first."""
    from ladnn.intake.quarantine import cases
    from ladnn.presentation import print_quarantine

    found = [
        case
        for case in cases(_desk())
        if (everything or case.state == "open") and (reason is None or case.finding.reason == reason)
    ]
    if as_json:
        emit(found)
    else:
        print_quarantine(found)


@app.command()
def show(
    item: Item,
    picture: Annotated[Path | None, typer.Option(help="Write the image to this PNG file, to look at it.")] = None,
    as_json: Json = False,
) -> None:
    """Show one item: its evidence, what was decided about it, and what can be done."""
    from ladnn.intake.quarantine import find_case
    from ladnn.intake.quarantine import picture as read_picture
    from ladnn.presentation import print_case

    desk = _desk()
    case = find_case(desk, item)
    if picture is not None:
        write_asked(picture, read_picture(desk, item))
    if as_json:
        emit(case)
    else:
        print_case(case)


@app.command()
def release(item: Item, by: By, reason: Reason, as_json: Json = False) -> None:
    """Look at an item again, overruling the finding where a person may; the decision is recorded."""
    from ladnn.intake.quarantine import release as let_out

    outcome = let_out(_desk(), item, by=by, reason=reason)
    if as_json:
        emit(outcome)
    else:
        typer.echo(f"{item}: {len(outcome.accepted)} images accepted, {len(outcome.known)} were known")
    for finding in outcome.quarantined:
        say(f"still in quarantine: {finding}")
    if outcome.quarantined and not outcome.accepted and not outcome.known:
        raise QuarantineError(f"{item} stays in quarantine; its contributor must mend it")


@app.command()
def reject(item: Item, by: By, reason: Reason, as_json: Json = False) -> None:
    """Decide that an item stays out for good; nothing is deleted, and it can still be released later."""
    from ladnn.intake.quarantine import reject as keep_out

    case = keep_out(_desk(), item, by=by, reason=reason)
    if as_json:
        emit(case)
    else:
        typer.echo(f"{item}: rejected")


def _desk() -> "Desk":
    from ladnn.dataset.desk import open_desk

    return open_desk(open_platform())
