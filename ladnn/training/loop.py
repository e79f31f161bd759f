"""The steps and epochs of one fit, with the state that lasts over them."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import (
    Batch,
    LabelledPixels,
    Shard,
    TrainingSampler,
    n_training_batches,
    random_seed,
)
from ladnn.errors import DatasetError, TrainingError
from ladnn.model.network import LADNN
from ladnn.model.pooling import StatisticsPooling
from ladnn.training.batch_norm import share_batch_norm
from ladnn.training.checkpoint import Checkpoint
from ladnn.training.devices import peak_memory_bytes
from ladnn.training.head_fit import fit_heads
from ladnn.training.result import EpochRecord
from ladnn.training.schedule import make_optimizer, set_learning_rates
from ladnn.training.step import Gradients
from ladnn.training.watch import auroc, learns_lesions, watch

_DROPOUT_STREAM = 3  # the pipeline draws from 1 and 2


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; `rows` are the batch's positions in the training arrays."""

    def __init__(self, epoch: int, rows: tuple[int, ...]) -> None:
        super().__init__(
            f"the loss of epoch {epoch} is not finite on training rows {list(rows)}; "
            "lower training.learning_rate, and look at the labels of these rows"
        )
        self.rows = rows


class Loop:
    """One fit, step by step; `step` counts those that are done."""

    def __init__(
        self,
        network: LADNN,
        train: LabelledPixels,
        training: TrainingConfig,
        seed: int,
        accelerator: Accelerator,
        micro_batch: int | None,
    ) -> None:
        """Prepare a network for training on the accelerator's device.

        Raises:
            DatasetError: there are fewer than two images to train on.
        """
        self.network, self.accelerator = network, accelerator
        self._train, self._training, self._seed = train, training, seed
        self._n_batches = n_training_batches(len(train.pixels), training.batch_size)
        if self._n_batches == 0:
            raise DatasetError(f"training needs at least 2 images, the training part has {len(train.pixels)}")
        self.step, self.n_steps = 0, self._n_batches * training.epochs
        self.records: list[EpochRecord] = []
        device = accelerator.device
        network.to(device).to(memory_format=torch.channels_last)
        if accelerator.num_processes > 1:
            share_batch_norm(network, device)
        self._model = accelerator.prepare_model(torch.compile(network) if training.compile else network)
        self._optimizer = accelerator.prepare_optimizer(make_optimizer(network, training))
        self._gradients = Gradients(self._model, accelerator, training, micro_batch)
        shard = Shard(accelerator.process_index, accelerator.num_processes)
        self._sampler = TrainingSampler(training.batch_size, seed, training.augmentation, device, shard)
        self._begin_epoch()

    @property
    def epoch(self) -> int:
        """Number of the epoch under way, from 1."""
        return self.step // self._n_batches + 1

    def begin(self) -> bool:
        """Fit what is fitted before the first step, and return whether there was any; all processes must call it."""
        if not isinstance(self.network.embedding, StatisticsPooling):
            return False
        fit_heads(self.network, self._train, self._training, self.accelerator, self._gradients.micro_batch)
        return True

    def steps(self) -> Iterator[bool]:
        """Do what is left of the epoch, a step at a time; yield whether it was the epoch's last.

        Raises:
            NonFiniteLossError: the loss became NaN or infinite.
            OutOfMemoryError: memory does not suffice.
        """
        epoch, first = self.epoch, self.step % self._n_batches
        self._began_s, self._n_done_here = time.perf_counter(), 0
        self.network.train()
        if epoch <= self._training.frozen_epochs:
            self.network.features.eval()  # else batch norm's running statistics would follow the new images
        for number, batch in enumerate(self._sampler.batches(self._train, epoch, first), start=first):
            self._update(epoch, number, batch)
            self.step += 1
            yield number == self._n_batches - 1

    def end_epoch(self, validation: LabelledPixels) -> EpochRecord:
        """Measure the network on validation and return how the epoch went.

        Raises:
            TrainingError: the logits on validation are not finite.
        """
        trained_s = time.perf_counter() - self._began_s
        watched = watch(self.network, validation, self._training, self.accelerator)
        diagnosis, lesions = (self._losses / len(self._train.pixels)).tolist()
        record = EpochRecord(
            epoch=self.step // self._n_batches,
            train_diagnosis_loss=diagnosis,
            train_lesions_loss=lesions if learns_lesions(self.network, self._train.labels, self._training) else None,
            train_auroc=auroc(self._all_logits().numpy(), self._train.labels[:, 0]),
            validation_diagnosis_loss=watched.diagnosis_loss,
            validation_lesions_loss=watched.lesions_loss,
            validation_auroc=watched.auroc,
            validation_lesions_auroc=watched.lesions_auroc,
            learning_rate=self._learning_rate,
            images_per_second=self._n_done_here / trained_s,
            seconds=self._spent_s(),
            peak_memory_bytes=peak_memory_bytes(self.accelerator.device),
        )
        self.records.append(record)
        self._begin_epoch()
        return record

    def agree(self, wanted: bool) -> bool:
        """Return what the first process wants; all must ask."""
        if self.accelerator.num_processes == 1:
            return wanted
        vote = torch.tensor(float(wanted and self.accelerator.is_main_process), device=self.accelerator.device)
        return bool(self.accelerator.reduce(vote, "sum"))

    def checkpoint(self) -> Checkpoint:
        """Return where the fit stands; all processes must ask."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
        tensors |= {"epoch.losses": self._losses, "epoch.logits": self._all_logits()}
        scaler = self.accelerator.scaler
        return Checkpoint(
            seed=self._seed,
            step=self.step,
            n_steps=self.n_steps,
            micro_batch=self._gradients.micro_batch,
            scaler=scaler.state_dict() if scaler is not None else {},
            epoch_seconds=self._spent_s() if self.step % self._n_batches else 0.0,
            records=tuple(self.records),
            tensors={name: tensor.detach().cpu() for name, tensor in tensors.items()},
        )

    def take_up(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            TrainingError: it is not of this fit.
        """
        foreign = TrainingError(
            "the checkpoint belongs to another fit; train with the configuration and data that it was written with"
        )
        if (checkpoint.seed, checkpoint.n_steps) != (self._seed, self.n_steps):
            raise foreign
        try:
            self.network.load_state_dict(checkpoint.of("network."))
            self._losses, self._logits = checkpoint.of("epoch.")["losses"], checkpoint.of("epoch.")["logits"]
            _load_optimizer(self._optimizer, checkpoint.of("optimizer."))
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            raise foreign from error
        if self.accelerator.scaler is not None and checkpoint.scaler:
            self.accelerator.scaler.load_state_dict(checkpoint.scaler)
        self.step, self.records = checkpoint.step, list(checkpoint.records)
        self._gradients.micro_batch = self._gradients.micro_batch or checkpoint.micro_batch
        self._spent_before_s = checkpoint.epoch_seconds

    def release(self) -> None:
        """Give the network back: on the CPU, in evaluation mode, by itself."""
        self.accelerator.unwrap_model(self._model, keep_fp32_wrapper=False, keep_torch_compile=False)
        self.accelerator.free_memory()
        self.network.cpu().to(memory_format=torch.contiguous_format).eval()

    def _update(self, epoch: int, number: int, batch: Batch) -> None:
        self._learning_rate = set_learning_rates(self._optimizer, self._training, self.step, self._n_batches)
        seed = random_seed(_DROPOUT_STREAM, self._seed, epoch, number)
        computed = self._gradients.compute(batch, seed)
        losses: Tensor = self.accelerator.reduce(computed.losses, "sum")
        if not bool(torch.isfinite(losses).all()):
            raise NonFiniteLossError(epoch, tuple(sorted(batch.rows.tolist())))
        self._optimizer.step()
        self._losses += losses.cpu().double() * len(batch.rows)
        self._logits[torch.from_numpy(batch.rows[batch.part])] = computed.diagnosis.cpu()
        self._n_done_here += len(batch.rows)

    def _begin_epoch(self) -> None:
        self._losses = torch.zeros(2, dtype=torch.float64)
        self._logits = torch.full((len(self._train.pixels),), torch.nan)
        self._began_s, self._spent_before_s, self._n_done_here = time.perf_counter(), 0.0, 0

    def _spent_s(self) -> float:
        return self._spent_before_s + time.perf_counter() - self._began_s

    def _all_logits(self) -> Tensor:
        """Return the epoch's logits of the diagnosis so far, of all processes; NaN for rows to come."""
        own: list[Tensor] = gather_object([self._logits])
        return torch.from_numpy(np.fmax.reduce([logits.numpy() for logits in own]))


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state.items():
        for key, tensor in values.items():
            if tensor.shape == parameters[index].shape:  # sums must be computed in the same order as before
                values[key] = torch.empty_like(parameters[index]).copy_(tensor)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
