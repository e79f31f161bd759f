"""Commands for documents on paper: `ladnn decision` and `ladnn card`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.evaluation import RetrainId
from ladnn.cli.files import write_asked
from ladnn.cli.options import Json
from ladnn.platform import open_platform
from ladnn.result import emit

if TYPE_CHECKING:
    from ladnn.registry.decision_record import DecisionRecord

Html = Annotated[Path | None, typer.Option(help="Write it as a page to this file.")]


def decision(retrain_id: RetrainId = None, html: Html = None, as_json: Json = False) -> None:
    """Show the decision record of a retrain: gates, reasons, change control, who decided."""
    from ladnn.registry.decision_record import keep_record, record_page
    from ladnn.retrain import chosen_plan

    store = open_platform().store
    record = keep_record(store, chosen_plan(store, retrain_id))
    if html is not None:
        write_asked(html, record_page(record).encode())
    if as_json:
        emit(record)
    elif html is None:
        _print_record(record)


def card(
    model: Annotated[
        str, typer.Argument(help="champion, a version, a retrain (r-…, last: its candidate), or a bundle (b-…).")
    ] = "champion",
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Show the card of a model: intended use, data, performance, slices, shortcuts, calibration, limits."""
    from ladnn.registry.model_card import card_page, card_summary, keep_model_card
    from ladnn.registry.named_models import bundle_named

    platform = open_platform()
    found = keep_model_card(platform.store, bundle_named(platform.store, model), platform.settings.trusted_keys())
    if html is not None:
        write_asked(html, card_page(found).encode())
    if as_json:
        emit(found)
    elif html is None:
        typer.echo(card_summary(found))


def _print_record(record: "DecisionRecord") -> None:
    from ladnn.page import coverage
    from ladnn.presentation import open_console, table

    console = open_console()
    console.print(f"retrain {record.retrain_id}: [bold]{record.ended}[/bold]")
    console.print(record.summary, markup=False)
    console.print(f"policy: {record.policy}; by the gates: {record.outcome}", markup=False)
    if record.answer is None and record.expires_at is not None:
        console.print(f"it waits for a person's answer until {record.expires_at:%Y-%m-%d %H:%M} UTC", markup=False)
    gates = [
        (
            gate.name,
            gate.verdict.value,
            str(gate.interval) if gate.interval else _number(gate.value),
            coverage(gate.interval),
            _number(gate.limit),
            str(gate.n),
            gate.reason,
        )
        for gate in record.gates
    ]
    console.print(table(("gate", "verdict", "value [CI]", "CI covers", "limit", "n", "in words"), gates))
    if record.changes:
        rows = [
            (item.what, "inside" if item.inside else "outside", item.before or "", item.now, item.allowed)
            for item in record.changes.items
        ]
        console.print(table(("change control", "", "champion", "now", "allowed"), rows))
    if record.answer:
        console.print(f"{record.answer.verdict} by {record.answer.by}: {record.answer.reason}", markup=False)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
