"""Finds the same picture under another name: a fingerprint to look for candidates, then a comparison of the pixels.

Chest CT slices of different patients look alike, so a fingerprint alone would join strangers: it only says which
pictures are worth comparing. The comparison lays one upon the other and looks at fine structure (vessels, fissures).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ladnn.intake.alignment import SIDE_PX, align, content_box, placed, reduced

_COARSE_REACH_BITS, _FINE_REACH_BITS = 10, 64
"""Two fingerprints that differ in more of their 64 coarse, or of their 256 fine bits are not worth comparing.

Measured on COVID-CT: of 147,000 pairs of pictures 0.2 % of other patients are within coarse reach, 8 pairs within
fine reach. Of 25 pictures all are found again that were compressed, resized or marked, 24 of those brightened, 22 of
those with margins added, and 13 of those cropped by 5 %: a wider reach costs intake more than it finds.
"""
_FINGERPRINT_PX = 64
_COARSE_DIGITS = 16
_BLOCK = 32_768
_LEAST_LIKENESS = 0.36
"""Measured: altered pictures of one slice reach 0.49 and more, slices of different patients 0.04 (phantoms 0.26)."""
_ODD_SHARE = 0.1
"""Share of the picture that may differ altogether, as under a caption or an arrow."""
_FINE_PX, _COARSE_PX = 0.7, 2.5
"""Band of structure that is compared: standard deviations of two Gaussians, at `SIDE_PX`."""
_WINDOW_PX = 11
_LEAST_DEVIATION = 0.9
"""Square roots of grey levels, see `_structure`."""
_LEAST_SHARE = 0.2
"""Share of the picture that must be comparable."""


def fingerprint(pixels: NDArray[np.uint8]) -> str:
    """Return two perceptual hashes of uint8 (H, W) without its even margins: 64 and 256 bits, 80 hexadecimal digits.

    They are the sign patterns of the lowest 8 x 8 and 16 x 16 frequencies (Zauner 2010, "Implementation and
    benchmarking of perceptual image hash functions", section 3.2.1), as `imagehash.phash` computes them.
    """
    import imagehash  # takes a fifth of a second to import

    height, width = pixels.shape
    top, left, bottom, right = content_box(pixels)
    box = (left * width, top * height, right * width, bottom * height)
    image = Image.fromarray(pixels).resize((_FINGERPRINT_PX, _FINGERPRINT_PX), Image.Resampling.BOX, box=box)
    return f"{imagehash.phash(image)}{imagehash.phash(image, hash_size=16)}"


def fingerprint_words(fingerprint: str) -> NDArray[np.uint64]:
    """Return a fingerprint as uint64 (5,): the coarse hash, then the four words of the fine one."""
    words = (fingerprint[place : place + _COARSE_DIGITS] for place in range(0, len(fingerprint), _COARSE_DIGITS))
    return np.array([int(word, 16) for word in words], dtype=np.uint64)


def within_coarse_reach(coarse: NDArray[np.uint64], wanted: np.uint64) -> list[int]:
    """Return the positions of those of uint64 (N,) coarse hashes that are within reach; a million take a millisecond."""
    found: list[int] = []
    for start in range(0, len(coarse), _BLOCK):  # a block stays in the processor's cache
        bits = np.bitwise_count(coarse[start : start + _BLOCK] ^ wanted)
        if bits.min() <= _COARSE_REACH_BITS:  # hardly a block has one
            found += (np.flatnonzero(bits <= _COARSE_REACH_BITS) + start).tolist()
    return found


def fine_distance(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> int | None:
    """Return in how many bits the fine hashes of two fingerprints, uint64 (5,), differ; None where out of reach."""
    distance = int(np.bitwise_count(a[1:] ^ b[1:]).sum())
    return distance if distance <= _FINE_REACH_BITS else None


def same_picture(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Tell whether uint8 (H, W) and uint8 (h, w) show the same slice of the same patient.

    Neither compression, size, slight cropping, margins, brightness, contrast nor a caption or an arrow matters.
    """
    return likeness(a, b) >= _LEAST_LIKENESS


def likeness(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the local correlation (-1 to 1) that the fine structure of two pictures exceeds on nine tenths of them.

    The outlines of two chests laid upon each other correlate; so the typical place says little, and the worst tenth,
    where vessels must agree, tells patients apart. 0 where too little of the pictures is comparable.
    """
    a, b = sorted((a, b), key=lambda pixels: (pixels.size, pixels.tobytes()))  # the same either way round
    placement = align(a, b)
    if placement is None:
        return 0.0
    moved = placed(reduced(b), placement)
    seen = np.isfinite(moved)
    if not seen.any():
        return 0.0
    correlations = _local_correlations(reduced(a), np.where(seen, moved, moved[seen].mean()), seen)
    return float(np.quantile(correlations, _ODD_SHARE)) if len(correlations) >= _LEAST_SHARE * SIDE_PX**2 else 0.0


def _local_correlations(a: NDArray[np.float64], b: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Correlate structure window by window, where both pictures have any."""
    from scipy.ndimage import uniform_filter

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = uniform_filter(values, _WINDOW_PX)
        return result

    a, b = _structure(a), _structure(b)
    mean_a, mean_b = mean(a), mean(b)
    deviation_a = np.sqrt(np.maximum(mean(a * a) - mean_a**2, 0))
    deviation_b = np.sqrt(np.maximum(mean(b * b) - mean_b**2, 0))
    whole = mean(seen.astype(np.float64)) > 1 - 1e-6
    comparable = whole & (np.minimum(deviation_a, deviation_b) > _LEAST_DEVIATION)
    covariance = mean(a * b) - mean_a * mean_b
    correlations: NDArray[np.float64] = covariance[comparable] / (deviation_a * deviation_b)[comparable]
    return correlations


def _structure(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep what is between fine and coarse; its square root, so that faint vessels count beside strong outlines."""
    from scipy.ndimage import gaussian_filter

    band = gaussian_filter(picture, _FINE_PX) - gaussian_filter(picture, _COARSE_PX)
    result: NDArray[np.float64] = np.sign(band) * np.sqrt(np.abs(band))
    return result
