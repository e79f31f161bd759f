"""MLflow's model registry: one version a bundle, a verified upload, aliases that follow the promotion log."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from challengers import aliases
from interleaved import write, written_first
from trained_platform import VARIANT

from ladnn.errors import BundleError, TrackingError
from ladnn.registry.bundle import load_bundle
from ladnn.registry.model_versions import MODEL, follow_log, register
from ladnn.registry.promotion import Proposal, champion, promote
from ladnn.registry.tracking import Tracking
from ladnn.serving.predictor import Predictor


def registered(tracking, platform, bundle_id=None):
    bundle = load_bundle(platform.store, bundle_id or platform.bundle_id, platform.trusted)
    return register(tracking, bundle, tracking.variant_run(platform.retrain_id, VARIANT, {}))


def versions(tracking):
    return tracking.client.search_model_versions(f"name = '{MODEL}'")


@pytest.fixture
def log_of_three(tracking, file_store):
    """Three model versions in MLflow, and what appends one to a promotion log; no bundle is behind them."""
    run_id = tracking.variant_run("r-1", "a", {})
    tracking.client.create_registered_model(MODEL)
    for number in range(1, 4):
        source, tags = tracking.client.get_run(run_id).info.artifact_uri, {"ladnn.bundle_id": f"b-{number}"}
        tracking.client.create_model_version(MODEL, source, run_id, tags=tags)

    def append(version):
        current = champion(file_store)
        values = {"bundle_id": f"b-{version}", "model_version": version, "retrain_id": f"r-{version}"}
        proposal = Proposal(**values, synthetic=True, by="tests", reason="needed")
        promote(file_store, proposal, expected=current.number if current else 0)

    return append


def test_a_bundle_registered_twice_is_one_version(open_tracking, trained_platform):
    first = registered(open_tracking(), trained_platform)

    assert registered(open_tracking(), trained_platform) == first == "1"
    (version,) = versions(open_tracking())
    assert version.tags["ladnn.bundle_id"] == trained_platform.bundle_id
    assert version.tags["ladnn.dataset_version"] == trained_platform.plan.dataset_version
    assert version.run_id == open_tracking().variant_run(trained_platform.retrain_id, VARIANT, {})


def test_another_bundle_is_another_version(tracking, platform):
    bundles = (platform.bundle_id, platform.another_bundle(0.3))

    assert [registered(tracking, platform, bundle) for bundle in bundles] == ["1", "2"]


def test_a_damaged_upload_is_no_version(tracking, trained_platform, monkeypatch):
    upload = tracking.client.log_artifacts

    def damaging_upload(run_id, folder, path):
        upload(run_id, folder, path)
        artifacts = Path(tracking.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        (weights,) = artifacts.rglob("weights.safetensors")
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(tracking.client, "log_artifacts", damaging_upload)

    with pytest.raises(BundleError, match="damaged"):
        registered(tracking, trained_platform)
    assert versions(tracking) == []


def test_a_retrain_after_a_damaged_upload_heals_it(tracking, trained_platform, monkeypatch):
    test_a_damaged_upload_is_no_version(tracking, trained_platform, monkeypatch)
    monkeypatch.undo()

    assert registered(tracking, trained_platform) == "1"


def test_uploaded_files_hold_no_pickle_and_name_no_place_of_this_machine(tracking, trained_platform, tmp_path):
    registered(tracking, trained_platform)

    files = [path for path in (tmp_path / "tracking" / "artifacts").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".onnx", ".safetensors", ".sig", ".txt", ".yaml", ""}
    for path in files:
        data = path.read_bytes()
        assert not data.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK")), path.name
        assert str(trained_platform.home).encode() not in data, path.name


def test_aliases_follow_the_log_over_several_promotions(tracking, file_store, log_of_three):
    followed = []
    for version in ("1", "2", "3", "1"):
        log_of_three(version)
        follow_log(tracking, file_store)
        followed.append(aliases(tracking))

    assert followed == [
        {"champion": "1"},
        {"champion": "2", "previous-champion": "1"},
        {"champion": "3", "previous-champion": "2"},
        {"champion": "1", "previous-champion": "3"},
    ]


def test_aliases_that_were_deleted_or_set_wrongly_are_mended(tracking, file_store, log_of_three):
    log_of_three("1")
    log_of_three("2")
    follow_log(tracking, file_store)

    tracking.client.delete_registered_model_alias(MODEL, "champion")
    tracking.client.set_registered_model_alias(MODEL, "previous-champion", "3")
    follow_log(tracking, file_store)

    assert aliases(tracking) == {"champion": "2", "previous-champion": "1"}


def test_an_alias_that_the_log_knows_nothing_of_is_removed(tracking, file_store, log_of_three):
    log_of_three("1")
    tracking.client.set_registered_model_alias(MODEL, "previous-champion", "3")

    follow_log(tracking, file_store)

    assert aliases(tracking) == {"champion": "1"}


def test_a_version_that_mlflow_lost_is_one_line_with_a_remedy(tracking, file_store, log_of_three):
    log_of_three("1")
    tracking.client.delete_model_version(MODEL, "1")

    with pytest.raises(TrackingError, match=r"LADNN_TRACKING_URI, then run `ladnn reconcile`"):
        follow_log(tracking, file_store)


def test_a_lost_version_that_is_not_the_champions_is_said_and_stops_nothing(tracking, file_store, log_of_three, capsys):
    log_of_three("1")
    log_of_three("2")
    follow_log(tracking, file_store)
    tracking.client.set_registered_model_alias(MODEL, "previous-champion", "3")
    tracking.client.delete_model_version(MODEL, "1")

    follow_log(tracking, file_store)

    assert aliases(tracking) == {"champion": "2"}
    assert "the alias previous-champion cannot point at it" in capsys.readouterr().err


@pytest.mark.parametrize("first", ["1", "3"])
def test_an_alias_that_another_process_makes_at_the_same_moment_ends_as_the_log_says(
    tracking, file_store, log_of_three, first
):
    log_of_three("1")
    insert = f"INSERT INTO registered_model_aliases VALUES ('champion', {first}, '{MODEL}', 'default')"

    with written_first(tracking, "INSERT INTO registered_model_aliases", insert) as met:
        follow_log(tracking, file_store)

    assert met
    assert aliases(tracking) == {"champion": "1"}


def test_an_alias_that_another_process_removes_at_the_same_moment_is_made_again(tracking, file_store, log_of_three):
    log_of_three("1")
    tracking.client.set_registered_model_alias(MODEL, "champion", "3")

    with written_first(tracking, "UPDATE registered_model_aliases", "DELETE FROM registered_model_aliases") as met:
        follow_log(tracking, file_store)

    assert met
    assert aliases(tracking) == {"champion": "1"}


def test_a_database_that_refuses_an_alias_is_told_and_not_asked_for_ever(tracking, file_store, log_of_three):
    log_of_three("1")
    write(
        tracking,
        "CREATE TRIGGER refuse BEFORE INSERT ON registered_model_aliases BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )

    with pytest.raises(TrackingError, match="no room"):
        follow_log(tracking, file_store)


def predictions_by_mlflow(uri, images):
    mlflow.set_tracking_uri(uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    finally:
        mlflow.set_tracking_uri(None)
    return model.predict(pd.DataFrame({"image": images}, index=range(5, 5 + len(images))))


def assert_same_predictions(table, platform, images):
    bundle = load_bundle(platform.store, platform.bundle_id, platform.trusted)
    expected = Predictor(bundle, bundle.id).predict(
        [i if isinstance(i, bytes) else Path(i).read_bytes() for i in images]
    )
    assert list(table.index) == list(range(5, 5 + len(images)))
    assert table.to_dict("records") == [
        p.model_dump(exclude={"lesions", "model_version"}) | p.lesions for p in expected
    ]


def test_the_champion_loaded_by_mlflow_predicts_what_the_service_predicts(
    tracking, champion_platform, tmp_path, monkeypatch
):
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    monkeypatch.chdir(tmp_path / "tracking")
    monkeypatch.setenv("LADNN_HOME", str(champion_platform.home))
    registered(tracking, champion_platform)
    follow_log(tracking, champion_platform.store)
    images = champion_platform.contributed_images()[:2]
    path = tmp_path / "slice.png"
    path.write_bytes(images[1])

    table = predictions_by_mlflow(f"sqlite:///{tmp_path / 'tracking' / 'mlflow.db'}", [images[0], str(path)])

    assert_same_predictions(table, champion_platform, [images[0], str(path)])
    assert sorted(path.name for path in (tmp_path / "tracking").iterdir()) == ["artifacts", "mlflow.db", "mlflow.lock"]


@contextmanager
def mlflow_server(folder):
    """A real tracking server with proxied artifacts on a free port, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "server-artifacts")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True)
    try:
        _wait_for_port(process, port, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)  # the server's own workers with it
        process.wait(30)


def _wait_for_port(process, port, log):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the MLflow server did not start: {log.read_text(errors='replace')}")


@pytest.mark.slow
def test_over_http_a_bundle_is_one_version_aliases_follow_and_predictions_are_the_same(
    champion_platform, migrated_database, tmp_path, monkeypatch
):
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "server.db").write_bytes(migrated_database.read_bytes())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("LADNN_HOME", str(champion_platform.home))
    with mlflow_server(folder) as uri:
        tracking = Tracking(uri, tmp_path / "unused")
        assert [registered(tracking, champion_platform) for _ in range(2)] == ["1", "1"]
        follow_log(tracking, champion_platform.store)
        tracking.client.delete_registered_model_alias(MODEL, "champion")
        follow_log(Tracking(uri, tmp_path / "unused"), champion_platform.store)
        assert aliases(tracking) == {"champion": "1"}

        images = champion_platform.contributed_images()[:2]
        assert_same_predictions(predictions_by_mlflow(uri, images), champion_platform, images)

    with pytest.raises(TrackingError, match="LADNN_TRACKING_URI"):
        follow_log(tracking, champion_platform.store)
    assert not (tmp_path / "unused").exists()
