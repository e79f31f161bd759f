"""Batches for training and validation, from arrays: seeded order, prepared while the step before is computed.

A batch depends only on the arrays, the recipe, the seed, the epoch and its number, so that a fit can be taken up at
any step, and several processes can each prepare their shard of it.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ladnn.config_training import Augmentation
from ladnn.dataset.augmentation import draw_variations, vary
from ladnn.errors import DatasetError
from ladnn.labels import LABELS
from ladnn.prefetch import map_ahead

_N_AHEAD = 2
_ORDER_STREAM, _VARIATION_STREAM = 1, 2


class LabelledPixels(NamedTuple):
    """Slices with their labels.

    Attributes:
        pixels: uint8 (N, S, S); may be a memory map.
        labels: float32 (N, 6) in the order of `ladnn.labels.LABELS`, NaN where unknown.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of each batch that one of several processes computes."""

    rank: int = 0
    n_shards: int = 1

    def of(self, n: int) -> slice:
        """Return which of n items are this shard's; the shards are contiguous and nearly equal."""
        return slice(n * self.rank // self.n_shards, n * (self.rank + 1) // self.n_shards)


@dataclass(frozen=True, slots=True)
class Batch:
    """Slices of one step.

    Attributes:
        rows: the positions of the whole batch in the arrays.
        labels: of the whole batch, float32 (B, 6), on the device, NaN where unknown.
        part: which of these rows the pixels are: all, or those of one shard.
        pixels: of that part, uint8 (part, S, S), on the device.
    """

    rows: npt.NDArray[np.int64]
    labels: Tensor
    part: slice
    pixels: Tensor


def n_training_batches(n_images: int, batch_size: int) -> int:
    """Return the steps of an epoch: batches of nearly equal size, none of one image, which breaks batch norm."""
    return min(math.ceil(n_images / batch_size), n_images // 2)


@dataclass(frozen=True, slots=True)
class TrainingSampler:
    """Each image once an epoch, in a random order, at random variations.

    Attributes:
        batch_size: images a batch at most; a part of an odd number of images may need one more in a batch of two.
        seed: of the fit.
        augmentation: how far images are varied.
        device: where batches are left; a GPU varies them itself.
        shard: the part of each batch that this process computes.
    """

    batch_size: int
    seed: int
    augmentation: Augmentation = Augmentation()  # noqa: RUF009 (frozen)
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)
    shard: Shard = Shard()

    def batches(self, data: LabelledPixels, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches; the next ones are prepared by another thread meanwhile.

        Args:
            data: the training part.
            epoch: from 1.
            first: number of the first batch that is wanted, from 0.

        Raises:
            DatasetError: the arrays do not fit together, or hold fewer than two images.
        """
        check(data)
        n_batches = n_training_batches(len(data.pixels), self.batch_size)
        if n_batches == 0:
            raise DatasetError(f"training needs at least 2 images, the training part has {len(data.pixels)}")
        order = torch.randperm(len(data.pixels), generator=_generator(_ORDER_STREAM, self.seed, epoch)).numpy()
        wanted = list(enumerate(np.array_split(order, n_batches)))[first:]
        with ThreadPoolExecutor(1) as thread:
            prepared = map_ahead(thread, lambda item: self._prepare(data, epoch, *item), wanted, _N_AHEAD)
            for batch, variations in prepared:
                pixels = batch.pixels.to(self.device, non_blocking=True)
                labels = batch.labels.to(self.device, non_blocking=True)
                if self.device.type != "cpu" and variations is not None:
                    pixels = vary(pixels, variations.to(self.device))
                yield Batch(batch.rows, labels, batch.part, pixels)

    def _prepare(
        self, data: LabelledPixels, epoch: int, number: int, rows: npt.NDArray[np.int64]
    ) -> tuple[Batch, Tensor | None]:
        """Return a batch in memory, with the variations that its pixels are still to have, if any."""
        part = self.shard.of(len(rows))
        pixels, labels = (
            torch.from_numpy(np.asarray(values)[chosen])
            for values, chosen in ((data.pixels, rows[part]), (data.labels, rows))
        )
        variations = None
        if self.augmentation.enabled:
            # Drawn for the whole batch, so that they do not depend on how it is shared.
            generator = _generator(_VARIATION_STREAM, self.seed, epoch, number)
            variations = draw_variations(len(rows), self.augmentation, generator)[part]
        if self.device.type != "cpu":
            return Batch(rows, labels.pin_memory(), part, pixels.pin_memory()), variations
        return Batch(rows, labels, part, pixels if variations is None else vary(pixels, variations)), None


def evaluation_batches(
    data: LabelledPixels,
    batch_size: int,
    device: torch.device,
    shard: Shard = Shard(),
    rows: npt.NDArray[np.int64] | None = None,
) -> Iterator[Tensor]:
    """Yield each slice of a shard once, in order, as it is: uint8 (B, S, S), on the device.

    Args:
        data: slices with their labels.
        batch_size: slices a batch at most.
        device: where they are wanted.
        shard: of which part of the rows.
        rows: positions in the arrays; None takes all.

    Raises:
        DatasetError: the arrays do not fit together.
    """
    check(data)
    rows = np.arange(len(data.pixels)) if rows is None else rows
    own = rows[shard.of(len(rows))]
    for start in range(0, len(own), batch_size):
        yield torch.from_numpy(np.array(data.pixels[own[start : start + batch_size]])).to(device)


def random_seed(*parts: int) -> int:
    """Return a 64-bit seed that no other sequence of whole numbers shares in practice, but for zeros at its end."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def check(data: LabelledPixels) -> None:
    """Check types and shapes.

    Raises:
        DatasetError: the arrays do not fit together.
    """
    pixels, labels = data.pixels, data.labels
    square = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[1] == pixels.shape[2]
    if not square or labels.dtype != np.float32 or labels.shape != (len(pixels), len(LABELS)):
        raise DatasetError(
            f"a part must be uint8 (N, S, S) pixels with float32 (N, {len(LABELS)}) labels, not {pixels.dtype} "
            f"{pixels.shape} with {labels.dtype} {labels.shape}; build it from a dataset version"
        )


def _generator(*parts: int) -> torch.Generator:
    return torch.Generator().manual_seed(random_seed(*parts))
