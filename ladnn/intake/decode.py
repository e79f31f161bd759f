"""From a contributed image file to its canonical form: 8-bit grey pixels, addressed by their digest.

Used alike at intake and in service, so that a served image takes the way a training image took.
"""

import hashlib
import io
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ladnn.errors import ImageRejectedError

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 32
BLANK_DEVIATION = 2.0
"""Standard deviation of grey levels (0 to 255) under which an image shows nothing."""
_TOO_LARGE = f"it has more than {MAX_PIXELS} pixels; send one slice an image"
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, struct.error)
"""What Pillow raises on damaged files, depending on where the damage is; running out of memory is not among it."""
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (CIPA DC-008, tag Orientation); 1 is upright."""


@dataclass(frozen=True, slots=True)
class CanonicalImage:
    """An image as the platform keeps it; `pixels` is uint8 (H, W), 0 black to 255 white."""

    pixels: NDArray[np.uint8]
    original_format: str
    original_mode: str

    @property
    def digest(self) -> str:
        """SHA-256 over height, width and pixels, hexadecimal."""
        return canonical_digest(self.pixels)


def canonical_digest(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 over height, width and pixels of uint8 (H, W), hexadecimal."""
    height, width = pixels.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + pixels.tobytes()).hexdigest()


def decode(data: bytes) -> CanonicalImage:
    """Decode PNG or JPEG of any mode to canonical pixels.

    Raises:
        ImageRejectedError: empty, unreadable, truncated, too large, too small or blank.
    """
    if not data:
        raise ImageRejectedError("empty", "the file is empty; send the image again")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image)
        mode, kind = image.mode, str(image.format)
        image.load()
        pixels = _grey(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejectedError("too_large", _TOO_LARGE) from error
    except _DAMAGE as error:
        raise ImageRejectedError(
            "undecodable", f"no whole PNG or JPEG image can be read from it ({type(error).__name__}); export it again"
        ) from error
    if float(pixels.std()) < BLANK_DEVIATION:
        raise ImageRejectedError("blank", "the image shows one even shade; export it again")
    return CanonicalImage(pixels, kind, mode)


def encode_canonical(pixels: NDArray[np.uint8]) -> bytes:
    """Return uint8 (H, W) pixels as an 8-bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def decode_canonical(data: bytes) -> NDArray[np.uint8]:
    """Return the uint8 (H, W) pixels of an image written by `encode_canonical`.

    Raises:
        ImageRejectedError: it is no such image.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        if image.mode == "L":
            return np.asarray(image)
    except _DAMAGE as error:
        raise ImageRejectedError("undecodable", "the stored image is no whole PNG; restore it") from error
    raise ImageRejectedError("undecodable", f"the stored image has mode {image.mode}, not 8-bit grey; restore it")


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageRejectedError("too_large", _TOO_LARGE)
    if min(width, height) < MIN_SIDE_PX:
        raise ImageRejectedError("too_small", f"{width} x {height} pixels; each side needs at least {MIN_SIDE_PX}")


def _upright(image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF says; `ImageOps.exif_transpose` would write all EXIF anew and fail on damaged tags."""
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    return image if turn is None else image.transpose(turn)


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, dtype=np.float64)
        return np.clip(levels / 257.0, 0, 255).round().astype(np.uint8)  # 16-bit range 0..65535 to 0..255
    if image.mode in {"P", "PA", "LA", "RGBA"} or "transparency" in image.info:
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", coloured.size, (0, 0, 0, 255)), coloured)
    return np.asarray(image.convert("L"), dtype=np.uint8)
