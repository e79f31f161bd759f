"""Linear probing: what follows the backbone is fitted to what ImageNet taught it, before any of it is tuned.

Gradients through heads that know nothing would distort the backbone first (Kumar, Raghunathan, Jones, Ma, Liang 2022,
arXiv:2202.10054).
"""

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ladnn.config import TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels, Shard, evaluation_batches
from ladnn.model.loss import known_labels
from ladnn.model.network import LADNN
from ladnn.model.pooling import StatisticsPooling, statistics

_MOST_SLICES = 5000  # of a large training part, evenly spaced; its penalty hardly matters beyond
_AT_A_TIME = 8  # which needs far less memory than a step
_MOST_ITERATIONS = 1000


def probe(network: LADNN, train: LabelledPixels, training: TrainingConfig, accelerator: Accelerator) -> None:
    """Fit the scale of pooled statistics and, to these, the heads; the backbone stays as it is.

    Each head is the logistic regression with the penalty `training.probe_penalty` on slices as they are and mirrored,
    whose labels are known; it stays at zero where all of them are the same. Of several processes each computes its
    shard of the statistics, and all take over what the first one fitted.
    """
    pooling = network.embedding
    if not isinstance(pooling, StatisticsPooling):
        raise TypeError(f"linear probing needs pooled statistics, not {type(pooling).__name__}")
    rows = np.linspace(0, len(train.pixels) - 1, min(len(train.pixels), _MOST_SLICES)).astype(int)
    shown = LabelledPixels(train.pixels[rows], train.labels[rows])
    shard = Shard(accelerator.process_index, accelerator.num_processes)
    with torch.no_grad(), accelerator.autocast():
        own = [_statistics(network.eval(), shown, shard, is_mirrored, accelerator) for is_mirrored in _views(training)]
    found = torch.cat([torch.cat(shards) for shards in zip(*gather_object([own]), strict=True)])
    pooling.fit(found.to(pooling.centre.device))
    inputs = ((found - pooling.centre.cpu()) / pooling.spread.cpu()).double().numpy()
    labels = torch.from_numpy(np.concatenate([shown.labels] * len(own)))
    known = known_labels(labels, training)
    outputs = [(head, row) for head in network.heads() for row in range(head.out_features)]
    for column, (head, row) in enumerate(outputs):
        learned = known[:, column].numpy()
        _fit_output(head, row, inputs[learned], labels[learned, column].numpy(), training.probe_penalty)
    for tensor in (pooling.centre, pooling.spread, *(p.data for head in network.heads() for p in head.parameters())):
        tensor.copy_(broadcast(tensor))


def _views(training: TrainingConfig) -> tuple[bool, ...]:
    """Return whether the slices are mirrored, of each view of them."""
    return (False, True) if training.augmentation.enabled and training.augmentation.mirror else (False,)


def _statistics(
    network: LADNN, shown: LabelledPixels, shard: Shard, is_mirrored: bool, accelerator: Accelerator
) -> Tensor:
    batches = evaluation_batches(shown, _AT_A_TIME, accelerator.device, shard)
    mirrored = (pixels.flip(-1) if is_mirrored else pixels for pixels in batches)
    found = [statistics(network.feature_maps(pixels)).cpu() for pixels in mirrored]
    return torch.cat(found) if found else torch.empty(0, network.diagnosis.in_features)


def _fit_output(
    head: nn.Linear, row: int, inputs: NDArray[np.float64], labels: NDArray[np.float32], penalty: float
) -> None:
    if len(np.unique(labels)) < 2:
        return
    regression = LogisticRegression(C=1 / (penalty * len(labels)), max_iter=_MOST_ITERATIONS)
    regression.fit(inputs, labels)
    with torch.no_grad():
        head.weight[row] = torch.from_numpy(regression.coef_[0])
        head.bias[row] = float(regression.intercept_[0])
