"""Commands for where models look: `ladnn attention pointing|panel`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.files import make_folder, write_asked
from ladnn.cli.options import Json
from ladnn.errors import DatasetError, ImageRejectedError
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ladnn.evaluation.attention import AttentionSource
    from ladnn.evaluation.figures.attention_panel import PanelRow
    from ladnn.evaluation.outlined import OutlinedSlice
    from ladnn.evaluation.pointing import Pointing, PointingDifference

app = typer.Typer(no_args_is_help=True, help="Where models look: Grad-CAM++ maps, measured and drawn.")
_MODELS = "champion, a bundle (b-…), a retrain (r-…, or last: all its variants), or r-…/variant"
Fineness = Annotated[
    int, typer.Option(min=1, max=8, help="Points a cell's side at which maps are computed; 1 is the plain map.")
]
PHANTOM_SEED = 9000
"""Of the phantoms that are shown; `ladnn phantoms` begins at 1, so that training has not seen them."""


@app.command()
def pointing(
    models: Annotated[list[str] | None, typer.Argument(help=f"Models: {_MODELS}.", show_default="champion")] = None,
    patients: Annotated[int, typer.Option(min=2, help="Phantom patients with COVID-19 that are generated.")] = 60,
    slices: Annotated[int, typer.Option(min=1, help="Slices a patient.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the phantoms; another than that of the training data.")] = (
        PHANTOM_SEED
    ),
    tolerance_px: Annotated[
        float, typer.Option(min=0, help="How far outside a lesion a peak is near it; 15 in Zhang et al. 2016.")
    ] = 15,
    fineness: Fineness = 4,
    as_json: Json = False,
) -> None:
    """Measure on fresh phantoms how often maps peak in lesions, and how much of them lies there."""
    from ladnn.evaluation.outlined import outlined_phantoms
    from ladnn.evaluation.pointing import diagnosis_differences, look, summarise_pointing
    from ladnn.registry.attention_sources import attention_sources
    from ladnn.registry.named_models import CHAMPION
    from ladnn.statistics import Bootstrap

    platform = open_platform()
    sources = attention_sources(platform.store, models or [CHAMPION], platform.settings.trusted_keys())
    shown = list(outlined_phantoms(seed, patients, slices))
    sampling = Bootstrap(n_replicates=1000, confidence=0.95, seed=seed)
    looks = {}
    for name, source in sources.items():
        with progress_bar(f"{name}: slices") as bar:
            looks[name] = look(source, shown, tolerance_px, fineness, bar)
    measured = {name: summarise_pointing(seen, sampling, tolerance_px) for name, seen in looks.items()}
    differences = diagnosis_differences(looks, sampling)
    if as_json:
        emit({"n_slices": len(shown), "models": measured, "diagnosis_differences": differences})
    else:
        _print_pointing(len(shown), measured, differences)


@app.command()
def panel(
    out: Annotated[Path, typer.Option(help="PNG file to write.")],
    images: Annotated[list[Path] | None, typer.Argument(help="PNG, JPEG or DICOM files of one picture each.")] = None,
    phantoms: Annotated[int, typer.Option(min=0, help="Draw so many fresh phantoms, with their lesions boxed.")] = 0,
    model: Annotated[str, typer.Option(help=f"Model: {_MODELS}.")] = "champion",
    against: Annotated[str | None, typer.Option(help="A second model, such as a baseline; drawn first.")] = None,
    label: Annotated[str, typer.Option(help="Whose map is drawn: covid or a lesion code.")] = "covid",
    fineness: Fineness = 4,
) -> None:
    """Draw slices with the maps and overlays of one model, or of two side by side (paper, figure 5).

    Maps are sampled between their cells and smoothed; `--fineness 1` draws the plain ones. Where heads see statistics of
    the maps (`training.pooling = "statistics"`, the weekly recipe), what is above zero and what is below it are taken
    apart before Grad-CAM++. The figure says in what a plain Grad-CAM++ differs. Models without a head for the label,
    such as baselines for a lesion, are left out with a note.
    """
    from ladnn.evaluation.figures.attention_panel import attention_panel, panel_title
    from ladnn.registry.attention_sources import attention_sources

    platform, names = open_platform(), [against, model] if against else [model]
    sources = _with_head(attention_sources(platform.store, names, platform.settings.trusted_keys()), label)
    shown = _slices(images or [], phantoms)
    make_folder(out.parent)
    with progress_bar("panel: slices") as bar:
        rows = []
        for done, (name, piece) in enumerate(shown, start=1):
            rows.append(_row(name, piece, sources, label, fineness))
            bar(done, len(shown))
    write_asked(out, attention_panel(rows, panel_title(sources.values(), label, fineness=fineness)))


def _with_head(sources: "dict[str, AttentionSource]", label: str) -> "dict[str, AttentionSource]":
    """Leave out models without a head for the label; where none has it, all stay, and the first tells what it has."""
    found = {name: source for name, source in sources.items() if label in source.labels}
    if not found:
        return sources
    for name in sources.keys() - found.keys():
        say(f"{name} has no head for {label} and is left out")
    return found


def _slices(images: list[Path], n_phantoms: int) -> "list[tuple[str, OutlinedSlice]]":
    from ladnn.evaluation.outlined import OutlinedSlice, outlined_phantoms

    files = [(path.name, OutlinedSlice(_pixels(path), {}, path.name)) for path in images]
    phantoms = outlined_phantoms(PHANTOM_SEED, n_phantoms, 1)
    return files + [(f"phantom {number}", piece) for number, piece in enumerate(phantoms, start=1)]


def _pixels(path: Path) -> "NDArray[np.uint8]":
    from ladnn.intake.decode import decode

    try:
        return decode(path.read_bytes()).pixels
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; name a PNG, JPEG or DICOM file") from error
    except ImageRejectedError as error:
        raise DatasetError(f"{path}: {error}") from error


def _row(
    name: str, piece: "OutlinedSlice", sources: "dict[str, AttentionSource]", label: str, fineness: int
) -> "PanelRow":
    from ladnn.evaluation.figures.attention_panel import PanelRow

    maps = {model: source.on_picture(piece.pixels, [label], fineness)[0] for model, source in sources.items()}
    return PanelRow(name=name, pixels=piece.pixels, maps=maps, masks=piece.masks)


def _print_pointing(
    n_slices: int, measured: "dict[str, Pointing]", differences: "dict[str, PointingDifference]"
) -> None:
    from ladnn.presentation import open_console, table

    console = open_console()
    rows = [
        (
            model,
            label,
            str(item.pointing.n),
            *(str(part) for part in (item.pointing, item.in_any, item.near, item.energy)),
            f"{item.chance.value:.3f} / {item.chance_any.value:.3f} / {item.chance_near.value:.3f}",
        )
        for model, result in measured.items()
        for label, item in result.labels.items()
    ]
    within = f"within {next(iter(measured.values())).tolerance_px:g} px"
    measures = ("in its lesion", "in any lesion", within, "energy inside", "chance")
    console.print(table(("model", "map of", "maps", *measures), rows, f"{n_slices} phantom slices"))
    console.print(
        "share of maps that peak in the lesion that the head is named for (the diagnosis: in any), in any lesion, and"
    )
    console.print(f"{within} of the first; share of the map's energy inside of it; all with intervals over patients")
    console.print(
        f"chance: the share of the picture in its lesion / in any / {within} of it, which blind pointing hits"
    )
    for pair, difference in differences.items():
        console.print(
            f"diagnosis maps, {pair}: peak in lesion {difference.pointing}, {within} {difference.near}, "
            f"energy {difference.energy}",
            markup=False,
        )
