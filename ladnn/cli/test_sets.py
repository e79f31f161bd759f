"""`ladnn test-set`: how often each test-set version was opened, and openings beyond its budget, by name and reason."""

from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.options import By, Json, Reason
from ladnn.platform import open_platform
from ladnn.result import emit

if TYPE_CHECKING:
    from ladnn.governance.ledger import Opening

app = typer.Typer(no_args_is_help=True, help="The ledger of the test set: openings and their budget.")
Version = Annotated[str, typer.Argument(help="Test-set version, see `ladnn test-set show`.")]


@app.command()
def show(
    version: Annotated[str | None, typer.Argument(help="Test-set version; without it all.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Show who opened which test-set version, when, with which bundles, and what was allowed beyond its budget."""
    from ladnn.governance.ledger import allowances, openings

    store = open_platform().store
    opened = openings(store, version)
    versions = list(dict.fromkeys(item.test_version for item in opened))
    allowed = [item for name in versions for item in allowances(store, name)]
    if as_json:
        emit(
            {
                "openings": [item.model_dump(mode="json") for item in opened],
                "allowed": [item.model_dump(mode="json") for item in allowed],
            }
        )
        return
    if not opened:
        typer.echo("no test set has been opened yet")
        return
    _print(opened, {name: sum(item.openings for item in allowed if item.test_version == name) for name in versions})
    for item in allowed:
        typer.echo(f"{item.test_version}: {item.openings} more allowed by {item.by}: {item.reason}")


@app.command()
def accept(
    version: Version,
    by: By,
    reason: Reason,
    openings: Annotated[int, typer.Option(min=1, max=20, help="How many more are allowed.")] = 1,
    as_json: Json = False,
) -> None:
    """Allow more openings of a test-set version than its budget, by name and reason."""
    from ladnn.governance.ledger import allow_openings

    allowance = allow_openings(open_platform().store, version, by, reason, openings)
    if as_json:
        emit(allowance)
    else:
        typer.echo(f"{version}: {openings} more allowed by {by}; run the same `ladnn retrain` command again")


def _print(opened: "list[Opening]", allowed: dict[str, int]) -> None:
    from ladnn.presentation import open_console, table

    console = open_console()
    rows = [
        (item.test_version, f"{item.opened_at:%Y-%m-%d %H:%M}", item.retrain_id, ", ".join(item.opened_by))
        for item in opened
    ]
    console.print(table(("test set", "opened (UTC)", "by retrain", "bundles measured"), rows, "openings"))
    for version, more in allowed.items():
        n_opened = sum(item.test_version == version for item in opened)
        beyond = f"; {more} allowed beyond the budget" if more else ""
        console.print(f"{version}: opened {n_opened} times{beyond} (budget: gates.max_test_openings)", markup=False)
