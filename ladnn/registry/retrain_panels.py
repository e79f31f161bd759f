"""Where the models of a retrain look, drawn on slices of its validation part; the trained graphs are run for it."""

from collections.abc import Iterator

import pandas as pd

from ladnn.config import Variant
from ladnn.dataset.pixels import read_pixels
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import DigestMismatchError, ObjectNotFoundError
from ladnn.evaluation.attention import AttentionSource, Pixels
from ladnn.evaluation.figures.attention_panel import PanelRow, attention_panel, panel_title
from ladnn.labels import DIAGNOSIS
from ladnn.progress import say
from ladnn.retrain import Plan
from ladnn.store import ObjectStore
from ladnn.training.result import read_trained

_SLICES_A_CLASS = 3
"""Of as many patients, in the order of their images' digests: by chance, and the same in every retrain of the data."""


def draw_panels(store: ObjectStore, plan: Plan) -> dict[str, bytes]:
    """Return a PNG for each backbone by name: its baseline beside its LA-DNN, as in figure 5 of the paper.

    Of several seeds the first one trained is drawn; a backbone without a trained variant is left out. So is, with a
    note, a slice whose image is lost or damaged: a picture is no reason to stop a retrain.

    Raises:
        DigestMismatchError: a file that training left behind has changed.
    """
    slices = list(_slices(store, rows_of(load_manifest(store, plan.dataset_version), "validation")))
    backbones = dict.fromkeys(variant.backbone for variant in plan.config.variants)
    drawn = {}
    for backbone in backbones if slices else ():
        sources = dict(_sources(store, plan, backbone))
        if sources:
            title = panel_title(sources.values(), DIAGNOSIS, f"{backbone} on validation")
            panel = [_row(name, pixels, sources) for name, pixels in slices]
            drawn[f"validation_{backbone}_attention.png"] = attention_panel(panel, title)
    return drawn


def _slices(store: ObjectStore, rows: pd.DataFrame) -> Iterator[tuple[str, Pixels]]:
    """Give slices with and without the disease by name, each of another patient."""
    each = rows[rows[DIAGNOSIS].notna()].sort_values("image").drop_duplicates(["group", DIAGNOSIS])
    few = each.groupby(DIAGNOSIS).head(_SLICES_A_CLASS).sort_values([DIAGNOSIS, "image"], ascending=[False, True])
    for image, covid in zip(few["image"], few[DIAGNOSIS], strict=True):
        try:
            pixels = read_pixels(store, image)
        except (ObjectNotFoundError, DigestMismatchError) as error:
            say(f"  a slice is left out of the attention panels: {error}")
        else:
            yield f"{'COVID-19' if covid else 'no COVID-19'}\n{image[:8]}", pixels


def _sources(store: ObjectStore, plan: Plan, backbone: str) -> Iterator[tuple[str, AttentionSource]]:
    """Give the baseline, if there is one, then the LA-DNN."""
    of_backbone = [variant for variant in plan.config.variants if variant.backbone == backbone]
    for task in ("baseline", "ladnn"):
        source = _first_trained(store, plan, [variant for variant in of_backbone if variant.task == task])
        if source is not None:
            yield source


def _first_trained(store: ObjectStore, plan: Plan, variants: list[Variant]) -> tuple[str, AttentionSource] | None:
    for variant in variants:
        trained = read_trained(store, plan.retrain_id, variant.name)
        if trained is not None:
            return variant.name, AttentionSource.of_trained(store, trained)
    return None


def _row(name: str, pixels: Pixels, sources: dict[str, AttentionSource]) -> PanelRow:
    maps = {model: source.on_picture(pixels, [DIAGNOSIS])[0] for model, source in sources.items()}
    return PanelRow(name=name, pixels=pixels, maps=maps)
