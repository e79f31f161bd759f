"""Lays one picture upon another: shift and scale along both axes, as resizing, cropping and padding make them.

A placement `(y, scale_y, x, scale_x)` says where a point of the first picture lies in the second, in shares of their
sides: `y' = y + scale_y * y`. It is found by least squares on grey levels of reduced pictures, coarse to fine (Lucas
and Kanade 1981, IJCAI, section 4), with a soft norm, so that an arrow or a caption in one of them does not count much.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

SIDE_PX = 128
"""Both pictures are compared at this size, whatever their shape."""
_COARSE_PX, _MIDDLE_PX, _FINE_PX = 16, 32, 64
_EVEN_DEVIATION = 6.0
"""Standard deviation of grey levels up to which a row or column of pixels counts as margin."""
_LEAST_OVERLAP = 0.4
_MOST_DIFFERENCE = 0.05
"""Mean soft squared difference, in standard deviations, beyond which two pictures show different things."""
_SCALES = (0.85, 1.18)
"""Where the search starts besides equal size: a picture with margins of 8 % added, or taken off."""

_N_FITTED = 2
"""Starts that are worth improving, of all that are tried."""

Placement = NDArray[np.float64]


def reduced(pixels: NDArray[np.uint8], side_px: int = SIDE_PX) -> NDArray[np.float64]:
    """Return the picture averaged down (or stretched up) to float64 (side_px, side_px), 0 to 255."""
    kind = Image.Resampling.BOX if min(pixels.shape) >= side_px else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((side_px, side_px), kind), dtype=np.float64)


def content_box(pixels: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return top, left, bottom and right of what lies within even margins, in shares of the sides (0 to 1)."""
    small = reduced(pixels)
    top, bottom = _extent(small.std(axis=1))
    left, right = _extent(small[top:bottom].std(axis=0))
    return top / SIDE_PX, left / SIDE_PX, bottom / SIDE_PX, right / SIDE_PX


def align(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Placement | None:
    """Return the placement of uint8 (H, W) `first` in uint8 (h, w) `second` under which they differ least.

    None where they differ too much even as small pictures, which most pairs of strangers do.
    """
    a, b = reduced(first, _FINE_PX), reduced(second, _FINE_PX)
    starts = (_box_placement(content_box(first), content_box(second)), *map(_centred, (1.0, *_SCALES)))
    likely = sorted(starts, key=lambda start: float(np.abs(_differences(a, b, _COARSE_PX)(start)).mean()))[:_N_FITTED]
    coarse = min((_fit(a, b, start, _COARSE_PX, n_steps=5) for start in likely), key=lambda fit: float(fit.cost))
    middle = _fit(a, b, coarse.x, _MIDDLE_PX, n_steps=12)
    if middle.cost > _MOST_DIFFERENCE * _MIDDLE_PX**2:
        return None
    return np.asarray(_fit(a, b, middle.x, _FINE_PX, n_steps=8).x, dtype=np.float64)


def placed(picture: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Return a square picture (n, n) as it lies upon the first one; NaN where it does not reach."""
    from scipy.ndimage import affine_transform

    y, scale_y, x, scale_x = placement
    scale = np.array([scale_y, scale_x])
    offset = np.array([y, x]) * len(picture) + scale / 2 - 0.5  # pixel centres lie half a pixel from the edge
    result: NDArray[np.float64] = affine_transform(picture, scale, offset, order=1, mode="constant", cval=np.nan)
    return result


def _extent(deviations: NDArray[np.float64]) -> tuple[int, int]:
    inside = np.flatnonzero(deviations > _EVEN_DEVIATION)
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, len(deviations))


def _centred(scale: float) -> Placement:
    return np.array([(1 - scale) / 2, scale, (1 - scale) / 2, scale])


def _box_placement(first: tuple[float, ...], second: tuple[float, ...]) -> Placement:
    """Lay content on content."""
    (top, left, bottom, right), (top2, left2, bottom2, right2) = first, second
    scale_y, scale_x = (bottom2 - top2) / (bottom - top), (right2 - left2) / (right - left)
    return np.array([top2 - scale_y * top, scale_y, left2 - scale_x * left, scale_x])


def _fit(
    first: NDArray[np.float64], second: NDArray[np.float64], start: Placement, side_px: int, *, n_steps: int
) -> "OptimizeResult":
    """Improve a placement at one size."""
    from scipy.optimize import least_squares

    differences = _differences(first, second, side_px)
    return least_squares(differences, start, loss="soft_l1", f_scale=0.3, max_nfev=n_steps, diff_step=1e-2, x_scale=0.1)


def _differences(
    first: NDArray[np.float64], second: NDArray[np.float64], side_px: int
) -> Callable[[Placement], NDArray[np.float64]]:
    """Return what tells the differences of two pictures, point by point, under a placement."""
    from scipy.ndimage import gaussian_filter

    a, b = (gaussian_filter(_averaged(picture, side_px), 0.7) for picture in (first, second))

    def differences(placement: Placement) -> NDArray[np.float64]:
        moved = placed(b, placement)
        seen = np.isfinite(moved)
        if seen.mean() < _LEAST_OVERLAP:
            return np.full(a.size, 3.0)  # worse than any overlap: three standard deviations everywhere
        result = np.zeros(a.shape)
        result[seen] = (_standard(a[seen]) - _standard(moved[seen])) / np.sqrt(seen.mean())
        return result.ravel()

    return differences


def _averaged(picture: NDArray[np.float64], side_px: int) -> NDArray[np.float64]:
    factor = len(picture) // side_px
    averaged: NDArray[np.float64] = picture.reshape(side_px, factor, side_px, factor).mean(axis=(1, 3))
    return averaged


def _standard(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    standard: NDArray[np.float64] = (levels - levels.mean()) / (levels.std() + 1e-6)
    return standard
