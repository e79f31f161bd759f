"""The same retrain with the production parts: objects in S3 over HTTP, an MLflow server, and a schedule."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ladnn_command import Home, write_config
from s3_server import S3Server, running_strict_s3_server

from ladnn.signing import SigningKey

pytestmark = pytest.mark.slow

ONE_EPOCH = {"training": {"epochs": 1, "batch_size": 16}}


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/m.db",
        "--artifacts-destination",
        str(tmp_path / "artifacts"),
    ]
    with (tmp_path / "mlflow.log").open("wb") as log:
        command = [str(Path(sys.executable).with_name("mlflow")), "server", *options, *stores]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"
    give_up = time.monotonic() + 240
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < give_up, (tmp_path / "mlflow.log").read_text()
            time.sleep(0.5)
    yield url
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()


KEY = SigningKey.new()
"""Of all hosts of a test."""


def s3_home(path: Path, server: S3Server, bucket: str, *, secret: str | None = None, **variables: str) -> Home:
    options = server.options
    settings = {
        "LADNN_STORE_URL": f"s3://{bucket}/ladnn",
        "LADNN_S3_ENDPOINT_URL": str(options.endpoint_url),
        "AWS_ACCESS_KEY_ID": str(options.access_key_id),
        "AWS_SECRET_ACCESS_KEY": secret or str(options.secret_access_key),
        "AWS_REGION": "us-east-1",
        "LADNN_PSEUDONYM_KEY": "a long secret that all hosts share",
        "LADNN_SIGNING_KEY": KEY.text,
    }
    return Home(path, tuple((settings | variables).items()))


def test_retrain_leaves_nothing_on_the_host_that_another_host_needs(
    s3_server: S3Server, mlflow_server: str, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket()
    config = write_config(tmp_path / "one.toml", **ONE_EPOCH)
    first = s3_home(tmp_path / "host-a", s3_server, bucket, LADNN_TRACKING_URI=mlflow_server)
    assert first.run("phantoms", "--patients", 24, "--slices", 1, "--seed", 3).code == 0
    trained = first.run("retrain", "--config", config, "--json")
    assert trained.code == 0, trained.stderr
    assert trained.document["status"] in {"promoted", "rejected", "held"}
    second = s3_home(tmp_path / "host-b", s3_server, bucket, LADNN_TRACKING_URI=mlflow_server)
    again = second.run("retrain", "--config", config, "--json")
    assert again.code == 0, again.stderr
    assert again.document["status"] == ("held" if trained.document["status"] == "held" else "nothing new")
    assert again.document["retrain_id"] == trained.document["retrain_id"]


def test_wrong_s3_credentials_are_one_line_with_the_remedy(tmp_path: Path) -> None:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    with running_strict_s3_server(everything) as (server, bucket):
        home = s3_home(tmp_path / "home", server, bucket, secret="not-the-secret")
        finished = home.run("retrain", "--config", write_config(tmp_path / "one.toml", **ONE_EPOCH))
    assert finished.code == 1
    (line,) = finished.stderr.splitlines()
    assert line.startswith("ladnn: error:")
    assert bucket in line
    assert "AWS_SECRET_ACCESS_KEY" in line
    assert "not-the-secret" not in line


def test_schedule_runs_the_retrain_when_its_time_comes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert home.run("phantoms", "--patients", 24, "--slices", 1, "--seed", 3).code == 0
    config = write_config(tmp_path / "one.toml", **ONE_EPOCH)
    with (tmp_path / "log").open("wb") as log:
        command = [
            str(Path(sys.executable).with_name("ladnn")),
            "schedule",
            "--config",
            str(config),
            "--cron",
            "* * * * *",
        ]
        process = subprocess.Popen(command, env=home.environment, stdout=log, stderr=log)
    give_up = time.monotonic() + 500
    while not [*home.store.glob("retrains/*/outcome.json"), *home.store.glob("retrains/*/held.json")]:
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < give_up, (tmp_path / "log").read_text()
        time.sleep(1)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=120)
    assert len(list(home.store.glob("retrains/*/plan.json"))) == 1
