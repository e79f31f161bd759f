"""Figures: PNG of a sensible size, the same bytes for the same data, drawn where cases are few, refused where there are none.

What they show was looked at; here it is checked that no class, run or case is too odd to be drawn.
"""

import io
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from scored_parts import part

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.figures.calibration_curve import calibration_curve
from ladnn.evaluation.figures.curves import Run, precision_recall_curves, roc_curves
from ladnn.evaluation.figures.lesion_pairs import lesion_pairs
from ladnn.evaluation.figures.training_curves import training_curves
from ladnn.statistics import Interval
from ladnn.training.result import EpochRecord

MEASURED = Interval(value=0.9, low=0.8, high=0.95, n=60)
CURVES = (roc_curves, precision_recall_curves)


def run(labels, probabilities, name="vgg16-ladnn", is_control=False):
    patients = [f"p{i // 2}" for i in range(len(labels))]
    return Run(name, "vgg16", is_control, known_cases(labels, probabilities, patients), MEASURED, MEASURED)


def scored(n=60):
    rows, probabilities = part(n)
    return rows["covid"].to_numpy(), probabilities


def epochs(n=3, lesions=0.5, auroc=0.8):
    known = {"train_lesions_loss": lesions, "validation_lesions_loss": lesions, "validation_auroc": auroc}
    names = [field.name for field in fields(EpochRecord)]
    return [EpochRecord(**(dict.fromkeys(names, 0.6) | known | {"epoch": number})) for number in range(1, n + 1)]


def size_of(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


def of_every_kind():
    labels, probabilities = scored()
    cases = run(labels, probabilities[:, 0]).cases
    yield roc_curves([run(labels, probabilities[:, 0])], "t")
    yield precision_recall_curves([run(labels, probabilities[:, 0])], "t")
    yield calibration_curve(cases, cases, 0.95, "t")
    yield lesion_pairs(labels, probabilities[:, 1:], "t")
    yield training_curves({"vgg16-ladnn": epochs()}, "t")


def test_each_figure_is_a_png_and_the_same_bytes_again():
    first, again = list(of_every_kind()), list(of_every_kind())

    assert first == again
    assert all(min(size_of(data)) > 800 for data in first)


@pytest.mark.parametrize("draw", CURVES)
def test_a_figure_grows_with_its_runs(draw):
    labels, probabilities = scored()
    runs = [run(labels, probabilities[:, 0], f"run {number}", number % 2 == 0) for number in range(14)]

    width, height = size_of(draw(runs, "t"))

    assert (width, height) > size_of(draw(runs[:1], "t"))


@pytest.mark.parametrize("draw", CURVES)
def test_a_run_of_one_class_is_left_out_and_alone_it_is_refused(draw):
    labels, probabilities = scored()
    whole, one_sided = run(labels, probabilities[:, 0]), run(np.ones(60), probabilities[:, 0], "one-sided")

    assert draw([whole, one_sided], "t") != b""
    with pytest.raises(DatasetError, match="no run"):
        draw([one_sided], "t")


def test_a_pair_of_images_is_enough_for_every_curve():
    labels, probabilities = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    pair = run(labels, probabilities)

    for data in (
        roc_curves([pair], "t"),
        precision_recall_curves([pair], "t"),
        calibration_curve(pair.cases, pair.cases, 0.95, "t"),
        lesion_pairs(labels, np.full((2, 5), 0.5), "t"),
    ):
        size_of(data)


def test_without_a_known_diagnosis_nothing_is_drawn():
    unknown = np.full(4, np.nan)
    cases = run(unknown, np.full(4, 0.5)).cases

    with pytest.raises(DatasetError, match="no image"):
        calibration_curve(cases, cases, 0.95, "t")
    with pytest.raises(DatasetError, match="no image"):
        lesion_pairs(unknown, np.full((4, 5), 0.5), "t")


def test_a_baseline_has_no_lesions_to_pair():
    with pytest.raises(DatasetError, match="lesion head"):
        lesion_pairs(np.array([0.0, 1.0]), np.full((2, 1), 0.5), "t")


def test_one_diagnosis_alone_can_be_paired():
    size_of(lesion_pairs(np.ones(5), np.full((5, 5), 0.5), "t"))


def test_training_curves_of_variants_with_and_without_lesions_and_of_one_epoch():
    size_of(training_curves({"a-ladnn": epochs(), "a-baseline": epochs(lesions=None)}, "t"))
    size_of(training_curves({"a-baseline": epochs(1, lesions=None, auroc=None)}, "t"))
    with pytest.raises(DatasetError, match="no variant"):
        training_curves({}, "t")
