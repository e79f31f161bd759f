"""What each step of the canonical form takes from the shortcuts of COVID-CT, and from the model; a Markdown table.

    python tests/benchmarks/shortcut_steps.py DIR [--epochs 4]

DIR holds `metadata.csv` and `images/`. Without `--epochs` nothing is trained: the diagnosis is read from ImageNet
features of efficientnet_lite0 by logistic regression. With it, the network is trained on the published training part
(weights and settings of infra/configs/weekly.toml) before the first step and after the last one.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ladnn.config import Variant
from ladnn.config_file import load_config
from ladnn.dataset.canonical_form import CanonicalForm, locate, standardise_grey, stretch
from ladnn.dataset.lung_field import WORK_PX, content_box
from ladnn.dataset.pipeline import LabelledPixels, evaluation_batches
from ladnn.dataset.shortcuts.prediction import held_out_auroc
from ladnn.dataset.shortcuts.probes import describe, framed_file
from ladnn.intake.covid_ct import read_labelled_images
from ladnn.intake.decode import decode
from ladnn.labels import DIAGNOSIS, LABELS
from ladnn.model.backbones import backbone
from ladnn.model.network import build_network
from ladnn.model.weights import WeightsSource
from ladnn.statistics import Bootstrap, Interval, auroc_interval
from ladnn.training.fit import fit

SIZE_PX, SEED = 224, 2020
SAMPLING = Bootstrap(n_replicates=1000, confidence=0.95, seed=SEED)
FORM = CanonicalForm()
BACKBONE = "efficientnet_lite0"
NEGATIVE_SOURCES = ("crawled", "medpix")


@dataclass(frozen=True)
class Collection:
    """COVID-CT in memory."""

    table: pd.DataFrame
    pixels: list[np.ndarray]

    @property
    def positive(self) -> np.ndarray:
        return (self.table[DIAGNOSIS] == 1).to_numpy()

    @property
    def patients(self) -> list[str]:
        return list(self.table["patient_id"])

    @property
    def in_training(self) -> np.ndarray:
        return (self.table["authors_split"] == "train").to_numpy()

    @property
    def sources(self) -> np.ndarray:
        return self.table["source"].str.split(":").str[0].to_numpy()


def whole(pixels: np.ndarray) -> np.ndarray:
    return stretch(pixels, SIZE_PX, "bicubic")


def without_margins(pixels: np.ndarray) -> np.ndarray:
    left, top, right, bottom = content_box(stretch(pixels, WORK_PX, "bilinear"))
    x, y = pixels.shape[1] / WORK_PX, pixels.shape[0] / WORK_PX
    return stretch(pixels, SIZE_PX, "bicubic", (left * x, top * y, right * x, bottom * y))


def in_lung_field(pixels: np.ndarray) -> np.ndarray:
    return stretch(pixels, SIZE_PX, "bicubic", locate(pixels, FORM.margin_px).box)


def in_standard_grey(pixels: np.ndarray) -> np.ndarray:
    view = locate(pixels, FORM.margin_px)
    return standardise_grey(in_lung_field(pixels), view, FORM.air_grey, FORM.tissue_grey)


def at_common_detail(pixels: np.ndarray) -> np.ndarray:
    view = locate(pixels, FORM.margin_px)
    detailed = stretch(pixels, FORM.detail_px, "bicubic", view.box)
    return stretch(standardise_grey(detailed, view, FORM.air_grey, FORM.tissue_grey), SIZE_PX, "bicubic")


def canonical(pixels: np.ndarray) -> np.ndarray:
    return FORM.apply(pixels, SIZE_PX, "bicubic")


STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "decoded only": whole,
    "+ margins cut": without_margins,
    "+ lung field cut out": in_lung_field,
    "+ grey standardised": in_standard_grey,
    "+ low-pass": at_common_detail,
    "+ outside of the field masked": canonical,
}


def read(folder: Path) -> Collection:
    table = read_labelled_images(folder / "metadata.csv")
    return Collection(table, [decode((folder / "images" / name).read_bytes()).pixels for name in table["image"]])


def shown(interval: Interval) -> str:
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def features_of(pictures: np.ndarray) -> np.ndarray:
    entry = backbone(BACKBONE)
    network = entry.build(SEED, WeightsSource().read(entry.weights)).features.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(pictures), 32):
            images = (torch.from_numpy(pictures[start : start + 32]).float() - 127) / 128
            found.append(network(images[:, None].expand(-1, 3, -1, -1)).mean((2, 3)))
    return torch.cat(found).numpy()


def reader() -> Pipeline:
    return make_pipeline(StandardScaler(), PCA(100, random_state=SEED), LogisticRegression(C=0.01, max_iter=3000))


def trees() -> ExtraTreesClassifier:
    return ExtraTreesClassifier(100, min_samples_leaf=2, random_state=SEED)


Reader = Callable[[], Pipeline | ExtraTreesClassifier]


def read_by_others(features: np.ndarray, asked: np.ndarray, patients: np.ndarray, make: Reader = reader) -> np.ndarray:
    """Score each image by a reader of other patients' images."""
    scores = np.empty(len(asked))
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=SEED).split(features, asked, patients):
        scores[test] = make().fit(features[train], asked[train]).predict_proba(features[test])[:, 1]
    return scores


def unseen_source(data: Collection, features: np.ndarray, source: str, make: Reader = reader) -> Interval:
    """Tell positives from the negatives of a source that no reader has seen."""
    strange, patients = data.sources == source, np.array(data.patients)
    scores = np.empty(len(strange))
    scores[~strange] = read_by_others(features[~strange], data.positive[~strange], patients[~strange], make)
    scores[strange] = make().fit(features[~strange], data.positive[~strange]).predict_proba(features[strange])[:, 1]
    asked = strange | data.positive
    return auroc_interval(data.positive[asked], scores[asked], list(patients[asked]), SAMPLING)


def validation_auroc(data: Collection, pictures: np.ndarray, epochs: int) -> Interval:
    training = load_config(Path(__file__).parents[2] / "infra/configs/weekly.toml").training
    training = training.model_copy(update={"epochs": epochs, "size_px": SIZE_PX})
    labels, train = data.table[list(LABELS)].to_numpy(np.float32), data.in_training
    parts = [LabelledPixels(pictures[part], labels[part]) for part in (train, ~train)]
    network = build_network(Variant(backbone=BACKBONE, task="ladnn"), training, SEED, WeightsSource())
    fit(network, *parts, training, SEED)
    with torch.no_grad():
        logits = torch.cat([network(b.pixels)[:, 0] for b in evaluation_batches(parts[1], 32, torch.device("cpu"))])
    patients = [name for name, trained_on in zip(data.patients, train, strict=True) if not trained_on]
    return auroc_interval(data.positive[~train], logits.numpy(), patients, SAMPLING)


def row(data: Collection, pictures: np.ndarray) -> Iterator[str]:
    """Yield what the shortcut probes find, and then what a reader of ImageNet features finds."""
    yield shown(held_out_auroc(framed_file(pictures), data.positive, data.patients, 5, SAMPLING))
    for probe in ("borders", "intensity", "outside_lungs"):
        described = describe(pictures, probe)
        yield shown(held_out_auroc(described, data.positive, data.patients, 5, SAMPLING))
    for source in NEGATIVE_SOURCES:
        yield shown(unseen_source(data, described, source, trees))
    features, patients = features_of(pictures), np.array(data.patients)
    negative = ~data.positive
    crawled = data.sources[negative] == "crawled"
    scores = read_by_others(features[negative], crawled, patients[negative])
    yield shown(auroc_interval(crawled, scores, list(patients[negative]), SAMPLING))
    scores = read_by_others(features, data.positive, patients)
    yield shown(auroc_interval(data.positive, scores, data.patients, SAMPLING))
    for source in NEGATIVE_SOURCES:
        yield shown(unseen_source(data, features, source))


COLUMNS = (
    "step",
    "compressed size",
    "borders",
    "intensity",
    "outside lungs",
    "outside lungs, crawled unseen",
    "outside lungs, medpix unseen",
    "which source (negatives)",
    "diagnosis",
    "diagnosis, crawled unseen",
    "diagnosis, medpix unseen",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=0)
    asked = parser.parse_args()
    data = read(asked.folder)
    if asked.epochs:
        for name in ("decoded only", list(STEPS)[-1]):
            pictures = np.stack([STEPS[name](pixels) for pixels in data.pixels])
            print(f"{name}: validation AUROC {shown(validation_auroc(data, pictures, asked.epochs))}", flush=True)
        return
    print("|", " | ".join(COLUMNS), "|")
    print("|" + "---|" * len(COLUMNS))
    for name, step in STEPS.items():
        pictures = np.stack([step(pixels) for pixels in data.pixels])
        print("|", " | ".join((name, *row(data, pictures))), "|", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
