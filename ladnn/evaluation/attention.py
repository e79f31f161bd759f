"""Attention maps: where in a slice a logit comes from, by Grad-CAM++, from the served files and without torch.

Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, WACV 2018, arXiv:1710.11063, equations 7 and 19. Their
gradient needs no automatic differentiation here: what follows the maps is written out in `ladnn.evaluation.heads`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from ladnn.dataset.canonical_form import locate
from ladnn.evaluation.heads import Heads
from ladnn.model.graph import InferenceGraph
from ladnn.model.preprocessing import Preprocessing
from ladnn.store import ObjectStore
from ladnn.training.result import Trained, read_file

Pixels = NDArray[np.uint8]
Maps = NDArray[np.float32]

_EPSILON = 1e-6
"""Keeps a channel with a vanishing gradient from dividing zero by zero; the value of the package grad-cam."""
FINENESS = 4
"""Points a cell's side at which maps are computed on a picture; 4 samples a map of 7 x 7 cells at 28 x 28."""
_SMOOTHING_CELLS = 0.75
"""Standard deviation of the Gaussian that smooths a map of points closer than its cells, in cells.

Neighbouring points see nearly the same; what they differ by is noise, which a peak would follow. Chosen on phantoms of
their own (DECISIONS.md).
"""
_LEAST_PEAK = 1e-7
"""Added to a map's peak before dividing by it, so that an empty map stays empty; the same package's value."""


@dataclass(frozen=True, slots=True)
class AttentionSource:
    """A model that can be asked where it looks: its graph, its heads, and how it frames a slice."""

    graph: InferenceGraph
    heads: Heads
    preprocessing: Preprocessing

    @classmethod
    def of_files(cls, graph: bytes, weights: bytes, preprocessing: Preprocessing) -> "AttentionSource":
        """Read the graph and the weights that were exported together.

        Raises:
            BundleError: either is damaged, or the weights hold no heads.
        """
        return cls(InferenceGraph(graph), Heads.read(weights), preprocessing)

    @classmethod
    def of_trained(cls, store: ObjectStore, trained: Trained) -> "AttentionSource":
        """Read what training left behind; a baseline, which has no bundle, can be asked, too.

        Raises:
            DigestMismatchError: a file is not the one that training wrote.
        """
        return cls.of_files(read_file(store, trained.graph), read_file(store, trained.weights), trained.preprocessing)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that the model has a head for."""
        return self.heads.labels

    def on_picture(self, pixels: Pixels, labels: Sequence[str] | None = None, fineness: int = FINENESS) -> Maps:
        """Return the maps of one slice of any size on its own pixels, float32 (L, H, W) in [0, 1]; see `fine_maps`."""
        maps = fine_maps(self.graph, self.heads, self.preprocessing.apply(pixels), labels, fineness)
        return np.stack([onto_picture(map_, self.preprocessing, pixels) for map_ in maps])


def attention_maps(
    graph: InferenceGraph, heads: Heads, pixels: Pixels, labels: Sequence[str] | None = None, batch_size: int = 4
) -> Maps:
    """Return one map for each slice and label, at the resolution of the maps that the heads see.

    A map is the ReLU of the weighted sum of the feature maps, scaled to [0, 1]; it is all zero where nothing in the
    slice speaks for the label. Each is scaled by itself: compare places within a map, not values between maps.

    Args:
        graph: gives the feature maps.
        heads: of the same network.
        pixels: preprocessed slices, uint8 (N, S, S).
        labels: of `ladnn.labels.LABELS` (L); `None` takes all that the network has.
        batch_size: slices whose feature maps are held at a time.

    Returns:
        float32 (N, L, h, w).

    Raises:
        BundleError: the network has no head for a label.
    """
    chosen = heads.select(heads.labels if labels is None else labels)
    pieces = []
    for start in range(0, max(len(pixels), 1), batch_size):
        _, maps = graph.logits_and_maps(pixels[start : start + batch_size])
        pieces.append(scale(grad_cam_plus_plus(chosen, maps)))
    return np.concatenate(pieces)


def fine_maps(
    graph: InferenceGraph,
    heads: Heads,
    pixels: Pixels,
    labels: Sequence[str] | None = None,
    fineness: int = FINENESS,
) -> Maps:
    """Return the maps of one slice at more points than its feature maps have cells.

    The slice is shifted by parts of a cell, and the maps that it gives are interleaved (shift and stitch: Long,
    Shelhamer, Darrell, CVPR 2015, arXiv:1411.4038, section 3.2): the same features, asked at the points between. The
    channels are weighed as for the slice where it lies. The result is smoothed by three quarters of a cell. With a
    fineness of 1 it is that of `attention_maps`.

    Args:
        graph: gives the feature maps.
        heads: of the same network.
        pixels: a preprocessed slice, uint8 (S, S); shifted, it is continued by its edge.
        labels: as for `attention_maps` (L).
        fineness: points along a cell's side; the graph runs on the slice itself and once for each other shift.

    Returns:
        float32 (L, fineness * h, fineness * w).

    Raises:
        BundleError: the network has no head for a label.
    """
    chosen = heads.select(heads.labels if labels is None else labels)
    _, maps = graph.logits_and_maps(pixels[None])
    own = chosen.non_negative(maps)
    weights = _weights(chosen, maps, own)[0]
    _, n_channels, height, width = own.shape
    rows, columns = (_shifts(fineness, len(pixels) / n_cells) for n_cells in (height, width))
    summed = {(0, 0): weights @ own[0].reshape(n_channels, -1).astype(np.float64)}
    fine = np.empty((len(chosen.labels), height, fineness, width, fineness))
    for row, down in enumerate(rows):
        missing = [right for right in dict.fromkeys(columns) if (down, right) not in summed]
        if missing:
            _, shifted = graph.logits_and_maps(np.stack([_shift(pixels, down, right) for right in missing]))
            for right, of_shift in zip(missing, chosen.non_negative(shifted), strict=True):
                summed[down, right] = weights @ of_shift.reshape(n_channels, -1).astype(np.float64)
        for column, right in enumerate(columns):
            fine[:, :, row, :, column] = summed[down, right].reshape(-1, height, width)
    positive = np.maximum(fine, 0).reshape(-1, height * fineness, width * fineness)
    if fineness > 1:
        positive = gaussian_filter(positive, _SMOOTHING_CELLS * fineness, axes=(1, 2), mode="nearest")
    return scale(positive)


def _shifts(fineness: int, cell_px: float) -> list[int]:
    """Return by how many pixels the points of a cell lie beside its middle, first to last."""
    return [round(cell_px * ((point + 0.5) / fineness - 0.5)) for point in range(fineness)]


def _shift(pixels: Pixels, down: int, right: int) -> Pixels:
    """Return what a window over the slice (S, S) sees that is moved by so many pixels."""
    places = np.arange(len(pixels))
    rows, columns = (np.clip(places + by, 0, len(pixels) - 1) for by in (down, right))
    return pixels[np.ix_(rows, columns)]


def grad_cam_plus_plus(heads: Heads, maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weigh feature maps by equations 7 and 19 and sum them; negative sums become 0 (equation 8).

    Args:
        heads: of L labels.
        maps: of the graph, (N, C, h, w).

    Returns:
        float64 (N, L, h, w), not scaled.
    """
    seen = heads.non_negative(maps)
    n, n_channels, height, width = seen.shape
    summed = _weights(heads, maps, seen) @ seen.reshape(n, n_channels, height * width).astype(np.float64)
    positive: NDArray[np.float64] = np.maximum(summed, 0).reshape(*summed.shape[:2], height, width)
    return positive


def _weights(heads: Heads, maps: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return `channel_weights` (N, L, C) of what is seen of maps.

    It goes by one label at a time: the gradients of all of them may take gigabytes.
    """
    each = [channel_weights(seen, heads.select([label]).gradients(maps)) for label in heads.labels]
    return np.concatenate(each, axis=1)


def channel_weights(maps: NDArray[np.float32], gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each feature map speaks for each label, float64 (N, L, C), by equations 7 and 19.

    Args:
        maps: (N, C, h, w).
        gradients: of L logits with respect to the maps, (N or 1, L, C, h or 1, w or 1); 1 where all are the same.
    """
    height, width = maps.shape[2:]
    sums = maps.sum(axis=(2, 3), dtype=np.float64)[:, None, :, None, None]
    squared = gradients**2
    alphas = squared / (2 * squared + sums * squared * gradients + _EPSILON)
    alike = height * width / (gradients.shape[3] * gradients.shape[4])
    weights: NDArray[np.float64] = (np.maximum(gradients, 0) * alphas).sum(axis=(3, 4)) * alike
    return weights


def scale(maps: NDArray[np.float64]) -> Maps:
    """Scale each map (..., h, w) to [0, 1] by its own least and greatest value."""
    lifted = maps - maps.min(axis=(-2, -1), keepdims=True)
    scaled: Maps = (lifted / (lifted.max(axis=(-2, -1), keepdims=True) + _LEAST_PEAK)).astype(np.float32)
    return scaled


def upsample(map_: Maps, height: int, width: int) -> Maps:
    """Bring one map (h, w) to (height, width): bilinear between the centres of its cells, flat beyond the outermost.

    It is scaled to [0, 1] again, since no pixel need lie on the centre of the highest cell.
    """
    resized = Image.fromarray(np.ascontiguousarray(map_)).resize((width, height), Image.Resampling.BILINEAR)
    return scale(np.array(resized, dtype=np.float64))


def onto_picture(map_: Maps, preprocessing: Preprocessing, pixels: Pixels) -> Maps:
    """Lay a map of a preprocessed slice onto the slice itself, float32 (H, W); 0 where the network saw nothing.

    Args:
        map_: (h, w).
        preprocessing: that was applied.
        pixels: the slice before it, uint8 (H, W).
    """
    height, width = pixels.shape
    if preprocessing.form is None:
        return upsample(map_, height, width)
    left, top, right, bottom = (round(edge) for edge in locate(pixels, preprocessing.form.margin_px).box)
    whole = np.zeros((height, width), dtype=np.float32)
    whole[top:bottom, left:right] = upsample(map_, bottom - top, right - left)
    return whole
