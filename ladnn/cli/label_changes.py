"""Commands that show and change labels after intake: `ladnn labels show|override|reextract` and `ladnn labels review`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.options import By, Json, Reason
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit

if TYPE_CHECKING:
    from ladnn.intake.label_changes import LabelChange
    from ladnn.intake.record import Record
    from ladnn.intake.reextraction import Reextraction
    from ladnn.labels import Label

review = typer.Typer(no_args_is_help=True, help="Have people look at uncertain labels, in a spreadsheet.")
Image = Annotated[str, typer.Argument(help="Beginning of an image's digest, or CONTRIBUTION:POSITION.")]
_DIGEST = 12
"""Characters of a digest that people are shown."""
_MOST_IMAGES = 20
"""Named in a table; `--json` names them all."""


def join(app: typer.Typer) -> None:
    """Add these commands to the group `ladnn labels`."""
    for command in (show, override, reextract):
        app.command()(command)
    app.add_typer(review, name="review")


def show(image: Image, as_json: Json = False) -> None:
    """Show the labels of an image, where each comes from, and every change since intake."""
    from ladnn.intake.label_changes import accepted_records, current_labels, find_record, place_of, read_changes

    store = open_platform().store
    record = find_record(accepted_records(store), image)
    history = [change for change in read_changes(store) if change.image == record.image]
    (current,) = current_labels([record], history)
    if as_json:
        emit(
            {
                "image": record.image,
                "contribution": record.contribution,
                "position": record.position,
                "frame": record.frame,
                "labels": current.labels,
                "at_intake": record.labels,
                "history": history,
            }
        )
    else:
        _print_labels(current, place_of(record), history)


def override(
    image: Image,
    label: Annotated[str, typer.Argument(help="Label, such as covid, GGO or 'ground-glass opacity'.")],
    value: Annotated[str, typer.Argument(help="1, 0, unknown, or withdraw (what was before holds again).")],
    by: By,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Decide a label; it wins over annotation and report from the next dataset version on. Who and why is kept."""
    from ladnn.intake.label_changes import accepted_records, current_labels, find_record, read_changes, record_changes
    from ladnn.intake.review_decisions import decide
    from ladnn.labels import label_code

    store = open_platform().store
    record = find_record(accepted_records(store), image)
    change = decide(record.image, label_code(label), value.casefold(), by=by, reason=reason)
    recorded = record_changes(store, [change])
    (current,) = current_labels([record], read_changes(store))
    now = current.labels.get(change.code)
    if as_json:
        emit({"image": record.image, "label": change.code, "now": now, "recorded": recorded})
        return
    state = "" if recorded else "; nothing new to record"
    typer.echo(f"{change.code} of image {record.image[:_DIGEST]} is {_value(now)} ({_source(now)}){state}")


def reextract(
    by: By,
    apply: Annotated[bool, typer.Option("--apply", help="Record what is read now, in one entry of the log.")] = False,
    as_json: Json = False,
) -> None:
    """Read all kept reports again with the present rules and show which labels flip; without --apply nothing changes."""
    from ladnn.intake.label_changes import accepted_records, read_changes, record_changes
    from ladnn.intake.reextraction import readings
    from ladnn.intake.reextraction import reextract as read_again

    store = open_platform().store
    records = accepted_records(store)
    with progress_bar("reading reports again") as steps:
        result = read_again(store, records, read_changes(store), steps)
    recorded = record_changes(store, readings(result, by)) if apply and result.flips else []
    if as_json:
        emit(result.model_dump(mode="json") | {"n_recorded": len(recorded)})
    else:
        _print_flips(result)
        typer.echo(f"recorded {len(recorded)} changes" if apply else "nothing was changed; add --apply to record them")


@review.command("export")
def export_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="New file; only you can read it.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only this many labels, the most uncertain.")] = None,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Add the reports' text, which may tell of people: keep the file safe.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the most uncertain labels to a CSV file; fill in new_value (1, 0, unknown, withdraw) and note."""
    from ladnn.intake.label_review import export_review, review_items

    store = open_platform().store
    items = review_items(store)
    chosen = items[:limit]
    with progress_bar("writing labels") as steps:
        export_review(store, chosen, file, with_text=with_text, on_step=steps)
    if as_json:
        emit({"file": str(file), "n_labels": len(chosen), "n_uncertain": len(items)})
        return
    typer.echo(f"wrote {len(chosen)} of {len(items)} labels worth a look to {file}")
    say("next: fill in new_value (1, 0, unknown or withdraw) and note, then `ladnn labels review import` it")


@review.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="An exported file with new values filled in.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Record the new values of a reviewed file as overrides, all or none; the same file again changes nothing."""
    from ladnn.intake.review_decisions import import_review

    result = import_review(open_platform().store, file, by)
    if as_json:
        emit(result)
    else:
        typer.echo(
            f"{result.n_rows} rows, {result.n_decided} with a new value: recorded {len(result.changes)} overrides, "
            f"{result.n_decided - len(result.changes)} were recorded before"
        )


def _print_labels(record: "Record", place: str, history: "list[LabelChange]") -> None:
    from ladnn.intake.label_review import shown_value
    from ladnn.labels import LABELS
    from ladnn.presentation import open_console, table

    console = open_console()
    console.print(f"image {record.image}, {place}", markup=False)
    rows = []
    for code in LABELS:
        label = record.labels.get(code)
        if label is None:
            rows.append((code, "unknown", *("",) * 6))
            continue
        marks = [mark for mark in ("negated", "uncertain", "historical") if getattr(label, mark)]
        span = "" if label.span is None else f"{label.span[0]}-{label.span[1]}"
        doubt = f"{label.doubt:.2f}" if label.doubt else ""
        rows.append(
            (code, shown_value(label), label.source, label.by, span, label.panel or "", ", ".join(marks), doubt)
        )
    columns = ("label", "value", "source", "by", "characters of the report", "part", "wording", "doubt")
    console.print(table(columns, rows, "labels"))
    changes = [
        (f"{c.at:%Y-%m-%d %H:%M}", c.code, c.source, _value(c.label, none="taken back"), c.by, c.reason)
        for c in history
    ]
    if changes:
        console.print(table(("at (UTC)", "label", "source", "value", "by", "reason"), changes, "changes since intake"))


def _print_flips(result: "Reextraction") -> None:
    from ladnn.presentation import open_console, table

    console = open_console()
    console.print(f"{result.extractor}: {result.n_reports} reports of {result.n_images} images read again")
    counts = Counter((flip.code, flip.before, flip.after) for flip in result.flips)
    rows = [(*kind, str(count)) for kind, count in sorted(counts.items())]
    console.print(table(("label", "was", "is read now", "images"), rows, f"{len(result.flips)} labels flip"))
    named = [
        (flip.image[:_DIGEST], flip.code, flip.before, flip.after, "an override holds" if flip.overridden else "")
        for flip in result.flips[:_MOST_IMAGES]
    ]
    if named:
        title = f"the first {len(named)}" if len(result.flips) > len(named) else None
        console.print(table(("image", "label", "was", "is read now", ""), named, title))


def _value(label: "Label | None", none: str = "unknown") -> str:
    from ladnn.intake.label_review import shown_value

    return none if label is None else shown_value(label)


def _source(label: "Label | None") -> str:
    return "nothing is known of it" if label is None else f"{label.source} by {label.by}"
