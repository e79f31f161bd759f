"""The joint loss of diagnosis and lesions; what is unknown has no part in it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ladnn.config_training import TrainingConfig


@dataclass(frozen=True, slots=True)
class JointLoss:
    """Loss of a batch, scalars in nats.

    Attributes:
        total: diagnosis_weight * diagnosis + lesion_weight * lesions; this is what is minimised.
        diagnosis: mean cross-entropy over the known diagnoses.
        lesions: mean cross-entropy over the known lesions of all images; 0 where nothing is known, or no head.
    """

    total: Tensor
    diagnosis: Tensor
    lesions: Tensor


def known_labels(labels: Tensor, training: TrainingConfig) -> Tensor:
    """Return which labels are learned from, bool (B, 6).

    Args:
        labels: float (B, 6) of 1, 0 or NaN for unknown.
        training: `lesion_mask` "unknown" leaves out unknown labels alone; "unnamed" also all lesions of images that
            name none of the five, as the authors' released code does.
    """
    known = ~torch.isnan(labels)
    if training.lesion_mask == "unnamed":
        known[:, 1:] &= (labels[:, 1:] == 1).any(dim=1, keepdim=True)
    return known


def count_known(labels: Tensor, training: TrainingConfig) -> Tensor:
    """Count the labels that are learned from: diagnoses and lesions, int64 (2,) on the labels' device."""
    known = known_labels(labels, training)
    return torch.stack([known[:, 0].sum(), known[:, 1:].sum()])


def joint_loss(logits: Tensor, labels: Tensor, training: TrainingConfig, n_known: Tensor | None = None) -> JointLoss:
    """Compute the weighted sum of the two heads' losses.

    As in the paper both errors reach the shared backbone; the authors' released code weights diagnosis 5 : 1. A
    baseline keeps the weight of its diagnosis, so that both are alike.

    Args:
        logits: float (B, 6) in the order of `ladnn.labels.LABELS`, or (B, 1) for a baseline.
        labels: float (B, 6) of 1, 0 or NaN for unknown.
        training: weights, masking rule and smoothing: targets become s / 2 and 1 - s / 2.
        n_known: `count_known` of the whole batch, where this is a shard of it: the losses of all shards then sum to
            that of the whole. None takes the shard's own.
    """
    n_diagnoses, n_lesions = (count_known(labels, training) if n_known is None else n_known).clamp(min=1)
    targets, known = labels[:, : logits.shape[1]], known_labels(labels, training)[:, : logits.shape[1]]
    # The targets must be finite before the loss: NaN times a mask of zero would still be NaN, also in the gradient.
    smooth = torch.where(known, targets, 0.0) * (1 - training.label_smoothing) + training.label_smoothing / 2
    entropies = binary_cross_entropy_with_logits(logits.float(), smooth, reduction="none")
    losses = torch.where(known, entropies, 0.0)
    diagnosis, lesions = losses[:, 0].sum() / n_diagnoses, losses[:, 1:].sum() / n_lesions
    return JointLoss(training.diagnosis_weight * diagnosis + training.lesion_weight * lesions, diagnosis, lesions)
