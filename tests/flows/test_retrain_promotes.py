"""The whole path on phantoms, by the command that an operator types."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from promoted_home import Promoted

pytestmark = pytest.mark.slow


def client(promoted: Promoted) -> MlflowClient:
    uri = f"sqlite:///{promoted.home.path}/mlflow/mlflow.db"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_first_retrain_promotes_and_prints_one_document(promoted: Promoted) -> None:
    assert promoted.first.code == 0, promoted.first.stderr
    document = promoted.first.document
    assert document["status"] == "promoted"
    assert document["model_version"] == "1"
    assert document["dataset_version"].startswith("d-")
    assert [v["task"] for v in document["variants"]] == ["ladnn", "baseline"]
    for variant in document["variants"]:
        assert 0 <= variant["auroc"]["low"] <= variant["auroc"]["value"] <= variant["auroc"]["high"] <= 1
    assert [gate["name"] for gate in document["decision"]["gates"]] == [
        "new_data",
        "leak_check",
        "shortcut_audit",
        "review_backlog",
        "change_control",
        "auroc_floor",
        "sensitivity_floor",
        "specificity_floor",
        "calibration_error",
        "lesion_auroc_floor",
        "not_worse_than_champion",
        "sensitivity_not_worse",
        "specificity_not_worse",
        "no_slice_worse",
        "flips",
        "retention",
        "lesion_sanity",
        "test_set_budget",
        "serving",
    ]
    assert all(gate["verdict"] == "pass" for gate in document["decision"]["gates"])


def test_corrupt_image_is_set_aside_and_named(promoted: Promoted) -> None:
    assert promoted.first.document["dataset"]["n_images"] == 36 * 2 - 1
    (line,) = [line for line in promoted.first.stderr.splitlines() if "quarantined:" in line]
    assert promoted.corrupted in line
    assert "image 1" in line


def test_same_command_again_retrains_nothing(promoted: Promoted) -> None:
    runs_before = len(client(promoted).search_runs(["1"]))
    again = promoted.home.run("retrain", "--config", promoted.config, "--json")
    assert again.code == 0
    assert again.document["status"] == "nothing new"
    assert again.document["retrain_id"] == promoted.first.document["retrain_id"]
    assert "epoch" not in again.stderr
    assert len(client(promoted).search_runs(["1"])) == runs_before


def test_mlflow_holds_a_run_a_variant_under_one_parent_run(promoted: Promoted) -> None:
    mlflow = client(promoted)
    runs = mlflow.search_runs(["1"])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert {run.info.run_name for run in runs} - {parents[0].info.run_name} == {
        "efficientnet_lite0-ladnn",
        "efficientnet_lite0-baseline",
    }
    assert {run.info.status for run in runs} == {"FINISHED"}
    child = next(run for run in runs if run.info.run_name == "efficientnet_lite0-ladnn")
    history = mlflow.get_metric_history(child.info.run_id, "train_diagnosis_loss")
    assert [metric.step for metric in history] == [1, 2, 3, 4, 5]
    figures = {Path(item.path).name for item in mlflow.list_artifacts(parents[0].info.run_id, "figures")}
    assert {"validation_efficientnet_lite0_attention.png", "validation_roc.png", "training_curves.png"} <= figures


def test_no_identifier_and_no_report_leaves_the_inbox(promoted: Promoted) -> None:
    places = [path for path in promoted.home.path.rglob("*") if path.is_file()]
    kept = [p for p in places if "inbox" not in p.parts and "reports" not in p.parts]
    documents = [json.loads(path.read_text()) for path in promoted.home.store.glob("reports/*/*.json")]
    reports = [text.encode() for document in documents for text in document.values()]
    assert reports
    leaks = [p for p in kept if b"phantom-0003-" in (data := p.read_bytes()) or any(r in data for r in reports)]
    assert leaks == []
    assert "phantom-0003-" not in promoted.first.stderr + promoted.first.stdout


def test_nothing_connects_to_another_machine(promoted: Promoted) -> None:
    if promoted.connections is None:
        pytest.skip("strace is not installed: what the processes connect to was not watched")
    lines = promoted.connections.read_text().splitlines()
    connects = [line for line in lines if "connect(" in line and "AF_UNIX" not in line]
    assert connects, "Prefect's own server was reached over loopback, so there is something to see"
    local = re.compile(r'inet_addr\("127\.|"::1"|"::ffff:127\.|AF_UNSPEC|AF_NETLINK|resumed')
    assert [line for line in connects if not local.search(line)] == []


def test_predict_answers_with_the_promoted_model(promoted: Promoted) -> None:
    images = sorted(promoted.home.store.glob("inbox/*/0002.png"))[:2]
    finished = promoted.home.run("predict", *images, "--json")
    assert finished.code == 0
    assert finished.stderr == ""
    for image, answer in zip(images, finished.document, strict=True):
        assert answer["image"] == str(image)
        assert 0 <= answer["probability"] <= 1
        assert answer["decision"] in {"positive", "negative"}
        assert set(answer["lesions"]) == {"GGO", "Csld", "CrPa", "AirBr", "InSepThi"}
        assert answer["model_version"] == "1"


def test_mlflow_loads_the_champion_and_agrees_with_predict(promoted: Promoted, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("LADNN_HOME", str(promoted.home.path))  # whose key MLflow's loader trusts
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{promoted.home.path}/mlflow/mlflow.db")
    image = sorted(promoted.home.store.glob("inbox/*/0002.png"))[0]
    model: Any = mlflow.pyfunc.load_model("models:/ladnn@champion")
    table = model.predict(pd.DataFrame({"image": [str(image)]}))
    (answer,) = promoted.home.run("predict", image, "--json").document
    np.testing.assert_allclose(table["probability"].iloc[0], answer["probability"], atol=1e-6)
    np.testing.assert_allclose(table["AirBr"].iloc[0], answer["lesions"]["AirBr"], atol=1e-6)


def labelled_folder(promoted: Promoted, tmp_path: Path) -> tuple[str | Path, ...]:
    """Write twelve labelled images; return the options that name them."""
    images = tmp_path / "images"
    images.mkdir()
    rows = []
    for number, image in enumerate(sorted(promoted.home.store.glob("inbox/*/0002.png"))[:12]):
        (images / f"{number}.png").write_bytes(image.read_bytes())
        rows.append({"image": f"{number}.png", "patient_id": f"p{number}", "covid": number % 2})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    return ("--images", images, "--labels", tmp_path / "labels.csv")


def test_evaluate_scores_a_labelled_folder(promoted: Promoted, tmp_path: Path) -> None:
    folder = labelled_folder(promoted, tmp_path)
    finished = promoted.home.run("evaluate", *folder, "--json")
    assert finished.code == 0, finished.stderr
    assert finished.document["n_scored"] == 12
    assert finished.document["scores"]["diagnosis"]["auroc"]["n"] == 12


def test_ladnn_and_baseline_are_compared_beside_the_audit(promoted: Promoted, tmp_path: Path) -> None:
    (compared,) = promoted.first.document["comparisons"]
    assert compared["seeds"] == [7]
    assert len(compared["auroc"]["difference_by_seed"]) == 1
    assert compared["auroc"]["difference"]["note"].startswith("not enough cases"), (
        "validation has a handful of patients"
    )
    stages = {(item["probe"], item["stage"]) for item in promoted.first.document["audit"]["results"]}
    assert {("file_properties", "contributed"), ("outside_lungs", "canonical")} <= stages
    printed = promoted.home.run("metrics")
    assert printed.code == 0, printed.stderr
    assert "ladnn - baseline" in printed.stdout
    assert "AUROC without the disease" in printed.stdout

    folder = labelled_folder(promoted, tmp_path)
    asked = ("evaluate", "--model", "last", *folder)
    document = promoted.home.run(*asked, "--json").document
    assert [item["model"] for item in document["models"]] == [v["name"] for v in promoted.first.document["variants"]]
    (retrain,) = document["retrains"]
    assert retrain["comparisons"][0]["n_images"] == 12
    assert "ladnn - baseline" in promoted.home.run(*asked).stdout


def test_history_names_the_promotion(promoted: Promoted) -> None:
    document = promoted.home.run("history", "--json").document
    assert document["champion"]["model_version"] == "1"
    assert [r["status"] for r in document["retrains"]] == ["promoted"]
