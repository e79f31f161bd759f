"""Commands about labels: read them from reports, and measure how well that is done."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.options import Json

if TYPE_CHECKING:
    from ladnn.intake.reports.evaluation import ReportEvaluation

app = typer.Typer(no_args_is_help=True, help="Labels: read them from reports, and measure how well.")


@app.command()
def extract(
    source: Annotated[Path, typer.Argument(metavar="IN.csv", help="Columns id, report and, where known, panel.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.csv", help="Gets id and one column a label: 1, 0 or empty.")],
    details: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Also write where each label stands and how it is meant.")
    ] = None,
) -> None:
    """Read the diagnosis and five lesions from radiology reports; empty means not mentioned, or left open."""
    from ladnn.intake.reports.extract import MAX_CHARACTERS
    from ladnn.intake.reports.table import extract_labels, read_reports, write_details, write_labels
    from ladnn.progress import progress_bar, say

    rows = read_reports(source)
    with progress_bar("reading reports") as steps:
        labels = extract_labels(rows, steps)
    if details:
        write_details(details, rows, labels)
    write_labels(target, rows, labels)
    n_stated = sum(label.value is not None for known in labels for label in known.values())
    n_cut = sum(len(row.report) > MAX_CHARACTERS for row in rows)
    if n_cut:
        say(f"of {n_cut} very long reports only the first {MAX_CHARACTERS} characters were read")
    say(f"read {len(rows)} reports, {n_stated} labels stated: {target}")


@app.command()
def evaluate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds metadata.csv in the layout of COVID-CT.", show_default="here")
    ] = Path(),
    each_alone: Annotated[
        bool, typer.Option("--each-alone", help="Do not let running numbers of images tell the part of a caption.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare labels read from reports with annotated lesions, beside a plain keyword search."""
    from ladnn.intake.reports.evaluation import evaluate_reports
    from ladnn.progress import progress_bar

    with progress_bar("reading reports") as steps:
        result = evaluate_reports(folder, steps, by_order=not each_alone)
    if as_json:
        from ladnn.result import emit

        emit(result)
    else:
        _print_evaluation(result)


def _print_evaluation(result: "ReportEvaluation") -> None:
    """Print the agreement a lesion, and the images whose annotation no word of the report supports."""
    from ladnn.presentation import open_console, table

    console = open_console()
    console.print(f"{result.extractor} on {result.n_images} positive images of {result.n_patients} patients")
    columns = ("lesion", "annotated", "precision", "recall", "F1", "wrong", "keyword search: F1", "wrong")
    rows = [
        (
            row.lesion,
            str(row.n_annotated),
            *(_number(value) for value in (row.reader.precision, row.reader.recall, row.reader.f1)),
            str(row.reader.n_wrong),
            _number(row.keywords.f1),
            str(row.keywords.n_wrong),
        )
        for row in result.lesions
    ]
    console.print(table(columns, rows, "lesions: present as read against present as annotated"))
    console.print(f"macro F1 {_number(result.macro_f1)}, keyword search {_number(result.keyword_macro_f1)}")
    console.print(f"decisions right {result.accuracy:.3f}, keyword search {result.keyword_accuracy:.3f}")
    unsupported = [(item.image, item.lesion) for item in result.unsupported]
    title = f"{len(unsupported)} annotations that no word of the report supports"
    console.print(table(("image", "lesion"), unsupported, title))


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
