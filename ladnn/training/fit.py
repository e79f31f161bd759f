"""The fit of one network: optimiser, learning-rate schedule, devices, and a record of every epoch.

The weights of the last epoch are kept: the schedule ends at zero, and the best of many epochs on a small validation
part would be picked by chance. Given the same arrays, configuration, seed and machine, a fit on the CPU ends in the
same weights, bit for bit.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.optim import AdamW

from ladnn.config import TrainingConfig
from ladnn.dataset.pipeline import (
    Batch,
    LabelledPixels,
    check,
    epoch_seed,
    evaluation_batches,
    n_training_batches,
    training_batches,
)
from ladnn.errors import DatasetError, TrainingError
from ladnn.model.loss import joint_loss
from ladnn.model.network import LADNN
from ladnn.training.result import EpochRecord


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; `rows` are the batch's positions in the training arrays."""

    def __init__(self, epoch: int, rows: tuple[int, ...]) -> None:
        super().__init__(
            f"the loss of epoch {epoch} is not finite on training rows {list(rows)}; "
            "lower training.learning_rate, and look at the labels of these rows"
        )
        self.rows = rows


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how a fit goes.

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
) -> list[EpochRecord]:
    """Train a network in place, on the GPU if there is one; it ends on the CPU, in evaluation mode.

    Args:
        network: its global statistics and weights change.
        train: slices to learn from.
        validation: slices to watch only; nothing is chosen by them.
        training: the recipe.
        seed: of order, augmentation and drop-out; torch's global generators are left alone.
        progress: who is told.

    Raises:
        DatasetError: the arrays do not fit together, or there are too few images: two to train, one to validate.
        TrainingError: the weights became NaN or infinite.
        NonFiniteLossError: the loss became NaN or infinite.
    """
    check(train)
    check(validation)
    if len(validation.pixels) == 0:
        raise DatasetError("the validation part is empty; freeze a dataset version with more patients")
    loop = _Loop(network, training, n_training_batches(len(train.pixels), training.batch_size), seed)
    records = []
    try:
        for epoch in range(1, training.epochs + 1):
            records.append(loop.run_epoch(epoch, train, validation, progress.on_step))
            progress.on_epoch(records[-1])
    finally:
        network.cpu().to(memory_format=torch.contiguous_format).eval()
    return records


def learning_rate_factor(step: int, n_steps: int, n_warmup_steps: int) -> float:
    """Return the share of the peak learning rate at a step.

    Linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).

    Args:
        step: from 0 to n_steps - 1.
        n_steps: steps of the fit.
        n_warmup_steps: steps of the warm-up.
    """
    if step < n_warmup_steps:
        return (step + 1) / n_warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup_steps) / (n_steps - n_warmup_steps)))


class _Loop:
    """State that lasts over the epochs of one fit."""

    def __init__(self, network: LADNN, training: TrainingConfig, n_batches: int, seed: int) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.training, self.seed = training, seed
        self.n_steps, self.step = n_batches * training.epochs, 0
        self.n_warmup_steps = min(round(training.warmup_epochs * n_batches), self.n_steps - 1)
        self.optimizer = AdamW(_parameter_groups(network, training.weight_decay), lr=training.learning_rate)

    def run_epoch(
        self, epoch: int, train: LabelledPixels, validation: LabelledPixels, on_step: Callable[[int, int], None]
    ) -> EpochRecord:
        started_s = time.perf_counter()
        with _seeded(self.device, epoch_seed(self.seed, epoch)):
            diagnosis, lesions = self._train(epoch, train, on_step)
        trained_s = time.perf_counter() - started_s
        validation_losses, auroc = self._validate(validation)
        return EpochRecord(
            epoch=epoch,
            train_diagnosis_loss=diagnosis,
            train_lesions_loss=None if self.network.lesions is None else lesions,
            validation_diagnosis_loss=validation_losses[0],
            validation_lesions_loss=validation_losses[1],
            validation_auroc=auroc,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            images_per_second=len(train.pixels) / trained_s,
            seconds=time.perf_counter() - started_s,
        )

    def _train(self, epoch: int, train: LabelledPixels, on_step: Callable[[int, int], None]) -> tuple[float, float]:
        """Return the epoch's mean losses of diagnosis and lesions."""
        self.network.train()
        losses = torch.zeros(2, device=self.device)
        for batch in training_batches(train, self.training.batch_size, self.seed, epoch, self.device):
            losses += self._update(epoch, batch) * len(batch.rows) / len(train.pixels)
            self.step += 1
            on_step(self.step, self.n_steps)
        diagnosis, lesions = losses.tolist()
        return diagnosis, lesions

    def _update(self, epoch: int, batch: Batch) -> Tensor:
        factor = learning_rate_factor(self.step, self.n_steps, self.n_warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.learning_rate * factor
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.network(batch.pixels)
        loss = joint_loss(logits, batch.labels, self.training)
        if not torch.isfinite(loss.total):
            raise NonFiniteLossError(epoch, tuple(sorted(batch.rows.tolist())))
        self.optimizer.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return torch.stack([loss.diagnosis, loss.lesions]).detach()

    @torch.no_grad()
    def _validate(self, validation: LabelledPixels) -> tuple[tuple[float | None, float | None], float | None]:
        self.network.eval()
        batches = evaluation_batches(validation, self.training.batch_size, self.device)
        logits = torch.cat([self.network(batch.pixels).cpu() for batch in batches])
        if not torch.isfinite(logits).all():
            raise TrainingError("the logits on validation are not finite; lower training.learning_rate")
        labels = torch.from_numpy(np.array(validation.labels))
        loss = joint_loss(logits, labels, self.training.model_copy(update={"label_smoothing": 0.0}))
        known = ~torch.isnan(labels)
        knows_lesions = self.network.lesions is not None and bool(known[:, 1:].any())
        diagnosed = known[:, 0]
        losses = (
            float(loss.diagnosis) if bool(diagnosed.any()) else None,
            float(loss.lesions) if knows_lesions else None,
        )
        return losses, _auroc(logits[diagnosed, 0], labels[diagnosed, 0])


def _auroc(logits: Tensor, labels: Tensor) -> float | None:
    has_both = bool((labels == 0).any()) and bool((labels == 1).any())
    return float(roc_auc_score(labels.numpy(), logits.numpy())) if has_both else None


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Exempt biases and batch-norm scales, which have one dimension, from the weight decay."""
    parameters = list(network.parameters())
    return [
        {"params": [item for item in parameters if item.ndim > 1], "weight_decay": weight_decay},
        {"params": [item for item in parameters if item.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generators that drop-out draws from, and restore them: it takes no generator of its own."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
