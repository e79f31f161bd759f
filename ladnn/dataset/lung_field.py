"""Where the lungs are in a chest CT slice: a rough mask by threshold and shape, without a trained model.

It finds the field that both lungs span, to frame and to mask; it does not outline the lungs. A consolidated lung is as
bright as muscle, so the field is made symmetrical: the healthy side tells where the diseased one is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORK_PX = 256
"""Side of the square picture that the masks are found in."""
LEAST_LUNGS = 0.04
"""Share of the picture below which what was found is no pair of lungs."""
_LEAST_SIDE_PX = 32
_FLAT_LEVELS = 6.0
_FLAT_PERCENTILES = (4, 96)
"""An outermost line is margin if all but its brightest and darkest hundredths lie within so many grey levels."""
_SMOOTHING_PX = 1.2
_OPENING = 2
"""Iterations, in pixels of the small picture: a table, a letter and a ruler are thinner."""
_PICTURE_CAP, _BODY_CAP = 85, 80
"""Percentiles at which grey is capped before a threshold is sought, so that bone does not draw it up."""
_TOWARDS_TISSUE = 0.3
"""How far the lung threshold lies from the darker class's limit to the tissue's grey, so that haze counts as lung."""
_LEAST_TISSUE, _LEAST_LUNG = 0.02, 0.01
"""Least share of a piece of tissue in the picture, and of a piece of lung in the body."""
_INSIDE = 0.75
"""Share of a piece of lung that lies within the body; air around the body does not."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Masks of one slice, bool (h, w) of the picture they were found in; `lungs` may be empty."""

    body: NDArray[np.bool_]
    lungs: NDArray[np.bool_]

    @property
    def has_lungs(self) -> bool:
        """Whether the lungs are large enough to trust."""
        return bool(self.lungs.mean() >= LEAST_LUNGS)


Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels; right and bottom are outside."""


def content_box(pixels: NDArray[np.uint8]) -> Box:
    """Leave out margins and frames: outer lines of one shade, up to half of each side.

    Args:
        pixels: uint8 (H, W).
    """
    height, width = pixels.shape
    left, top, right, bottom = 0, 0, width, height
    for _ in range(8):  # a frame within a margin within a frame
        before = (left, top, right, bottom)
        above, below = _flat_ends(pixels[top:bottom, left:right])
        top, bottom = _cut(top, bottom, above, below, height)
        before_left, after_right = _flat_ends(pixels[top:bottom, left:right].T)
        left, right = _cut(left, right, before_left, after_right, width)
        if before == (left, top, right, bottom):
            break
    return left, top, right, bottom


def find_anatomy(pixels: NDArray[np.uint8]) -> Anatomy:
    """Find body and lungs in a slice of any window, with or without air around the body.

    The body is the convex hull of what is bright, lungs are dark pieces inside it. Thresholds: Otsu 1979,
    doi:10.1109/TSMC.1979.4310076.

    Args:
        pixels: uint8 (h, w), about `WORK_PX` on each side.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), _SMOOTHING_PX)
    tissue = _pieces(smooth > _threshold(smooth, _PICTURE_CAP, 0.0), _LEAST_TISSUE * pixels.size)
    if not tissue.any():
        return Anatomy(np.ones(pixels.shape, dtype=np.bool_), np.zeros(pixels.shape, dtype=np.bool_))
    body = convex_hull(tissue)
    dark = smooth <= _threshold(smooth[body], _BODY_CAP, _TOWARDS_TISSUE)
    return Anatomy(body, _pieces(dark, _LEAST_LUNG * float(body.sum()), within=body))


def lung_field(anatomy: Anatomy, margin_px: int) -> NDArray[np.bool_]:
    """Return the convex field that both lungs span, bool (h, w); the body where no lungs were found.

    Args:
        anatomy: what `find_anatomy` found.
        margin_px: by which the field is widened.
    """
    from scipy import ndimage

    if not anatomy.has_lungs:
        return anatomy.body
    field = convex_hull(anatomy.lungs)
    field = convex_hull((field | _mirrored(field, anatomy.body)) & anatomy.body)
    return np.asarray(ndimage.binary_dilation(field, iterations=margin_px), dtype=np.bool_)


def bounds(mask: NDArray[np.bool_]) -> Box:
    """Return the box of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def convex_hull(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill a mask to its convex hull; the mask must hold three pixels that are not on one line."""
    from PIL import Image, ImageDraw
    from scipy.spatial import ConvexHull

    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    corners = points[ConvexHull(points).vertices]
    canvas = Image.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    return np.asarray(canvas) > 0


def _flat_ends(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Count the rows of one shade at the beginning and at the end."""
    low, high = np.percentile(pixels, _FLAT_PERCENTILES, axis=1)
    varied = np.flatnonzero(high - low > _FLAT_LEVELS)
    return (int(varied[0]), int(len(pixels) - 1 - varied[-1])) if varied.size else (0, 0)


def _cut(start: int, stop: int, at_start: int, at_stop: int, side: int) -> tuple[int, int]:
    least = max(side // 2, min(side, _LEAST_SIDE_PX))
    return (start + at_start, stop - at_stop) if stop - start - at_start - at_stop >= least else (start, stop)


def _threshold(levels: NDArray[np.float32], cap_percentile: int, towards: float) -> float:
    """Otsu's threshold of the capped levels, moved towards the median of the brighter class."""
    capped = np.minimum(levels, np.percentile(levels, cap_percentile))
    histogram = np.bincount(np.clip(capped, 0, 255).astype(np.uint8).ravel(), minlength=256).astype(np.float64)
    n_dark, total = np.cumsum(histogram), np.cumsum(histogram * np.arange(256))
    n_bright = n_dark[-1] - n_dark
    spread = np.zeros(256)
    both = (n_dark > 0) & (n_bright > 0)
    gap = total[both] / n_dark[both] - (total[-1] - total[both]) / n_bright[both]
    spread[both] = n_dark[both] * n_bright[both] * gap**2
    limit = float(np.flatnonzero(spread == spread.max()).mean())
    bright = capped[capped > limit]
    return limit + towards * (float(np.median(bright)) - limit) if bright.size else limit


def _pieces(mask: NDArray[np.bool_], least_area: float, within: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Open a mask and keep its large pieces, of those only the ones that lie within another mask."""
    from scipy import ndimage

    labels, n_pieces = ndimage.label(ndimage.binary_opening(mask, iterations=_OPENING))
    areas = np.bincount(labels.ravel(), minlength=n_pieces + 1)
    kept = areas >= least_area
    if within is not None:
        kept &= np.bincount(labels[within], minlength=n_pieces + 1) >= _INSIDE * areas
    kept[0] = False
    return np.asarray(kept[labels], dtype=np.bool_)


def _mirrored(mask: NDArray[np.bool_], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mirror a mask at the body's middle column; what would leave the picture is dropped."""
    left, _, right, _ = bounds(body)
    columns = np.arange(mask.shape[1])
    source = left + right - 1 - columns
    inside = (source >= 0) & (source < mask.shape[1])
    mirrored = np.zeros_like(mask)
    mirrored[:, columns[inside]] = mask[:, source[inside]]
    return mirrored
