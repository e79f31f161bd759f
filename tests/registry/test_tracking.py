"""MLflow runs: found again after a crash, nothing logged twice, errors that say what to do."""

import json
import os
import resource
import subprocess
import sys
import time

import pytest
from interleaved import written_first

from ladnn.errors import TrackingError
from ladnn.registry.tracking import MONITORING, Tracking

CURVE = {"train_loss": 0.5, "validation_auroc": None, "seconds": 2.0, "broken": float("nan")}


def runs_of(tracking):
    return tracking.client.search_runs([tracking.experiment_id])


def run_of(tracking, run_id):
    return tracking.client.get_run(run_id)


def test_a_second_process_finds_the_runs_of_the_first(open_tracking):
    first = open_tracking()
    parent = first.parent_run("r-1", {"ladnn.reason": "new data"})
    child = first.variant_run("r-1", "lite0-ladnn", {"epochs": 1})

    second = open_tracking()

    assert second.parent_run("r-1", {}) == parent
    assert second.variant_run("r-1", "lite0-ladnn", {"epochs": 1}) == child
    assert {run.info.run_id for run in runs_of(second)} == {parent, child}


def test_runs_carry_their_names_tags_and_parameters(tracking):
    parent = tracking.parent_run("r-1", {"ladnn.reason": "new data"})
    child = tracking.variant_run("r-1", "lite0-ladnn", {"epochs": 1, "weights": "imagenet"})

    run = run_of(tracking, child)
    assert run.info.run_name == "lite0-ladnn"
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.params == {"epochs": "1", "weights": "imagenet"}
    assert run_of(tracking, parent).info.run_name == "r-1"
    assert run_of(tracking, parent).data.tags["ladnn.reason"] == "new data"


def opened(uri, artifacts, barrier, answers):
    barrier.wait(120)
    try:
        answers.put(Tracking(uri, artifacts).experiment_id)
    except TrackingError as error:
        answers.put(str(error))


def test_processes_that_open_a_new_home_at_once_find_one_experiment(tmp_path, forkserver):
    barrier, answers = forkserver.Barrier(3), forkserver.Queue()
    home = (f"sqlite:///{tmp_path}/new/mlflow.db", tmp_path / "artifacts")
    processes = [forkserver.Process(target=opened, args=(*home, barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()

    found = [answers.get(timeout=300) for _ in processes]

    for process in processes:
        process.join(60)
    assert len(set(found)) == 1
    assert found[0].isdecimal()


def test_an_experiment_that_another_process_makes_at_the_same_moment_is_used(tracking):
    insert = (
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, workspace) "
        f"VALUES (77, '{MONITORING}', 'file:///elsewhere', 'active', 'default')"
    )

    with written_first(tracking, "INSERT INTO experiments", insert) as met:
        run_id = tracking.check_run("k-1", "a look")

    assert met
    assert run_of(tracking, run_id).info.experiment_id == "77"


def test_each_retrain_and_each_variant_has_a_run_of_its_own(tracking):
    ids = [tracking.variant_run(retrain, variant, {}) for retrain in ("r-1", "r-2") for variant in ("a", "b")]

    assert len(set(ids)) == 4
    assert len(runs_of(tracking)) == 6


def test_the_same_epoch_logged_twice_is_one_point(open_tracking):
    run_id = open_tracking().variant_run("r-1", "a", {})
    for _ in range(2):  # the second time by a process that took up a killed training
        tracking = open_tracking()
        for epoch in (1, 2):
            tracking.log_epoch(run_id, epoch, CURVE)
            time.sleep(0.002)  # MLflow itself only joins points of the same millisecond

    history = tracking.client.get_metric_history(run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.5)]


def test_missing_and_non_finite_values_are_left_out(tracking):
    run_id = tracking.variant_run("r-1", "a", {})

    tracking.log_epoch(run_id, 1, CURVE)
    tracking.log_epoch(run_id, 2, {"validation_auroc": None})

    assert set(run_of(tracking, run_id).data.metrics) == {"train_loss", "seconds"}


def test_final_values_are_logged_once_with_tags(tracking):
    run_id = tracking.parent_run("r-1", {})
    for _ in range(2):
        tracking.log_summary(run_id, {"test.auroc": 0.9}, {"ladnn.decision": "promote"})
        time.sleep(0.002)

    assert len(tracking.client.get_metric_history(run_id, "test.auroc")) == 1
    assert run_of(tracking, run_id).data.tags["ladnn.decision"] == "promote"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_as_stated(tracking, status):
    run_id = tracking.parent_run("r-1", {})
    tracking.finish(run_id, status)

    info = run_of(tracking, run_id).info
    assert (info.status, info.end_time is not None) == (status, True)


def test_taking_up_a_variant_leaves_the_ended_run_of_its_retrain_alone(tracking):
    parent, child = tracking.parent_run("r-1", {}), tracking.variant_run("r-1", "a", {})
    tracking.finish(child)
    tracking.finish(parent, "KILLED")

    assert tracking.variant_run("r-1", "a", {}) == child
    assert run_of(tracking, child).info.status == "RUNNING"
    assert run_of(tracking, parent).info.status == "KILLED"


def test_documents_are_kept_with_a_run_under_the_artifact_folder(open_tracking, tmp_path):
    tracking = open_tracking()
    run_id = tracking.parent_run("r-1", {})
    tracking.log_document(run_id, {"n": 1}, "plan.json")
    tracking.log_document(run_id, {"n": 2}, "plan.json")

    (path,) = (tmp_path / "tracking" / "artifacts").rglob("plan.json")
    assert json.loads(path.read_text()) == {"n": 2}


def test_texts_and_files_are_kept_with_a_run(open_tracking, tmp_path):
    tracking = open_tracking()
    run_id = tracking.parent_run("r-1", {})
    for _ in range(2):  # the second time by a run that was taken up again
        tracking.log_text(run_id, "a,b\n1,2\n", "metrics.csv")
        tracking.log_files(run_id, {"roc.png": b"one", "curves.png": b"two"}, "figures")

    (table,) = (tmp_path / "tracking" / "artifacts").rglob("metrics.csv")
    (folder,) = (tmp_path / "tracking" / "artifacts").rglob("figures")
    assert table.read_text() == "a,b\n1,2\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"roc.png": b"one", "curves.png": b"two"}


def test_a_folder_with_space_percent_and_umlaut_works(tmp_path, migrated_database):
    home = tmp_path / "home 100% ü"
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "mlflow.db").write_bytes(migrated_database.read_bytes())
    tracking = Tracking(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}", home / "mlflow" / "artifacts")
    run_id = tracking.parent_run("r-1", {})
    tracking.log_document(run_id, {"n": 1}, "plan.json")

    assert [path.name for path in home.parent.glob("**/*.db")] == ["mlflow.db"]
    assert [path.name for path in (home / "mlflow" / "artifacts").rglob("plan.json")] == ["plan.json"]


def test_an_unreachable_server_is_one_line_with_a_remedy_and_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(TrackingError) as caught:
        Tracking("http://ladnn:hunter2@127.0.0.1:9", tmp_path)

    message = str(caught.value)
    assert "LADNN_TRACKING_URI" in message
    assert "127.0.0.1" in message
    assert "hunter2" not in message
    assert "\n" not in message


def test_a_file_that_is_no_database_is_one_line_with_a_remedy(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"this is no SQLite database, however long it is" * 100)

    with pytest.raises(TrackingError, match="LADNN_HOME") as caught:
        Tracking(f"sqlite:///{path}", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unwritable_artifact_folder_is_one_line_with_a_remedy(open_tracking, tmp_path):
    tracking = open_tracking()
    run_id = tracking.parent_run("r-1", {})
    (tmp_path / "tracking" / "artifacts").write_text("a file where a folder should be")

    with pytest.raises(TrackingError, match="LADNN_HOME"):
        tracking.log_document(run_id, {}, "plan.json")


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ladnn.errors import TrackingError
from ladnn.registry.tracking import Tracking

database = Path(sys.argv[1])
tracking = Tracking(f"sqlite:///{database}", database.parent / "artifacts")
run_id = tracking.parent_run("r-1", {})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = database.stat().st_size + 20_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    for step in range(10_000):
        tracking.log_epoch(run_id, step, {f"metric_{i}": 1.0 for i in range(100)})
except TrackingError as error:
    print(error)
"""


def test_a_disk_that_is_full_is_one_line_with_a_remedy(migrated_database, tmp_path):
    database = tmp_path / "mlflow.db"
    database.write_bytes(migrated_database.read_bytes())

    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(database)], capture_output=True, text=True, check=True, env=os.environ
    )

    assert done.stdout.startswith("MLflow cannot be used: ")
    assert "LADNN_HOME" in done.stdout
    assert done.stdout.count("\n") == 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
