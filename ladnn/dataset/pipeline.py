"""Batches for training and validation, from arrays: seeded order and batch-wise augmentation with torch alone.

An epoch's batches depend only on the arrays, the seed and the epoch. Augmented pixels are 8-bit grey again, so that
training feeds the network just what evaluation and the service feed it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ladnn.errors import DatasetError
from ladnn.labels import LABELS

SCALE = (0.8, 1.2)
"""Magnification, drawn for each axis alike (authors' released code)."""
SHEAR = 0.2
"""Largest shear, in radians to either side (authors' released code)."""
ROTATION = math.radians(10)
"""Largest rotation, in radians to either side: a patient does not lie quite straight."""
TRANSLATION = 0.05
"""Largest shift, as a share of the image's side."""
CONTRAST = 0.2
"""Largest relative change of the contrast about the mean grey: window settings differ between hospitals."""
BRIGHTNESS = 0.1
"""Largest change of the brightness, as a share of white."""
GAMMA = 0.25
"""Largest change of the natural logarithm of gamma."""


class LabelledPixels(NamedTuple):
    """Slices with their labels.

    Attributes:
        pixels: uint8 (N, S, S); may be a memory map.
        labels: float32 (N, 6) in the order of `ladnn.labels.LABELS`, NaN where unknown.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Slices of one step.

    Attributes:
        rows: their positions in the arrays.
        pixels: uint8 (B, S, S), on the device.
        labels: float32 (B, 6), on the device, NaN where unknown.
    """

    rows: npt.NDArray[np.int64]
    pixels: Tensor
    labels: Tensor


def n_training_batches(n_images: int, batch_size: int) -> int:
    """Return the steps of an epoch: batches of nearly equal size, none of one image, which breaks batch norm."""
    return min(math.ceil(n_images / batch_size), n_images // 2)


def training_batches(
    data: LabelledPixels, batch_size: int, seed: int, epoch: int, device: torch.device
) -> Iterator[Batch]:
    """Yield each image once, in a random order, augmented.

    Args:
        data: the training part.
        batch_size: images a batch at most; a part of an odd number of images may need one more in a batch of two.
        seed: of the fit.
        epoch: from 1.
        device: where the batches are augmented and left.

    Raises:
        DatasetError: the arrays do not fit together, or hold fewer than two images.
    """
    check(data)
    n_batches = n_training_batches(len(data.pixels), batch_size)
    if n_batches == 0:
        raise DatasetError(f"training needs at least 2 images, the training part has {len(data.pixels)}")
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    order = torch.randperm(len(data.pixels), generator=generator).numpy()
    for rows in np.array_split(order, n_batches):
        batch = _batch(data, rows, device)
        yield Batch(rows, augment(batch.pixels, generator), batch.labels)


def evaluation_batches(data: LabelledPixels, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Yield each image once, in order, as it is.

    Raises:
        DatasetError: the arrays do not fit together.
    """
    check(data)
    for start in range(0, len(data.pixels), batch_size):
        yield _batch(data, np.arange(start, min(start + batch_size, len(data.pixels))), device)


def epoch_seed(seed: int, epoch: int) -> int:
    """Return a 64-bit seed that no other pair of seed and epoch shares in practice."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])


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


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random variation of each slice: affine map, horizontal flip, then contrast, brightness and gamma.

    Args:
        pixels: uint8 (B, S, S), on any device.
        generator: on the CPU, so that every device gets the same variations.

    Returns:
        uint8 (B, S, S); black where the map reaches beyond the slice.
    """
    images = pixels.float().div(255).unsqueeze(1)
    matrices = _affine_matrices(len(pixels), generator).to(pixels.device)
    grid = affine_grid(matrices, list(images.shape), align_corners=False)
    images = grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    images = _vary_grey(images, generator)
    return images.mul(255).round().clamp(0, 255).to(torch.uint8).squeeze(1)


def _batch(data: LabelledPixels, rows: npt.NDArray[np.int64], device: torch.device) -> Batch:
    pixels = torch.from_numpy(np.array(data.pixels[rows])).to(device)
    return Batch(rows, pixels, torch.from_numpy(np.array(data.labels[rows])).to(device))


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def _affine_matrices(n: int, generator: torch.Generator) -> Tensor:
    """Draw (n, 2, 3) maps from output to input, in coordinates of -1 to 1."""
    zoom = 1 / _uniform(n, *SCALE, generator)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    angle = _uniform(n, -ROTATION, ROTATION, generator)
    shear = torch.tan(_uniform(n, -SHEAR, SHEAR, generator))
    # A shift of the image's side is 2 in these coordinates.
    shift_x, shift_y = (_uniform(n, -2 * TRANSLATION, 2 * TRANSLATION, generator) for _ in range(2))
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([zoom * mirror * cos, zoom * mirror * (shear * cos - sin), shift_x], dim=1)
    row_y = torch.stack([zoom * sin, zoom * (shear * sin + cos), shift_y], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def _vary_grey(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change contrast, brightness and gamma of (B, 1, S, S) images of 0 to 1."""

    def draw(low: float, high: float) -> Tensor:
        return _uniform(len(images), low, high, generator).to(images.device).view(-1, 1, 1, 1)

    centre = images.mean(dim=(1, 2, 3), keepdim=True)
    contrasted = (images - centre) * draw(1 - CONTRAST, 1 + CONTRAST) + centre
    brightened = (contrasted + draw(-BRIGHTNESS, BRIGHTNESS)).clamp(0, 1)
    return brightened.pow(draw(-GAMMA, GAMMA).exp())
