"""The canonical image: 8-bit grey pixels, what was changed on the way to them, and the limits every picture must hold.

Used alike at intake and in service, so that a served image takes the way a training image took.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ladnn.errors import ImageRejectedError

MAX_PIXELS = 4096 * 4096
MIN_SIDE_PX = 32
BLANK_DEVIATION = 2.0
"""Standard deviation of grey levels (0 to 255) under which an image shows nothing."""
_PIXELS_A_BYTE = 100
"""No packed picture holds more pixels in a byte than this, unless it is one even shade; deflate's limit is 1032."""
_SAMPLE_PX = 256
"""Rows or columns of the sample in which a blank image is looked for."""
_SMALLEST_RANGE = 1e-9
_BAND_PX = 2**18
"""Pixels that are held as floating-point numbers at a time."""


@dataclass(frozen=True, slots=True)
class CanonicalImage:
    """An image as the platform keeps it; `pixels` is uint8 (H, W), 0 black to 255 white."""

    pixels: NDArray[np.uint8]
    original_format: str
    """"PNG", "JPEG" or "DICOM"."""
    original_mode: str
    """Pillow's mode, or DICOM's photometric interpretation and bits stored."""
    changes: tuple[str, ...] = ()
    """What the pipeline changed, in plain words, in the order in which it was done."""
    acquisition: Mapping[str, str | float | int] = field(default_factory=dict)
    """Technical DICOM attributes, none of which identifies a person; empty for PNG and JPEG."""
    chroma: float = 0.0
    """Mean difference between the strongest and the weakest colour of a pixel, 0 (grey) to 1."""

    @property
    def digest(self) -> str:
        """SHA-256 over height, width and pixels, hexadecimal."""
        return canonical_digest(self.pixels)


def canonical_digest(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 over height, width and pixels of uint8 (H, W), hexadecimal."""
    height, width = pixels.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def check_size(width: int, height: int, n_bytes: int) -> None:
    """Judge a size that a file of `n_bytes` claims, before anything of that size is allocated.

    Raises:
        ImageRejectedError: decompression_bomb, too_large or too_small.
    """
    n_pixels = width * height
    if n_pixels > MAX_PIXELS:
        bomb = n_pixels > _PIXELS_A_BYTE * n_bytes
        raise ImageRejectedError(
            "decompression_bomb" if bomb else "too_large",
            f"it claims {width} x {height} pixels, of which at most {MAX_PIXELS} are taken; send one slice an image",
        )
    if min(width, height) < MIN_SIDE_PX:
        detail = f"{width} x {height} pixels; each side needs at least {MIN_SIDE_PX}; send the slice at full size"
        raise ImageRejectedError("too_small", detail)


def check_content(pixels: NDArray[np.uint8]) -> None:
    """Refuse pixels, uint8 (H, W), that show nothing.

    Raises:
        ImageRejectedError: blank.
    """
    step = 1 + min(pixels.shape) // _SAMPLE_PX
    if float(pixels[::step, ::step].std()) < BLANK_DEVIATION:
        raise ImageRejectedError("blank", "the image shows one even shade; export it again")


def eight_bits(levels: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Map levels (H, W) of any real type linearly, `low` to 0 and `high` to 255; what lies outside is clipped.

    Works in bands of rows, so that a large frame is never held as floating-point numbers as a whole.
    """
    height, width = levels.shape
    result = np.empty((height, width), np.uint8)
    scale = 255.0 / max(high - low, _SMALLEST_RANGE)
    rows = max(1, _BAND_PX // width)
    for top in range(0, height, rows):
        band = (levels[top : top + rows].astype(np.float32) - np.float32(low)) * np.float32(scale)
        result[top : top + rows] = np.clip(np.nan_to_num(band), 0, 255).round()
    return result
