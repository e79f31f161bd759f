"""Training that is killed, and training that several processes share, against one process that runs through."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ladnn.store import ObjectStore

_SCRIPT = Path(__file__).with_name("training_process.py")


def _train(
    store: ObjectStore,
    name: str,
    weights: Path,
    kill_at: int = 0,
    precision: str = "float32",
    pooling: str = "average",
    launcher: tuple[str, ...] = (),
) -> subprocess.CompletedProcess:
    """Train in another process, which shares nothing with this one but the store."""
    command = [sys.executable, *launcher, str(_SCRIPT), store.url, name, str(weights), str(kill_at), precision, pooling]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, cwd=weights.parent, check=False)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    from ladnn.store import open_store

    assert _train(open_store(folder.as_uri()), "whole", folder / "weights").returncode == 0
    return folder / "weights"


def test_killed_in_the_middle_of_an_epoch_and_again_later_it_ends_in_the_same_weights(
    file_store, tmp_path, uninterrupted
):
    weights = tmp_path / "weights"
    for kill_at in (2, 5):
        assert _train(file_store, "killed", weights, kill_at).returncode == -signal.SIGKILL
        # The step before was the last whose checkpoint was written: one is there, older ones are gone.
        assert [key.split("/")[2][:10] for key in file_store.list("checkpoints/killed/")] == [f"{kill_at - 1:010d}"]

    assert _train(file_store, "killed", weights).returncode == 0

    assert weights.read_bytes() == uninterrupted.read_bytes()
    assert Path(f"{weights}.json").read_text() == Path(f"{uninterrupted}.json").read_text()


@pytest.mark.parametrize("pooling", ["average", "statistics"])
def test_two_processes_end_in_the_same_weights_as_one_but_for_rounding(file_store, tmp_path, pooling):
    alone, weights = tmp_path / "alone", tmp_path / "weights"
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")

    # In double precision: batch norm over few values and Adam's division make much of the rounding of single precision.
    assert _train(file_store, "alone", alone, precision="float64", pooling=pooling).returncode == 0
    shared = _train(file_store, "shared", weights, precision="float64", pooling=pooling, launcher=torchrun)
    assert shared.returncode == 0

    one, two = load_file(alone), load_file(weights)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, rtol=0, atol=1e-6, err_msg=name)
    losses, of_two = (json.loads(Path(f"{path}.json").read_text()) for path in (alone, weights))
    np.testing.assert_allclose(of_two, losses, rtol=1e-6)
