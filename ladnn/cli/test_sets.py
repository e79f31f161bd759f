"""`ladnn test-set`: how often each test-set version was opened, and openings beyond its budget, by name and reason."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ladnn.cli.options import By, Json, Reason
from ladnn.platform import open_platform
from ladnn.result import emit

if TYPE_CHECKING:
    from ladnn.governance.ledger import Allowance, Opening, Use
    from ladnn.store import ObjectStore

app = typer.Typer(no_args_is_help=True, help="The ledger of the test set: openings and their budget.")
Version = Annotated[str, typer.Argument(help="Test-set version, see `ladnn test-set show`.")]


@app.command()
def show(
    version: Annotated[str | None, typer.Argument(help="Test-set version; without it all.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Show who opened which test-set version, when, with which bundles, and what is left of its budget.

    An opening of another version counts by the share of this version's patients that it held.
    """
    from ladnn.governance.ledger import allowances, openings, use_of, uses

    store = open_platform().store
    asked = uses(store) if version is None else [use_of(store, version)]
    opened, allowed, budget = openings(store, version), allowances(store, version), _budget(store)
    if as_json:
        emit(
            {
                "budget": budget,
                "versions": [item.model_dump(mode="json") | {"left": item.left(budget)} for item in asked],
                "openings": [item.model_dump(mode="json") for item in opened],
                "allowed": [item.model_dump(mode="json") for item in allowed],
            }
        )
    else:
        _print(version, asked, opened, allowed, budget)


@app.command()
def accept(
    version: Version,
    by: By,
    reason: Reason,
    openings: Annotated[int, typer.Option(min=1, help="How many more are allowed.")] = 1,
    as_json: Json = False,
) -> None:
    """Allow more openings of a test-set version than its budget, by name and reason."""
    from ladnn.governance.ledger import allow_openings

    allowance = allow_openings(open_platform().store, version, by, reason, openings)
    if as_json:
        emit(allowance)
    else:
        typer.echo(f"{version}: {openings} more allowed by {by}; run the same `ladnn retrain` command again")


def _budget(store: "ObjectStore") -> int:
    """Return the budget of the retrain that was planned last; before any, the default."""
    from ladnn.config_gates import GateConfig
    from ladnn.retrain import plans

    last = max(plans(store), key=lambda plan: plan.planned_at, default=None)
    return (last.config.gates if last else GateConfig()).max_test_openings


def _print(
    version: str | None, asked: "list[Use]", opened: "list[Opening]", allowed: "list[Allowance]", budget: int
) -> None:
    from ladnn.presentation import open_console, table

    if not opened:
        typer.echo("no test set has been opened yet" if version is None else f"{version}: not opened yet")
    console = open_console()
    if opened:
        rows = [
            (item.test_version, f"{item.opened_at:%Y-%m-%d %H:%M}", item.retrain_id, ", ".join(item.opened_by))
            for item in opened
        ]
        console.print(table(("test set", "opened (UTC)", "by retrain", "bundles measured"), rows, "openings"))
    if asked:
        columns = ("test set", "patients", "opened", "used", "budget", "left")
        console.print(table(columns, [_line(item, budget) for item in asked], "budget"))
        console.print(
            "used: retrains that looked at a patient of it, on average; openings of other versions count by the share of "
            "its patients that they held. budget: gates.max_test_openings of the retrain planned last, and what was allowed",
            markup=False,
        )
    for item in allowed:
        typer.echo(f"{item.test_version}: {item.openings} more allowed by {item.by}: {item.reason}")


def _line(use: "Use", budget: int) -> tuple[Any, ...]:
    from ladnn.governance.ledger import shown

    times = {0: "never", 1: "once"}.get(use.n_openings, f"{use.n_openings} times")
    beyond = f" + {shown(use.allowed)} allowed" if use.allowed else ""
    patients = "unknown" if use.n_patients is None else str(use.n_patients)
    return (use.test_version, patients, times, shown(use.used), f"{budget}{beyond}", str(use.left(budget)))
