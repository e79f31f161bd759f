"""Checkpoints in the object store: whole or not at all, the newest one only, gone at the end."""

import pytest
import torch

from ladnn.errors import StoreError, TrainingError
from ladnn.training.checkpoint import Checkpoint, Checkpoints
from ladnn.training.result import EpochRecord

RECORD = EpochRecord(1, 0.5, None, 0.25, None, None, None, 0.875, 1e-3, 12.5, 3.0, 1024)


def checkpoint(step: int) -> Checkpoint:
    tensors = {"network.a": torch.arange(6.0).view(2, 3) * step, "optimizer.0.step": torch.tensor(float(step))}
    return Checkpoint(7, step, 20, None, {"scale": 2.0}, 1.5, (RECORD,), tensors)


def saved(store, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(store, "r/v")
    for step in steps:
        checkpoints.save(checkpoint(step))
    checkpoints.wait()
    return checkpoints


def test_the_newest_replaces_the_older_and_comes_back_as_it_was(store):
    checkpoints = saved(store, 1, 2, 12)

    found = checkpoints.latest()

    assert len(list(store.list("checkpoints/"))) == 1
    assert found.to_bytes() == checkpoint(12).to_bytes()
    assert (found.step, found.records, found.scaler) == (12, (RECORD,), {"scale": 2.0})
    assert torch.equal(found.of("network.")["a"], checkpoint(12).tensors["network.a"])
    checkpoints.discard()
    assert checkpoints.latest() is None
    assert list(store.list("")) == []


def test_a_damaged_checkpoint_is_passed_over_and_an_older_one_taken(file_store, capsys):
    checkpoints = saved(file_store, 3)
    file_store.put(f"checkpoints/r/v/{4:010d}-{'0' * 32}.safetensors", b"torn")

    assert checkpoints.latest().step == 3
    assert "passed over" in capsys.readouterr().err


def test_bytes_that_are_no_checkpoint_are_refused():
    for data in (b"", b"x" * 40, checkpoint(1).to_bytes()[:-3]):
        with pytest.raises(TrainingError, match="cannot be read"):
            Checkpoint.from_bytes(data)


def test_nothing_but_checkpoints_can_be_discarded(store):
    store.put("reports/a", b"kept")
    for key in ("reports/a", "checkpoints", "checkpoints/../reports/a", "x/checkpoints/a"):
        with pytest.raises(StoreError):
            store.discard(key)
    store.discard("checkpoints/none")
    assert store.get("reports/a") == b"kept"
