"""Commands for what a retrain measured: `ladnn metrics|figures`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.files import make_folder, write_file
from ladnn.cli.options import Json
from ladnn.platform import open_platform
from ladnn.result import emit

if TYPE_CHECKING:
    from rich.table import Table

    from ladnn.evaluation.paired import AurocDifference
    from ladnn.registry.metric_rows import MetricRow
    from ladnn.registry.summary import RetrainSummary

RetrainId = Annotated[
    str | None,
    typer.Argument(help="Retrain, see `ladnn history`; without it the one planned last.", show_default=False),
]


def metrics(retrain_id: RetrainId = None, as_json: Json = False) -> None:
    """Show the metrics of a retrain by split, model, head and slice."""
    from ladnn.registry.metric_rows import metric_rows
    from ladnn.registry.summary import summarise
    from ladnn.registry.test_set import read_test_result
    from ladnn.retrain import chosen_plan

    store = open_platform().store
    plan = chosen_plan(store, retrain_id)
    rows, result = metric_rows(store, plan), read_test_result(store, plan.retrain_id)
    difference, summary = result.difference if result else None, summarise(store, plan)
    if as_json:
        emit(
            {
                "retrain_id": plan.retrain_id,
                "test_auroc_difference": difference,
                "comparisons": summary.comparisons,
                "seeds": summary.seeds,
                "audit": summary.audit,
                "rows": rows,
            }
        )
    else:
        _print_metrics(plan.retrain_id, rows, difference)
        _print_comparisons(summary)


def figures(
    out: Annotated[Path, typer.Option(help="Folder for the PNG files; it is made if need be.")],
    retrain_id: RetrainId = None,
    as_json: Json = False,
) -> None:
    """Draw ROC, precision-recall, calibration, lesion, attention and training figures of a retrain."""
    from ladnn.registry.retrain_figures import draw_figures
    from ladnn.registry.retrain_panels import draw_panels
    from ladnn.retrain import chosen_plan

    store = open_platform().store
    plan = chosen_plan(store, retrain_id)
    drawn = draw_figures(store, plan) | draw_panels(store, plan)
    make_folder(out)
    for name, data in drawn.items():
        write_file(out / name, data)
    paths = [str(out / name) for name in drawn]
    if as_json:
        emit(paths)
    else:
        for path in paths:
            typer.echo(path)


def _print_metrics(retrain_id: str, rows: "tuple[MetricRow, ...]", difference: "AurocDifference | None") -> None:
    from ladnn.presentation import open_console

    console = open_console()
    console.print(f"retrain {retrain_id}: AUROC by DeLong over patients; --json has the intervals of all metrics")
    for split, model in dict.fromkeys((row.split, row.model) for row in rows):
        of_model = [row for row in rows if (row.split, row.model) == (split, model)]
        console.print(_diagnosis_table(f"{model} on {split}", [row for row in of_model if row.head == "diagnosis"]))
        lesions = [row for row in of_model if row.head != "diagnosis"]
        if lesions:
            console.print(_lesion_table(f"{model} on {split}", lesions))
    measured = {row.split for row in rows}
    for split in ("validation", "test"):
        if split not in measured:
            console.print(f"{split}: nothing was measured")
    least = max((row.min_patients for row in rows), default=1)
    console.print(f"n/a: not enough cases; a slice needs {least} patients of each class that a metric rests on")
    if difference is not None:
        console.print(
            f"test AUROC, candidate minus champion: {difference.bootstrap} by bootstrap over patients, "
            f"{difference.delong} by DeLong",
            markup=False,
        )


def _print_comparisons(summary: "RetrainSummary") -> None:
    from ladnn.presentation import open_console, print_comparisons

    if summary.comparisons:
        console = open_console()
        console.print("ladnn against baseline, on validation:")
        print_comparisons(console, summary.comparisons, summary.audit, canonical_form=summary.canonical_form)


def _diagnosis_table(title: str, rows: "Sequence[MetricRow]") -> "Table":
    from ladnn.presentation import table

    points = ("auprc", "sensitivity", "specificity", "precision", "f1", "accuracy", "brier", "ece")
    cells = [
        (
            _slice(row),
            f"{row.n_known} ({row.n_patients})",
            str(row.n_positive),
            str(row.metrics["auroc"]),
            *(_point(row, name) for name in points),
        )
        for row in rows
    ]
    names = ("AUPRC", "sens.", "spec.", "prec.", "F1", "acc.", "Brier", "ECE")
    columns = ("slice", "images (patients)", "positive", "AUROC [CI]", *names)
    return table(columns, cells, f"diagnosis: {title}, at the operating point")


def _lesion_table(title: str, rows: "Sequence[MetricRow]") -> "Table":
    """One line a slice, one column a lesion: a line for each of both would fill screens."""
    from ladnn.labels import LESIONS
    from ladnn.presentation import table

    slices = list(dict.fromkeys(_slice(row) for row in rows))
    by_place = {(_slice(row), row.head): row for row in rows}
    cells = [(name, *(_lesion(by_place[name, code]) for code in LESIONS)) for name in slices]
    return table(("slice", *LESIONS), cells, f"lesions: {title}: AUROC, F1 at probability 0.5 (present of known)")


def _lesion(row: "MetricRow") -> str:
    return f"{_point(row, 'auroc')}, {_point(row, 'f1')} ({row.n_positive} of {row.n_known})"


def _point(row: "MetricRow", name: str) -> str:
    value = row.metrics[name].value
    return "n/a" if value is None else f"{value:.3f}"


def _slice(row: "MetricRow") -> str:
    return row.by if row.by == row.value else f"{row.by} {row.value}"
