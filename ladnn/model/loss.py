"""The joint loss of diagnosis and lesions; what is unknown has no part in it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


@dataclass(frozen=True, slots=True)
class JointLoss:
    """Loss of a batch, scalars in nats.

    Attributes:
        total: diagnosis_weight * diagnosis + lesions; this is what is minimised.
        diagnosis: mean cross-entropy over the known diagnoses.
        lesions: mean cross-entropy over the known lesions of all images; 0 where nothing is known, or no head.
    """

    total: Tensor
    diagnosis: Tensor
    lesions: Tensor


def joint_loss(logits: Tensor, labels: Tensor, diagnosis_weight: float, label_smoothing: float) -> JointLoss:
    """Compute the weighted sum of the two heads' losses.

    As in the paper both errors reach the shared backbone; the authors' released code weights diagnosis 5 : 1 and counts
    lesions only on images that name one, which here is up to the labels (unknown is NaN).

    Args:
        logits: float (B, 6) in the order of `ladnn.labels.LABELS`, or (B, 1) for a baseline.
        labels: float (B, 6) of 1, 0 or NaN for unknown.
        diagnosis_weight: weight of the diagnosis against the lesions; a baseline keeps it, so that both are alike.
        label_smoothing: s in [0, 1); targets become s / 2 and 1 - s / 2.
    """
    diagnosis = _masked_mean(logits[:, :1], labels[:, :1], label_smoothing)
    lesions = _masked_mean(logits[:, 1:], labels[:, 1 : logits.shape[1]], label_smoothing)
    return JointLoss(diagnosis_weight * diagnosis + lesions, diagnosis, lesions)


def _masked_mean(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    known = ~torch.isnan(labels)
    # The targets must be finite before the loss: NaN times a mask of zero would still be NaN, also in the gradient.
    targets = torch.where(known, labels, 0.0) * (1 - label_smoothing) + label_smoothing / 2
    losses = binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)
