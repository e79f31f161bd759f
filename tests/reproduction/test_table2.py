"""Table 2: the paper's numbers, and ours measured on models whose scores are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score
from trained_platform import TrainedPlatform
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.config import ExperimentConfig
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import BudgetSpentError, ConfigError, DatasetError, RetrainError, SettingsError, WeightsError
from ladnn.evaluation.calibration import Calibration, Temperature
from ladnn.evaluation.scored import Scored, keep_scored
from ladnn.governance.ledger import count_openings, openings, record_opening, use_of
from ladnn.labels import DIAGNOSIS
from ladnn.model.weights import WeightsSource
from ladnn.platform import Platform
from ladnn.reproduction.cells import TASKS, Cell, check_backbones, plan_cells
from ladnn.reproduction.paper import BACKBONES, CUTS, METRICS, published
from ladnn.reproduction.running import score_cells, scores, train_cells
from ladnn.reproduction.table2 import tabulate
from ladnn.retrain import retrain_ids
from ladnn.statistics import Bootstrap

SAMPLING = Bootstrap(n_replicates=200, confidence=0.95, seed=1)
COLD = Temperature(value=0.5, n_known=9, n_present=4, unfitted=None)


@pytest.fixture
def recipe(platform: TrainedPlatform) -> ExperimentConfig:
    return platform.plan.config


def test_the_paper_has_a_number_for_each_of_its_backbones_and_cuts() -> None:
    assert published("auroc", "efficientnet_b0", "D0") == (87.7, 90.0)
    assert published("sensitivity", "vgg16", "D0+D1") == (85.3, 88.8)
    assert published("accuracy", "efficientnet_b1", "D0+D1") == (82.1, 89.0)
    assert published("f1", "efficientnet_lite0", "D0") is None
    pairs = [published(metric, backbone, cut) for metric in METRICS for backbone in BACKBONES for cut in CUTS]
    # The paper's finding: with lesions it is never worse.
    assert all(pair is not None and pair[1] >= pair[0] for pair in pairs)
    assert len(pairs) == 56


def test_a_cell_is_found_again_whatever_else_is_asked(platform: TrainedPlatform, recipe: ExperimentConfig) -> None:
    before = retrain_ids(platform.store)
    (first,) = plan_cells(platform.store, recipe, ["efficientnet_lite0"], ["D0"], 1)
    more = plan_cells(platform.store, recipe, ["resnet18", "efficientnet_lite0"], ["D0", "D0+D1"], 2)
    assert first in more
    assert len({cell.plan.retrain_id for cell in more}) == len(more) == 8
    assert len({cell.recipe_id for cell in more}) == 2  # one a cut
    assert retrain_ids(platform.store) == before
    with pytest.raises(ConfigError, match="no cut 'D7'"):
        plan_cells(platform.store, recipe, ["resnet18"], ["D7"], 1)


def test_a_test_part_whose_budget_is_spent_stays_shut_and_nothing_is_trained_for_it(
    platform: TrainedPlatform, recipe: ExperimentConfig
) -> None:
    cells = plan_cells(platform.store, recipe, ["efficientnet_lite0"], ["D0"], 1)
    test_version, budget = cells[0].version.test_version, recipe.gates.max_test_openings
    for number in range(budget):
        record_opening(platform.store, test_version, f"r-{number}", ("b-1",), budget)
    for act in (
        lambda: train_cells(Platform(platform.settings, platform.store), cells),
        lambda: score_cells(platform.store, cells, platform.home),
    ):
        with pytest.raises(BudgetSpentError, match="ladnn test-set accept"):
            act()
    assert count_openings(platform.store, test_version) == budget
    assert not [key for key in platform.store.list("reproductions/") if "/variants/" in key]


def test_backbones_without_weights_are_named_before_anything_is_trained(
    recipe: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # no network, whatever the machine has
    check_backbones(["efficientnet_lite0"], recipe, WeightsSource())
    with pytest.raises(WeightsError, match=r"2 of 3 backbones cannot be trained: resnet18: .*; vgg16: "):
        check_backbones(["resnet18", "efficientnet_lite0", "vgg16"], recipe, WeightsSource())
    random = recipe.model_copy(update={"training": recipe.training.model_copy(update={"weights": "random"})})
    check_backbones(["resnet18", "vgg16"], random, WeightsSource())
    with pytest.raises(ConfigError, match="alexnet"):
        check_backbones(["alexnet"], random, WeightsSource())


def test_a_folder_for_results_that_cannot_be_made_is_told_before_anything_is_trained(
    trained_platform: TrainedPlatform, tmp_path: Path
) -> None:
    (taken := tmp_path / "taken").touch()
    of_phantoms = ("--backbones", "efficientnet_lite0", "--cuts", "D0", "--set", "data.synthetic=true")
    finished = CliRunner().invoke(
        app, ["reproduce", "table2", *of_phantoms, "--out", str(taken)], env={"LADNN_HOME": str(trained_platform.home)}
    )
    assert isinstance(finished.exception, SettingsError)
    assert str(taken) in str(finished.exception)
    assert not list(trained_platform.store.list("reproductions/"))


def test_numbers_are_means_over_seeds_and_differences_are_paired(
    platform: TrainedPlatform, recipe: ExperimentConfig
) -> None:
    cells = plan_cells(platform.store, recipe, ["efficientnet_b0"], ["D0"], 2)
    rows = rows_of(load_manifest(platform.store, cells[0].version.id), "test")
    truth = rows[DIAGNOSIS].to_numpy()
    logits = np.random.default_rng(3).normal(size=(2, 2, len(rows), 1)) + truth[:, None]
    with pytest.raises(DatasetError, match="not scored"):
        tabulate(platform.store, cells, SAMPLING, 1)
    for cell, of_cell in zip(cells, logits, strict=True):
        for task, of_task in zip(TASKS, of_cell, strict=True):
            scored = Scored.of(rows, of_task, Calibration(temperatures={DIAGNOSIS: COLD}))
            keep_scored(platform.store, cell.plan.retrain_id, scores(cell, task), scored)

    table = tabulate(platform.store, cells, SAMPLING, 1)

    assert [row.metric for row in table.rows] == list(METRICS)
    assert (table.n_seeds, table.n_test_images) == (2, {"D0": len(rows)})
    called = logits[..., 0] >= 0
    reference = {
        "sensitivity": lambda seed, task: recall_score(truth, called[seed, task]),
        "f1": lambda seed, task: f1_score(truth, called[seed, task]),
        "accuracy": lambda seed, task: accuracy_score(truth, called[seed, task]),
        "auroc": lambda seed, task: roc_auc_score(truth, logits[seed, task, :, 0]),
    }
    for row in table.rows:
        values = np.array([[reference[row.metric](seed, task) for task in range(2)] for seed in range(2)])
        np.testing.assert_allclose((row.baseline.value, row.ladnn.value), values.mean(axis=0))
        np.testing.assert_allclose(row.difference_by_seed, values[:, 1] - values[:, 0])
        assert row.difference.value == pytest.approx(float((values[:, 1] - values[:, 0]).mean()))
        assert row.paper_baseline == published(row.metric, "efficientnet_b0", "D0")[0] / 100

    few = tabulate(platform.store, cells, SAMPLING, 1000)
    assert all(row.difference.value is None and "not enough cases" in row.difference.note for row in few.rows)
    assert [row.ladnn for row in few.rows] == [row.ladnn for row in table.rows]


def test_each_backbone_is_a_look_at_the_test_part_and_seeds_that_are_asked_for_later_are_another(
    platform: TrainedPlatform, recipe: ExperimentConfig
) -> None:
    backbones = ["resnet18", "efficientnet_lite0"]
    cells, more = (plan_cells(platform.store, recipe, backbones, ["D0"], n_seeds) for n_seeds in (2, 3))

    def opened(asked: Sequence[Cell]) -> list[tuple[str, ...]]:
        for _ in range(2):  # killed and run again, it counts once
            with pytest.raises(RetrainError, match="not trained"):
                score_cells(platform.store, asked, platform.home)
        return [item.opened_by for item in openings(platform.store, cells[0].version.test_version)]

    of_backbone = [tuple(cell.plan.retrain_id for cell in cells if cell.backbone == name) for name in backbones]
    assert opened(cells) == of_backbone
    later = [(cell.plan.retrain_id,) for cell in more if cell not in cells]
    assert opened(more) == of_backbone + later
    assert use_of(platform.store, cells[0].version.test_version).used == 4
