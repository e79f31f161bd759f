"""The gradient of one batch, in as many pieces as memory asks for."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache
from torch import Tensor, nn

from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import Batch
from ladnn.errors import TrainingError
from ladnn.model.loss import count_known, joint_loss
from ladnn.progress import say
from ladnn.training.devices import ran_out_of_memory
from ladnn.training.draws import WholeBatchDraws


class OutOfMemoryError(TrainingError):
    """Memory does not suffice; `micro_batch` images at a time were too many."""

    def __init__(self, micro_batch: int) -> None:
        super().__init__(
            f"memory does not suffice for {micro_batch} images at a time; lower training.batch_size, take a smaller "
            "backbone, or end other programs that use the device"
        )
        self.micro_batch = micro_batch


def half_of(micro_batch: int, where: str = "", outcome: str = "gradients are accumulated, the batch size stays") -> int:
    """Return how many images at a time to go on with, and say so: where memory did not suffice, and what comes of it.

    Raises:
        OutOfMemoryError: a single image was too many.
    """
    if micro_batch == 1:
        raise OutOfMemoryError(micro_batch)
    half = (micro_batch + 1) // 2
    say(f"  out of memory with {micro_batch} images at a time{where}: going on with {half}, {outcome}")
    return half


@dataclass(frozen=True, slots=True)
class Computed:
    """What a process computed of a batch.

    Attributes:
        losses: float32 (2,), this process's share of the losses of diagnosis and lesions.
        diagnosis: its logits of the diagnosis, float32 (part,).
    """

    losses: Tensor
    diagnosis: Tensor


class Gradients:
    """Computes gradients; once memory did not suffice, in smaller pieces from then on.

    The pieces' gradients add up to those of the whole batch, except that batch norm sees one piece at a time.
    """

    def __init__(
        self,
        model: nn.Module,
        accelerator: Accelerator,
        training: TrainingConfig,
        micro_batch: int | None = None,
    ) -> None:
        """Compute those of a prepared network, at most `micro_batch` images at a time."""
        self._model, self._accelerator, self._training = model, accelerator, training
        self.micro_batch = micro_batch

    def compute(self, batch: Batch, seed: int) -> Computed:
        """Leave the gradients of a batch in the network's parameters; the seed decides drop-out.

        Raises:
            OutOfMemoryError: memory does not suffice for one image, or, where processes share the batch, for the
                present size: all of them must then begin anew with half of it.
        """
        buffers = [buffer.clone() for buffer in self._model.buffers()]
        while (computed := self._try(batch, seed)) is None:
            for buffer, before in zip(self._model.buffers(), buffers, strict=True):
                buffer.copy_(before)
            self._halve(len(batch.pixels))
        return computed

    def _try(self, batch: Batch, seed: int) -> Computed | None:
        """Return None where memory does not suffice; by then nothing holds on to it any more."""
        try:
            return self._accumulate(batch, seed)
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
        return None

    def _halve(self, n_rows: int) -> None:
        tried = min(n_rows, self.micro_batch or n_rows)
        if self._accelerator.num_processes > 1:
            raise OutOfMemoryError(tried)
        self._model.zero_grad()
        clear_device_cache(garbage_collection=True)
        self.micro_batch = half_of(tried)

    def _accumulate(self, batch: Batch, seed: int) -> Computed:
        self._model.zero_grad()
        n_known = count_known(batch.labels, self._training)
        losses, logits = torch.zeros(2, device=batch.labels.device), []
        pieces = list(self._pieces(batch))
        for number, piece in enumerate(pieces, start=1):
            pixels = batch.pixels[piece.start - batch.part.start : piece.stop - batch.part.start]
            with self._sharing(number == len(pieces)), WholeBatchDraws(seed, len(batch.rows), piece):
                found = self._model(pixels)
                loss = joint_loss(found, batch.labels[piece], self._training, n_known)
                # Processes' gradients are averaged, while their losses add up.
                self._accelerator.backward(loss.total * self._accelerator.num_processes)
            losses += torch.stack([loss.diagnosis, loss.lesions]).detach()
            logits.append(found[:, 0].detach().float())
        return Computed(losses, torch.cat(logits))

    def _sharing(self, is_last: bool) -> AbstractContextManager[None]:
        """Share gradients among the processes with the last piece alone."""
        unshared: AbstractContextManager[None] = self._accelerator.no_sync(self._model)
        return nullcontext() if is_last else unshared

    def _pieces(self, batch: Batch) -> Iterator[slice]:
        size = self.micro_batch or max(1, len(batch.pixels))
        for start in range(batch.part.start, max(batch.part.stop, batch.part.start + 1), size):
            yield slice(start, min(start + size, batch.part.stop))
