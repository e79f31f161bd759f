"""The `ladnn` command line: everything but what needs Prefect, which joins through the entry-point group `ladnn.commands`.

Heavy libraries are imported by the commands that need them, so that each command starts quickly.
"""

import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from ladnn.errors import ContributionError, ImageRejectedError, LadnnError
from ladnn.platform import only_one_retrain, open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit, results_only_on_stdout
from ladnn.settings import silence_services

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Retraining platform for LA-DNN. State lives in LADNN_HOME (default ~/.ladnn).",
)
importing = typer.Typer(no_args_is_help=True, help="Turn a public collection into contributions.")
app.add_typer(importing, name="import")

_EXTRAS = {"torch": "all", "mlflow": "all", "prefect": "all", "fastapi": "serve", "uvicorn": "serve"}
"""Extra of this distribution that brings a library."""

_MOST_LINES = 10
"""Missing files that are named one by one."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]


def main() -> None:
    """Run the command line; an error that was foreseen is one line on stderr and exit code 1."""
    silence_services(os.environ)
    for entry in entry_points(group="ladnn.commands"):
        entry.load()(app)
    try:
        app()
    except LadnnError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        _fail(f"this command needs {package}; install it with: pip install 'ladnn[{_EXTRAS[package]}]'")
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}:
            raise
        where = f": {error.filename}" if error.filename else ""
        _fail(f"{error.strerror}{where}; free space or change permissions, or set LADNN_HOME to another folder")


@importing.command("covid-ct")
def import_covid_ct(
    folder: Annotated[Path, typer.Argument(help="Folder with metadata.csv and images/.")],
    keep_split: Annotated[
        str | None, typer.Option(help="Keep the split of this column, such as authors_split.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Contribute the COVID-CT collection, one contribution a patient; a second time changes nothing."""
    from ladnn.intake.covid_ct import covid_ct_studies

    store, counts = open_platform().store, {"new": 0, "known": 0, "images": 0, "missing": 0}
    for imported in covid_ct_studies(folder, keep_split):
        for line in imported.missing[: max(0, _MOST_LINES - counts["missing"])]:
            say(line)
        counts["missing"] += len(imported.missing)
        if imported.study is not None:
            _contribute(store, imported.study, imported.files, counts)
    if counts["missing"] > _MOST_LINES:
        say(f"{counts['missing']} images of the table have no file; the first {_MOST_LINES} are named above")
    if counts["images"] == 0:
        raise ContributionError(
            f"not one image that {folder / 'metadata.csv'} names is in {folder / 'images'}; check the folder"
        )
    _report_contributions(counts, as_json)


@app.command()
def phantoms(
    patients: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 96,
    slices: Annotated[int, typer.Option(min=1, help="Slices a patient.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same patients.")] = 1,
    as_json: Json = False,
) -> None:
    """Contribute synthetic patients to the inbox; a second time changes nothing."""
    from ladnn.intake.phantom_contributions import phantom_contributions

    store, counts = open_platform().store, {"new": 0, "known": 0, "images": 0, "missing": 0}
    with progress_bar("phantoms: patients") as bar:
        for done, (study, files) in enumerate(phantom_contributions(seed, patients, slices), start=1):
            _contribute(store, study, files, counts)
            bar(done, patients)
    _report_contributions(counts, as_json)


@app.command()
def intake(as_json: Json = False) -> None:
    """Take in what waits in the inbox: each contribution ends accepted or quarantined with a reason."""
    from ladnn.intake.process import take_in

    platform = open_platform()
    with progress_bar("intake: contributions") as bar:
        report = take_in(platform.store, platform.settings.pseudonym_key(), bar)
    if as_json:
        counts = report.model_dump(mode="json", exclude={"quarantined"})
        emit(counts | {"quarantined": report.quarantined_by_reason})
    else:
        typer.echo("\n".join(report.lines))


@app.command()
def predict(images: Annotated[list[Path], typer.Argument(help="PNG or JPEG files.")], as_json: Json = False) -> None:
    """Score images with the promoted model."""
    from ladnn.serving.predictor import load_champion

    predictor = load_champion(open_platform().store)
    results: list[dict[str, Any]] = []
    for image in images:
        try:
            (prediction,) = predictor.predict([image.read_bytes()])
            results.append({"image": str(image)} | prediction.model_dump())
        except ImageRejectedError as error:
            say(f"ladnn: {image}: {error.reason}: {error}")
        except OSError as error:
            say(f"ladnn: {image}: {error.strerror}; name a PNG or JPEG file")
    if as_json:
        emit(results)
    else:
        _print_predictions(results)
    if len(results) < len(images):
        raise typer.Exit(1)


@app.command()
def evaluate(
    images: Annotated[Path, typer.Option(help="Folder of the image files.")],
    labels: Annotated[Path, typer.Option(help="CSV: image, patient_id, covid, lesion columns if known.")],
    as_json: Json = False,
) -> None:
    """Score the promoted model on labelled images that it never saw."""
    from ladnn.presentation import print_assessment
    from ladnn.serving.assessment import assess
    from ladnn.serving.predictor import load_champion

    store = open_platform().store
    with progress_bar("evaluate: images") as bar:
        assessment = assess(store, load_champion(store), images, labels, bar)
    for item in assessment.skipped:
        say(f"skipped: {item.image}: {item.reason}")
    if as_json:
        emit(assessment)
    else:
        print_assessment(assessment)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the promoted model over HTTP; a promotion is picked up while serving."""
    import uvicorn

    from ladnn.serving.web import create_app

    service = create_app(open_platform().store)
    say(f"POST images to http://{host}:{port}/predict, such as: curl -F images=@slice.png http://{host}:{port}/predict")
    uvicorn.run(service, host=host, port=port, log_level="warning")


@app.command()
def history(as_json: Json = False) -> None:
    """Show the promotion log and all retrains."""
    from ladnn.presentation import print_history
    from ladnn.registry.summary import history as read_history

    document = read_history(open_platform().store)
    if as_json:
        emit(document)
    else:
        print_history(document)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why the present model must go.")],
    by: Annotated[str, typer.Option(help="Who decides it.", envvar="USER")],
    as_json: Json = False,
) -> None:
    """Make the model that was champion before the present one champion again."""
    from ladnn.registry.challenger import roll_back
    from ladnn.registry.tracking import Tracking

    platform = open_platform()
    settings = platform.settings
    with only_one_retrain(settings), results_only_on_stdout():
        record = roll_back(
            platform.store, Tracking(settings.tracking_uri, settings.artifact_root), by=by, reason=reason
        )
    if as_json:
        emit(record)
    else:
        typer.echo(f"champion is model version {record.model_version} again (record {record.number})")


def _contribute(store: Any, study: Any, files: dict[str, bytes], counts: dict[str, int]) -> None:
    from ladnn.intake.contribution import contribute

    _, new = contribute(store, study, files)
    counts["new" if new else "known"] += 1
    counts["images"] += len(files)


def _report_contributions(counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        emit(counts)
    else:
        typer.echo(
            f"{counts['new']} new contributions in the inbox, {counts['known']} were there; {counts['images']} images in all"
        )


def _print_predictions(results: Sequence[dict[str, Any]]) -> None:
    for item in results:
        lesions = ", ".join(f"{code} {value:.2f}" for code, value in item["lesions"].items())
        typer.echo(
            f"{item['image']}: {item['decision']}, probability {item['probability']:.3f}; {lesions} (model {item['model_version']})"
        )


def _fail(message: str) -> None:
    say(f"ladnn: error: {' '.join(message.split())}")
    sys.exit(1)
