"""A retrain that is killed at every stage and started again ends as if it had never been killed."""

import json
from pathlib import Path

import pytest
from ladnn_command import LENIENT, fixed_home, write_config
from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.slow

MARKERS = (
    "intake …",
    "dataset …",
    "tracking …",
    "efficientnet_lite0-ladnn: epoch 1/2",
    "train efficientnet_lite0-baseline …",
    "efficientnet_lite0-baseline: epoch 2/2",
    "evaluate …",
    "decide …",
    "promote …",
    "promote done",
)


def test_killed_at_every_stage_it_finishes_without_duplicates(tmp_path: Path) -> None:
    home = fixed_home(tmp_path / "home")
    assert home.run("phantoms", "--patients", 24, "--slices", 1, "--seed", 3).code == 0
    training = {"epochs": 2, "batch_size": 16}
    config = write_config(tmp_path / "two.toml", training=training, gates=LENIENT)
    for marker in MARKERS:
        reached, said = home.run_until(marker, "retrain", "--config", config, "--json")
        assert reached, said
    finished = home.run("retrain", "--config", config, "--json")
    assert finished.code == 0, finished.stderr
    assert finished.document["status"] in {"promoted", "rejected"}

    store = home.store
    assert len(list(store.glob("retrains/*/plan.json"))) == 1
    assert len(list(store.glob("retrains/*/outcome.json"))) == 1
    assert len(list(store.glob("catalogue/*.json"))) == 1
    outcomes = json.loads(next(store.glob("catalogue/*.json")).read_text())["outcomes"]
    assert len(outcomes) == len(list(store.glob("inbox/*/study.json"))) == 24
    assert len(list(store.glob("datasets/*/version.json"))) == 1
    assert len(list(store.glob("ledger/*.json"))) == 1
    assert len(list(store.glob("bundles/*/bundle.json"))) == 1
    assert len(list(store.glob("splits/*.json"))) == 1
    promoted = finished.document["status"] == "promoted"
    assert len(list(store.glob("promotions/*.json"))) == promoted

    uri = f"sqlite:///{home.path}/mlflow/mlflow.db"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    runs = client.search_runs(["1"])
    assert sorted(run.info.run_name for run in runs) == sorted(
        ["efficientnet_lite0-baseline", "efficientnet_lite0-ladnn", finished.document["retrain_id"]]
    )
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        for name in run.data.metrics:
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, name)]
            assert len(steps) == len(set(steps)), (run.info.run_name, name)
    assert len(client.search_model_versions("name = 'ladnn'")) == promoted

    again = home.run("retrain", "--config", config, "--json")
    assert again.document["status"] == "nothing new"
    assert (
        json.loads((next(store.glob("retrains/*/outcome.json"))).read_text())["status"] == finished.document["status"]
    )
