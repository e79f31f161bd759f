"""What a run says of the code, the libraries and the device that trained it."""

import subprocess

import pytest

import ladnn
from ladnn.registry.provenance import log_provenance
from ladnn.training.provenance import code_commit


def git(folder, *arguments):
    identity = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def copy(tmp_path):
    """A working copy with one commit, and its id."""
    folder = tmp_path / "copy"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "code.py").write_text("one = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "One")
    return folder, git(folder, "rev-parse", "HEAD")


def test_a_working_copy_names_its_commit_and_whether_it_was_changed(copy):
    folder, commit = copy
    assert code_commit(folder) == commit

    (folder / "code.py").write_text("one = 2\n")

    assert code_commit(folder) == f"{commit}-changed"


def test_code_outside_of_a_working_copy_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert code_commit(tmp_path) is None


def test_a_run_is_tagged_with_versions_and_device(tracking):
    import numpy
    import torch

    run_id = tracking.variant_run("r-1", "a", {})
    log_provenance(tracking, run_id, "cpu: x86_64, 2 threads")

    tags = tracking.client.get_run(run_id).data.tags
    assert tags["ladnn.version"] == ladnn.__version__
    assert tags["ladnn.device"] == "cpu: x86_64, 2 threads"
    assert tags["library.torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert tags["library.numpy"] == numpy.__version__
    assert {"library.python", "library.torchvision", "library.onnxruntime", "library.mlflow"} <= tags.keys()

    log_provenance(tracking, run_id, "cuda: another host")
    assert tracking.client.get_run(run_id).data.tags["ladnn.device"] == "cuda: another host"
