"""What the grey levels of a slice are like: brightness, contrast, clipping, sharpness and noise, in a few numbers."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ladnn.dataset.canonical_form import Framing

FRAME = Framing(size_px=224, interpolation="bicubic")
"""Size at which slices are described, so that their own size plays no part."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_SCALES_PX = (0.7, 1.4, 2.8)
"""Standard deviations of the blurs whose residue tells sharpness, noise and compression."""
_DETAILS = ("fine", "medium", "coarse")
_BLACK, _WHITE = 0, 255


def intensity_statistics(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Describe a canonical slice, uint8 (H, W), by name; grey levels are 0 to 255, shares 0 to 1."""
    framed = FRAME.apply(pixels)
    levels = np.percentile(framed, PERCENTILES)
    found = {"mean": float(framed.mean()), "deviation": float(framed.std())}
    found |= {f"p{share:02d}": float(level) for share, level in zip(PERCENTILES, levels, strict=True)}
    found |= {"black": float((pixels == _BLACK).mean()), "white": float((pixels == _WHITE).mean())}
    found["n_levels"] = float(np.unique(pixels).size)
    for name, residue in zip(_DETAILS, residues(framed), strict=True):
        found[f"detail_{name}"] = float(residue.mean())
    return found


def residues(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Yield what three blurs, fine to coarse, take from a picture (H, W), without its sign, float32 (H, W)."""
    from scipy.ndimage import gaussian_filter

    sharp = pixels.astype(np.float32)
    for scale in _SCALES_PX:
        yield np.abs(sharp - gaussian_filter(sharp, scale))
