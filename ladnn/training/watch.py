"""How well a network does in the middle of its training; nothing is chosen by it."""

from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels, Shard, evaluation_batches
from ladnn.errors import TrainingError
from ladnn.labels import DIAGNOSIS, LABELS
from ladnn.model.loss import count_known, joint_loss
from ladnn.model.network import LADNN


class Watched(NamedTuple):
    """Validation losses without smoothing and drop-out, and AUROCs; None for a value that does not exist."""

    diagnosis_loss: float | None
    lesions_loss: float | None
    auroc: float | None
    lesions_auroc: float | None


@torch.no_grad()
def watch(network: LADNN, validation: LabelledPixels, training: TrainingConfig, accelerator: Accelerator) -> Watched:
    """Measure a network on validation, each process on its shard; it is left in evaluation mode.

    Raises:
        TrainingError: its logits are not finite.
    """
    network.eval()
    shard = Shard(accelerator.process_index, accelerator.num_processes)
    batches = evaluation_batches(validation, training.batch_size, accelerator.device, shard)
    with accelerator.autocast():
        own = [network(pixels).float().cpu().numpy() for pixels in batches]
    logits = np.concatenate(gather_object(own))
    if not np.isfinite(logits).all():
        raise TrainingError("the logits on validation are not finite; lower training.learning_rate")
    labels = np.array(validation.labels)
    plain = training.model_copy(update={"label_smoothing": 0.0})
    loss = joint_loss(torch.from_numpy(logits), torch.from_numpy(labels), plain)
    known = ~np.isnan(labels)
    lesions = [auroc(logits[:, column], labels[:, column]) for column in range(1, logits.shape[1])]
    measurable = [value for value in lesions if value is not None]
    return Watched(
        float(loss.diagnosis) if bool(known[:, LABELS.index(DIAGNOSIS)].any()) else None,
        float(loss.lesions) if learns_lesions(network, labels, plain) else None,
        auroc(logits[:, 0], labels[:, 0]),
        float(np.mean(measurable)) if measurable else None,
    )


def learns_lesions(network: LADNN, labels: NDArray[np.float32], training: TrainingConfig) -> bool:
    """Return whether a part with labels (N, 6) has a lesion loss: one without a lesion that counts has none, not one of 0."""
    return network.lesions is not None and bool(count_known(torch.from_numpy(np.array(labels)), training)[1])


def auroc(logits: NDArray[np.float32], labels: NDArray[np.float32]) -> float | None:
    """Return the AUROC of logits (N,) by labels (N,) where these are known; None unless both classes are there."""
    known = ~np.isnan(labels)
    has_both = len(set(labels[known].tolist())) > 1
    return float(roc_auc_score(labels[known], logits[known])) if has_both else None
