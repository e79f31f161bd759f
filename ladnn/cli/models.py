"""Commands for models: predict, evaluate, serve."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ladnn.cli.options import Json
from ladnn.errors import ImageRejectedError
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit


def predict(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or DICOM files of one picture each.")],
    as_json: Json = False,
) -> None:
    """Score images with the promoted model."""
    from ladnn.serving.predictor import load_champion

    platform = open_platform()
    predictor = load_champion(platform.store, platform.settings.trusted_keys())
    results: list[dict[str, Any]] = []
    for image in images:
        try:
            (prediction,) = predictor.predict([image.read_bytes()])
            results.append({"image": str(image)} | prediction.model_dump())
        except ImageRejectedError as error:
            say(f"ladnn: {image}: {error.reason}: {error}")
        except OSError as error:
            say(f"ladnn: {image}: {error.strerror}; name a PNG, JPEG or DICOM file")
    if as_json:
        emit(results)
    else:
        _print_predictions(results)
    if len(results) < len(images):
        raise typer.Exit(1)


def evaluate(
    images: Annotated[Path, typer.Option(help="Folder of the image files.")],
    labels: Annotated[Path, typer.Option(help="CSV: image, patient_id, covid, lesion columns if known.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Model in place of the champion, may be repeated: champion, a bundle (b-…), a retrain (r-…, or last: all "
            "its variants, with the paired difference of ladnn and baseline), or r-…/variant.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score the promoted model, or any that was trained, on labelled images that it never saw."""
    from ladnn.presentation import print_assessments
    from ladnn.registry.named_models import CHAMPION, named_models
    from ladnn.serving.assessment import assess

    platform = open_platform()
    store, trusted = platform.store, platform.settings.trusted_keys()
    with progress_bar("evaluate: images and models") as bar:
        assessed = assess(store, named_models(store, model or [CHAMPION], trusted), images, labels, bar)
    for item in assessed.models[0].skipped:
        say(f"skipped: {item.image}: {item.reason}")
    if as_json:
        emit(assessed if model else assessed.models[0])
    else:
        print_assessments(assessed)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    log: Annotated[
        bool, typer.Option(help="Keep what the service sees for `ladnn drift`: no pixels, names or identifiers.")
    ] = True,
) -> None:
    """Serve the promoted model over HTTP; a promotion is picked up while serving."""
    from ladnn.serving.web import run

    platform = open_platform()
    run(platform.store, platform.settings.trusted_keys(), host, port, keep_log=log)


def _print_predictions(results: Sequence[dict[str, Any]]) -> None:
    for item in results:
        lesions = ", ".join(f"{code} {value:.2f}" for code, value in item["lesions"].items())
        typer.echo(
            f"{item['image']}: {item['decision']}, probability {item['probability']:.3f}; {lesions} (model {item['model_version']})"
        )
