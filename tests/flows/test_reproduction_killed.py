"""A reproduction that is killed goes on where it stopped, opens the test part once, and leaves no retrain behind."""

import json
from pathlib import Path

import pytest
from ladnn_command import Home, write_config
from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.slow

COMMAND = ("reproduce", "table2", "--backbones", "efficientnet_lite0", "--cuts", "D0", "--random-weights")
MARKERS = ("baseline seed 7: trained", "ladnn seed 8: epoch 1")


def test_killed_twice_it_finishes_with_the_same_cells(tmp_path: Path) -> None:
    home, out = Home(tmp_path / "home"), tmp_path / "out"
    assert home.run("phantoms", "--patients", 24, "--slices", 1, "--seed", 3).code == 0
    assert home.run("intake").code == 0
    recipe = write_config(tmp_path / "tiny.toml", training={"epochs": 3, "batch_size": 16})
    asked = (*COMMAND, "--seeds", 2, "--config", recipe, "--set", "training.epochs=1", "--out", out, "--json")
    for marker in MARKERS:
        reached, said = home.run_until(marker, *asked)
        assert reached, said
        assert not list(home.store.glob("ledger/*.json"))  # the test part waits until all is trained
    finished = home.run(*asked)
    assert finished.code == 0, finished.stderr
    assert "baseline seed 7: trained before; kept" in finished.stderr

    table = finished.document
    assert len(table["rows"]) == 4
    assert all(row["paper_baseline"] is None for row in table["rows"])
    assert all(len(row["difference_by_seed"]) == 2 for row in table["rows"])
    assert json.loads((out / "table2.json").read_text()) == table
    assert len((out / "table2.csv").read_text().splitlines()) == 5

    store = home.store
    assert len(list(store.glob("reproductions/*/plan.json"))) == 2
    assert len(list(store.glob("reproductions/*/variants/*/trained.json"))) == 4
    assert len(list(store.glob("ledger/*.json"))) == 1
    assert not list(store.glob("retrains/*"))
    assert home.run("history", "--json").document["retrains"] == []

    runs = MlflowClient(f"sqlite:///{home.path}/mlflow/mlflow.db").search_runs(["1"])
    assert {run.info.status for run in runs} == {"FINISHED"}
    trained = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert [len({"train_diagnosis_loss", "images_per_second"} & run.data.metrics.keys()) for run in trained] == [2] * 4
    assert all("ladnn.device" in run.data.tags for run in trained)

    again = home.run(*asked)
    assert again.document == table
    assert len(list(store.glob("ledger/*.json"))) == 1
    printed = home.run(*asked[:-1])
    assert "table 2 in percent, cut D0" in printed.stdout
