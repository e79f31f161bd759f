"""Tells a chest CT slice from a photo, a page of text, a chart or a screenshot, by a few numbers of its grey pixels.

No network: fourteen properties of the picture at 64 x 64, each with the range that CT slices of any window, crop and
orientation keep to, and a linear score over all of them. Ranges and weights were fitted on the slices of COVID-CT
(He et al. 2020, https://arxiv.org/abs/2003.13865) and phantoms against photos, pages, charts and drawings.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from ladnn.errors import ImageRejectedError
from ladnn.intake.canonical import CanonicalImage

MAX_CHROMA = 0.1
"""Mean colour difference above which a picture is a colour photo; slices with coloured marks stay under 0.05."""
MIN_SCORE = 0.0
_SIDE_PX = 64
_ROWS = 128
"""Rows of the full image over which runs of equal pixels are counted."""
_MID = slice(16, 52)
_LEFT, _CENTRE, _RIGHT = slice(10, 24), slice(26, 38), slice(40, 54)
"""Where an axial slice shows the lungs and, between them, the mediastinum, in pixels of 64."""


_BIAS = 0.95
_PROPERTIES: dict[str, tuple[float, float, float]] = {
    "mirror_symmetry": (-0.231, 1.01, 3.213),
    "upside_down_symmetry": (-0.396, 1.01, 2.318),
    "smoothness": (0.749, 0.995, 4.093),
    "edges": (0.046, 0.339, 1.349),
    "even_areas": (0.045, 0.97, -3.287),
    "mid_greys": (-0.01, 0.432, -11.111),
    "darker_sides": (-0.403, 0.868, 4.352),
    "darker_side": (-0.403, 0.816, 4.097),
    "bottom": (-0.01, 1.01, 3.453),
    "corners": (-0.01, 1.01, -3.481),
    "equal_neighbours": (-0.01, 0.97, -7.246),
    "neither_black_nor_white": (0.136, 1.01, -3.059),
    "enclosed_dark": (-0.01, 0.694, 7.827),
    "central_edges": (0.243, 2.25, -1.078),
}
"""Property: lowest and highest value of a slice, weight in the score."""


def check_ct_slice(image: CanonicalImage) -> None:
    """Refuse a picture that is no chest CT slice.

    Raises:
        ImageRejectedError: not_ct, with the numbers that speak against it.
    """
    if image.chroma > MAX_CHROMA:
        raise _refusal(f"its colours differ by {image.chroma:.2f} on average, a CT's by at most {MAX_CHROMA}")
    found = measure(image.pixels)
    outside = [
        f"{name} {found[name]:.2f} (a CT's: {low:.2f} to {high:.2f})"
        for name, (low, high, _) in _PROPERTIES.items()
        if not low <= found[name] <= high
    ]
    if outside:
        raise _refusal(", ".join(outside[:3]))
    score = _BIAS + sum(weight * found[name] for name, (_, _, weight) in _PROPERTIES.items())
    if score < MIN_SCORE:
        raise _refusal(f"its likeness to one is {score:.1f}, of at least {MIN_SCORE:.1f}")


def measure(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the properties by which uint8 (H, W) pixels are judged."""
    small = Image.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)
    low, high = np.percentile(grey, (2, 98))
    grey = np.clip((grey - low) / max(high - low, 1.0), 0, 1)
    steps_x, steps_y = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    rows = pixels[:: 1 + pixels.shape[0] // _ROWS]
    left, centre, right = (float(grey[_MID, columns].mean()) for columns in (_LEFT, _CENTRE, _RIGHT))
    return {
        "mirror_symmetry": _correlation(grey, grey[:, ::-1]),
        "upside_down_symmetry": _correlation(grey, grey[::-1]),
        "smoothness": _correlation(grey[:, 1:], grey[:, :-1]),
        "edges": float((steps_x > 0.25).mean() + (steps_y > 0.25).mean()),
        "even_areas": float((steps_x < 0.01).mean() + (steps_y < 0.01).mean()) / 2,
        "mid_greys": float(((grey > 0.5) & (grey < 0.7)).mean()),
        "darker_sides": centre - (left + right) / 2,
        "darker_side": centre - max(left, right),
        "bottom": float(grey[56:].mean()),
        "corners": float(np.mean([grey[:8, :8], grey[:8, -8:], grey[-8:, :8], grey[-8:, -8:]])),
        "equal_neighbours": float((rows[:, 1:] == rows[:, :-1]).mean()),
        "neither_black_nor_white": float(((rows > 8) & (rows < 247)).mean()),
        "enclosed_dark": _enclosed(grey < 0.4),
        "central_edges": _concentration(np.hypot(steps_x[:-1], steps_y[:, :-1])),
    }


def _enclosed(dark: NDArray[np.bool_]) -> float:
    """Return the share of the picture that dark areas take which do not reach its border, as lungs do not."""
    areas, n_areas = label(dark)
    at_border = np.zeros(n_areas + 1, dtype=bool)
    for border in (areas[0], areas[-1], areas[:, 0], areas[:, -1]):
        at_border[border] = True
    at_border[0] = True
    return float((~at_border)[areas].mean())


def _concentration(edges: NDArray[np.float32]) -> float:
    """Return how much stronger edges are in the middle than all over; an object in focus there is no slice."""
    overall = float(edges.mean())
    return float(edges[14:50, 20:44].mean()) / overall if overall > 0 else 0.0


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / norm if norm > 0 else 0.0


def _refusal(evidence: str) -> ImageRejectedError:
    return ImageRejectedError("not_ct", f"it does not look like a chest CT slice: {evidence}; send CT slices only")
