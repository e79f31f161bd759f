"""The first fit of heads that see pooled statistics: before the backbone is tuned, to what ImageNet taught it.

Gradients through heads that know nothing would distort the backbone first (Kumar, Raghunathan, Jones, Ma, Liang 2022,
arXiv:2202.10054, where this is linear probing).
"""

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels, Shard, evaluation_batches
from ladnn.errors import TrainingError
from ladnn.model.loss import known_labels
from ladnn.model.network import LADNN
from ladnn.model.pooling import StatisticsPooling, statistics
from ladnn.progress import say
from ladnn.training.devices import ran_out_of_memory
from ladnn.training.step import OutOfMemoryError, half_of

_MOST_SLICES = 5000  # evenly spaced in a larger training part: memory, for what more slices would hardly change
_AT_A_TIME = 8  # which needs far less memory than a step
_MOST_ITERATIONS = 1000


def fit_heads(
    network: LADNN,
    train: LabelledPixels,
    training: TrainingConfig,
    accelerator: Accelerator,
    micro_batch: int | None = None,
) -> None:
    """Fit the scale of pooled statistics and, to these, the heads; the backbone stays as it is.

    Each head becomes the logistic regression with the penalty `training.head_penalty` on slices as they are and, where
    training mirrors them, mirrored, whose labels are known; it stays at zero where all of them are the same. Of several
    processes each computes its shard of the statistics, and all take over what the first one fitted.

    Args:
        network: with `StatisticsPooling`.
        train: slices to learn from.
        training: the recipe.
        accelerator: of the fit; all of its processes must call this.
        micro_batch: images at a time at most.

    Raises:
        TrainingError: the statistics of a slice are not finite.
        OutOfMemoryError: memory does not suffice for one image, or, where processes share the slices, for the present size.
    """
    pooling = network.embedding
    if not isinstance(pooling, StatisticsPooling):
        raise TypeError(f"heads are fitted to pooled statistics, not to {type(pooling).__name__}")
    rows = np.linspace(0, len(train.pixels) - 1, min(len(train.pixels), _MOST_SLICES)).astype(np.int64)
    if accelerator.is_main_process:
        say(f"  fitting the heads to {len(rows)} slices")
    own = _shard_of_statistics(network, train, rows, training, accelerator, micro_batch)
    views = [torch.cat(shards) for shards in zip(*gather_object([own]), strict=True)]
    _check_finite(views, rows)
    if accelerator.is_main_process:
        found = torch.cat(views)
        pooling.fit(found.to(pooling.centre.device))
        inputs = ((found - pooling.centre.cpu()) / pooling.spread.cpu()).double().numpy()
        _fit(network, inputs, np.concatenate([train.labels[rows]] * len(views)), training)
    for tensor in (pooling.centre, pooling.spread, *(p.data for head in network.heads() for p in head.parameters())):
        tensor.copy_(broadcast(tensor))


def _shard_of_statistics(
    network: LADNN,
    train: LabelledPixels,
    rows: NDArray[np.int64],
    training: TrainingConfig,
    accelerator: Accelerator,
    micro_batch: int | None,
) -> list[Tensor]:
    """Return the statistics of this process's slices, one tensor (n, features) for each way that they are shown."""
    mirrors = training.augmentation.enabled and training.augmentation.mirror
    views = (False, True) if mirrors else (False,)
    size = min(_AT_A_TIME, micro_batch or _AT_A_TIME)
    network.eval()
    while True:
        try:
            with torch.no_grad(), accelerator.autocast():
                return [_statistics(network, train, rows, accelerator, size, is_mirrored) for is_mirrored in views]
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            if accelerator.num_processes > 1:
                raise OutOfMemoryError(size) from error
        size = half_of(size, " while the heads are fitted", "what is fitted stays the same")


def _statistics(
    network: LADNN,
    train: LabelledPixels,
    rows: NDArray[np.int64],
    accelerator: Accelerator,
    size: int,
    is_mirrored: bool,
) -> Tensor:
    shard = Shard(accelerator.process_index, accelerator.num_processes)
    found = [torch.empty(0, network.diagnosis.in_features, dtype=network.diagnosis.weight.dtype)]
    for pixels in evaluation_batches(train, size, accelerator.device, shard, rows):
        found.append(statistics(network.feature_maps(pixels.flip(-1) if is_mirrored else pixels)).cpu())
    return torch.cat(found)


def _check_finite(views: list[Tensor], rows: NDArray[np.int64]) -> None:
    broken = ~torch.stack([view.isfinite().all(dim=1) for view in views]).all(dim=0)
    if broken.any():
        raise TrainingError(
            f"the backbone's statistics are not finite on training rows {rows[broken.numpy()][:20].tolist()}; look at "
            "these images, and check the ImageNet weights"
        )


def _fit(network: LADNN, inputs: NDArray[np.float64], labels: NDArray[np.float32], training: TrainingConfig) -> None:
    known = known_labels(torch.from_numpy(labels), training).numpy()
    outputs = [(head, row) for head in network.heads() for row in range(head.out_features)]
    for column, (head, row) in enumerate(outputs):
        learned = known[:, column]
        _fit_output(head, row, inputs[learned], labels[learned, column], training.head_penalty)


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
