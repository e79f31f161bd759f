"""Learning rates: which parameters share one, and how it changes over the steps of a fit."""

import math
from typing import Any

from torch.optim import AdamW, Optimizer

from ladnn.config_training import TrainingConfig
from ladnn.model.network import LADNN

_HEADS = ("diagnosis.", "lesions.")


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


def make_optimizer(network: LADNN, training: TrainingConfig) -> AdamW:
    """Return AdamW with parameters in groups; biases and batch-norm scales, of one dimension, do not decay."""
    groups: list[dict[str, Any]] = []
    learned = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    for is_head in (False, True):
        members = [p for name, p in learned if name.startswith(_HEADS) == is_head]
        groups += [
            {"params": [p for p in members if p.ndim > 1], "weight_decay": training.weight_decay, "is_head": is_head},
            {"params": [p for p in members if p.ndim <= 1], "weight_decay": 0.0, "is_head": is_head},
        ]
    return AdamW(groups, lr=training.learning_rate, fused=True)


def set_learning_rates(optimizer: Optimizer, training: TrainingConfig, step: int, n_batches: int) -> float:
    """Set the rates of a step, counted from 0, of epochs of some batches; return that of the heads."""
    n_steps = n_batches * training.epochs
    n_warmup_steps = min(round(training.warmup_epochs * n_batches), n_steps - 1)
    factor = learning_rate_factor(step, n_steps, n_warmup_steps)
    if training.schedule == "constant" and step >= n_warmup_steps:
        factor = 1.0
    is_frozen = step < training.frozen_epochs * n_batches
    for group in optimizer.param_groups:
        share = 1.0 if group["is_head"] else 0.0 if is_frozen else training.backbone_rate
        group["lr"] = training.learning_rate * factor * share
    return training.learning_rate * factor
