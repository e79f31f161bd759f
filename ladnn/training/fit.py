"""The fit of one network: what it is given, whom it tells, and that it goes on where a killed one stood.

The weights of the last epoch are kept: the schedule ends at zero, and the best of many epochs on a small validation
part would be picked by chance. Given the same arrays, configuration, seed and machine, a fit on the CPU ends in the
same weights, bit for bit, however often it was killed and taken up again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels, check
from ladnn.errors import DatasetError
from ladnn.model.network import LADNN
from ladnn.training.checkpoint import Checkpoints
from ladnn.training.devices import freed_memory_kept, open_devices
from ladnn.training.loop import Loop
from ladnn.training.result import EpochRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how a fit goes; of several processes the first one tells.

    Attributes:
        on_epoch: called after each epoch.
        on_step: called after each step with the steps done and all steps of the fit.
    """

    on_epoch: Callable[[EpochRecord], None] = lambda _: None
    on_step: Callable[[int, int], None] = lambda _done, _all: None


def fit(
    network: LADNN,
    train: LabelledPixels,
    validation: LabelledPixels,
    training: TrainingConfig,
    seed: int,
    progress: Progress = Progress(),
    checkpoints: Checkpoints | None = None,
    micro_batch: int | None = None,
) -> list[EpochRecord]:
    """Train a network in place, on the GPU if there is one; it ends on the CPU, in evaluation mode.

    In a job of several processes (`torchrun`) each computes a shard of every batch, and all end with the same weights.

    Args:
        network: its global statistics and weights change.
        train: slices to learn from.
        validation: slices to watch only; nothing is chosen by them.
        training: the recipe.
        seed: of order, augmentation and drop-out; torch's global generators are left alone.
        progress: who is told.
        checkpoints: where the fit goes on from, and leaves its own; None keeps none.
        micro_batch: images at a time in each process; None tries the whole batch.

    Raises:
        DatasetError: the arrays do not fit together, or there are too few images: two to train, one to validate.
        TrainingError: the weights became NaN or infinite, or a checkpoint is not of this fit.
        NonFiniteLossError: the loss became NaN or infinite.
        OutOfMemoryError: memory does not suffice.
    """
    check(train)
    check(validation)
    if len(validation.pixels) == 0:
        raise DatasetError("the validation part is empty; freeze a dataset version with more patients")
    accelerator = open_devices()
    loop = Loop(network, train, training, seed, accelerator, micro_batch)
    with freed_memory_kept(accelerator.device):
        try:
            if checkpoints is not None and (before := checkpoints.latest()) is not None:
                loop.take_up(before)
            elif loop.begin():
                _save(loop, checkpoints)
            _run(loop, validation, training, progress if accelerator.is_main_process else Progress(), checkpoints)
        finally:
            loop.release()
    return loop.records


def _run(
    loop: Loop,
    validation: LabelledPixels,
    training: TrainingConfig,
    progress: Progress,
    checkpoints: Checkpoints | None,
) -> None:
    saved_s = time.monotonic()
    while loop.step < loop.n_steps:
        for is_last in loop.steps():
            progress.on_step(loop.step, loop.n_steps)
            is_due = checkpoints is not None and time.monotonic() - saved_s >= training.checkpoint_minutes * 60
            if not is_last and loop.agree(is_due):
                saved_s = _save(loop, checkpoints)
        progress.on_epoch(loop.end_epoch(validation))
        saved_s = _save(loop, checkpoints)
    if checkpoints is not None:
        checkpoints.wait()


def _save(loop: Loop, checkpoints: Checkpoints | None) -> float:
    """Leave a checkpoint, if these are kept, by the first process; return when."""
    if checkpoints is not None:
        checkpoint = loop.checkpoint()
        if loop.accelerator.is_main_process:
            checkpoints.save(checkpoint)
    return time.monotonic()
