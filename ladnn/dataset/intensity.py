"""What the grey levels of a slice are like: brightness, contrast, clipping, sharpness and noise, in a few numbers."""

import numpy as np
from numpy.typing import NDArray

from ladnn.dataset.canonical_form import Framing

FRAME = Framing(size_px=224, interpolation="bicubic")
"""Size at which slices are described, so that their own size plays no part."""
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_SCALES_PX = {"fine": 0.7, "medium": 1.4, "coarse": 2.8}
"""Standard deviations of the blurs whose residue tells sharpness and noise."""
_BLACK, _WHITE = 0, 255


def intensity_statistics(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Describe a canonical slice, uint8 (H, W), by name; grey levels are 0 to 255, shares 0 to 1."""
    from scipy.ndimage import gaussian_filter

    framed = FRAME.apply(pixels)
    levels = np.percentile(framed, _PERCENTILES)
    sharp = framed.astype(np.float32)
    found = {"mean": float(framed.mean()), "deviation": float(framed.std())}
    found |= {f"p{share:02d}": float(level) for share, level in zip(_PERCENTILES, levels, strict=True)}
    found |= {"black": float((pixels == _BLACK).mean()), "white": float((pixels == _WHITE).mean())}
    found["n_levels"] = float(np.unique(pixels).size)
    for name, scale in _SCALES_PX.items():
        found[f"detail_{name}"] = float(np.abs(sharp - gaussian_filter(sharp, scale)).mean())
    return found
