"""Figures: PNG of a sensible size, the same bytes for the same data, drawn where cases are few, refused where there are none.

What they show was looked at; here it is checked that no class, run or case is too odd to be drawn.
"""

import io
import re
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from scored_parts import part

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.figures import calibration_curve as calibration
from ladnn.evaluation.figures import curves
from ladnn.evaluation.figures import lesion_pairs as lesions
from ladnn.evaluation.figures import training_curves as training
from ladnn.evaluation.figures.calibration_curve import calibration_curve
from ladnn.evaluation.figures.curves import Run, precision_recall_curves, roc_curves
from ladnn.evaluation.figures.lesion_pairs import lesion_pairs
from ladnn.evaluation.figures.training_curves import Training, training_curves
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


def pairs(labels, probabilities, min_patients=2):
    patients = [f"p{i // 2}" for i in range(len(labels))]
    return lesion_pairs(labels, probabilities, patients, "t", confidence=0.95, min_patients=min_patients)


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
    yield pairs(labels, probabilities[:, 1:])
    yield training_curves([Training("vgg16", "ladnn", epochs())], "t")


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
        pairs(labels, np.full((2, 5), 0.5)),
    ):
        size_of(data)


def test_without_a_known_diagnosis_nothing_is_drawn():
    unknown = np.full(4, np.nan)
    cases = run(unknown, np.full(4, 0.5)).cases

    with pytest.raises(DatasetError, match="no image"):
        calibration_curve(cases, cases, 0.95, "t")
    with pytest.raises(DatasetError, match="no image"):
        pairs(unknown, np.full((4, 5), 0.5))


def test_a_baseline_has_no_lesions_to_pair():
    with pytest.raises(DatasetError, match="lesion head"):
        pairs(np.array([0.0, 1.0]), np.full((2, 1), 0.5))


def test_one_diagnosis_alone_can_be_paired():
    size_of(pairs(np.ones(5), np.full((5, 5), 0.5)))


def test_training_curves_of_variants_with_and_without_lesions_and_of_one_epoch():
    with_lesions, without = Training("a", "ladnn", epochs()), Training("a", "baseline", epochs(lesions=None))
    size_of(training_curves([with_lesions, without], "t"))
    size_of(training_curves([Training("a", "baseline", epochs(1, lesions=None, auroc=None))], "t"))
    for nothing in ([], [Training("a", "baseline", [])]):
        with pytest.raises(DatasetError, match="no variant"):
            training_curves(nothing, "t")


def grid_of_runs(n_backbones=10, n_seeds=3):
    """Runs of each backbone, task and seed; seeds of the n-th backbone have AUROC 0.6, 0.7, 0.8."""
    labels, probabilities = scored()
    cases = run(labels, probabilities[:, 0]).cases
    for backbone in range(n_backbones):
        for task in ("ladnn", "baseline"):
            for seed in range(n_seeds):
                area = Interval(value=0.6 + seed / 10, low=0.1, high=0.9, n=60)
                yield Run(f"b{backbone}-{task}", f"b{backbone}", task == "baseline", cases, area, area)


@pytest.mark.parametrize("draw", CURVES)
def test_seeds_share_one_row_of_the_legend_and_no_two_rows_look_alike(draw, monkeypatch):
    monkeypatch.setattr(curves, "png", lambda figure: figure)

    figure = draw(list(grid_of_runs()), "t")

    lines = [line for line in figure.axes[0].lines if line.get_linestyle() != ":"]
    (legend,) = figure.legends
    rows = [text.get_text() for text in legend.get_texts() if text.get_text().startswith("b")]
    assert len(lines) == 60
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(rows) == 20
    assert all(" 0.700 ± 0.100 (3 seeds), n = 60 (" in text for text in rows)


def test_one_seed_has_its_interval_in_the_legend(monkeypatch):
    monkeypatch.setattr(curves, "png", lambda figure: figure)

    figure = roc_curves(list(grid_of_runs(1, 1)), "t")

    (legend,) = figure.legends
    assert [text.get_text()[:38] for text in legend.get_texts()][1] == "b0-ladnn: AUROC 0.600 [0.100, 0.900], "


def test_each_backbone_has_training_panels_of_its_own_and_each_task_a_colour(monkeypatch):
    monkeypatch.setattr(training, "png", lambda figure: figure)
    names = [(f"b{number}", task) for number in range(10) for task in ("ladnn", "baseline") for _ in range(2)]

    figure = training_curves([Training(backbone, task, epochs()) for backbone, task in names], "t")

    by_backbone = {axes.get_title("left").split(":")[0]: axes for axes in figure.axes}
    assert len(by_backbone) == 10
    assert len(figure.axes) == 40
    for axes in by_backbone.values():
        assert len({line.get_color() for line in axes.lines}) == 2


def test_pairs_state_an_auroc_with_its_interval_from_enough_patients_on(monkeypatch):
    monkeypatch.setattr(lesions, "png", lambda figure: figure)
    labels, probabilities = scored()

    few, enough = (pairs(labels, probabilities[:, 1:], least) for least in (1000, 5))

    assert "not enough cases" in few.axes[0].get_title()
    assert re.search(r"AUROC 0\.\d+ \[0\.\d+, [01]\.\d+\]", enough.axes[0].get_title())


def test_what_is_not_calibrated_says_so_and_why(monkeypatch):
    monkeypatch.setattr(calibration, "png", lambda figure: figure)
    labels, probabilities = scored()
    cases = run(labels, probabilities[:, 0]).cases

    figure = calibration_curve(cases, cases, 0.95, "t", "2 patients with it and 3 without")

    (legend,) = figure.legends
    said = "\n".join(text.get_text() for text in legend.get_texts())
    assert "not calibrated: 2 patients with it and 3 without" in said
    assert "after calibration" not in said
