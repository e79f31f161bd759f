"""PNG and JPEG files of every mode, decoded to canonical pixels."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from ladnn.errors import ImageRejectedError
from ladnn.intake.canonical import MAX_PIXELS, CanonicalImage, check_content, check_size, eight_bits
from ladnn.intake.codestream import jpeg_size, n_jpeg_scans
from ladnn.intake.quiet import silence

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
MAX_BYTES = 64 * 2**20
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, struct.error)
"""What Pillow raises on damaged files, depending on where the damage is; running out of memory is not among it."""
_MAX_CHUNKS = 20_000
_MAX_PASSES = 32
"""Scans of a progressive JPEG, at the largest size; encoders write ten, or twenty for CMYK."""
_CHECKED_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
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
_SAMPLE_PX = 64


def decode_raster(data: bytes) -> CanonicalImage:
    """Decode one PNG or JPEG.

    Transparency is composited on black. Sixteen-bit grey is scaled by the bits that its brightest pixel needs, since
    scanners' twelve bits often lie unscaled in sixteen. Colours become their luminance (ITU-R BT.601).

    Raises:
        ImageRejectedError: truncated, undecodable, decompression_bomb, too_large, too_small, several_frames or blank.
    """
    if len(data) > MAX_BYTES:
        raise ImageRejectedError("too_large", f"the file has more than {MAX_BYTES} bytes; send one slice a file")
    is_png = data.startswith(PNG_SIGNATURE)
    depth = _check_png(data) if is_png else _check_jpeg(data)
    silence("PIL")
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",) if is_png else ("JPEG",))
        check_size(*image.size, len(data))
        mode = image.mode
        image.load()
        changes: list[str] = []
        pixels = _grey(_upright(image, changes), changes)
        chroma = chroma_of(image)
    except Image.DecompressionBombError as error:
        raise ImageRejectedError("decompression_bomb", "it claims too many pixels; send one slice an image") from error
    except DAMAGE as error:
        raise _damaged(data, is_png, error) from error
    if depth == 16 and not mode.startswith("I"):  # Pillow keeps the upper byte of each channel
        changes.insert(0, "16-bit channels cut to 8-bit")
    check_content(pixels)
    return CanonicalImage(pixels, "PNG" if is_png else "JPEG", mode, tuple(changes), chroma=chroma)


def chroma_of(image: Image.Image) -> float:
    """Return the mean difference between the strongest and the weakest colour of a pixel, 0 to 1, from a sample."""
    if image.mode in {"1", "L", "LA"} or image.mode.startswith("I"):
        return 0.0
    sample = np.asarray(image.resize((_SAMPLE_PX, _SAMPLE_PX), Image.Resampling.NEAREST).convert("RGB"))
    red, green, blue = sample[..., 0], sample[..., 1], sample[..., 2]
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return float(spread.mean()) / 255


def _check_png(data: bytes) -> int:
    """Walk the chunks; return the bits a channel has."""
    at, view = len(PNG_SIGNATURE), memoryview(data)
    depth = 8
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(data):
            raise ImageRejectedError("truncated", "the PNG ends before its end mark; send the whole file")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ImageRejectedError("truncated", "the PNG ends before its end mark; send the whole file")
        if kind in _CHECKED_CHUNKS and zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise ImageRejectedError("undecodable", "a checksum of the PNG is wrong: its bytes changed; send it again")
        if kind == b"IHDR" and length == 13:
            width, height = struct.unpack_from(">II", data, at + 8)
            check_size(width, height, len(data))
            depth = data[at + 16]
        if kind == b"acTL":
            raise ImageRejectedError("several_frames", "the PNG is animated; send each slice as a file of its own")
        if kind == b"IEND":
            return depth
        at = end
    raise ImageRejectedError("undecodable", f"the PNG has more than {_MAX_CHUNKS} chunks; export it again")


def _check_jpeg(data: bytes) -> int:
    size = jpeg_size(data)
    if size is not None:
        check_size(size.width, size.height, len(data))
        if n_jpeg_scans(data) * size.width * size.height > _MAX_PASSES * MAX_PIXELS:
            detail = "the JPEG holds more scans than a picture needs; export it again, not progressive"
            raise ImageRejectedError("decompression_bomb", detail)
    return 8


def _damaged(data: bytes, is_png: bool, error: Exception) -> ImageRejectedError:
    if not is_png and b"\xff\xd9" not in data[-512:]:
        return ImageRejectedError("truncated", "the JPEG ends before its end mark; send the whole file")
    kind = "PNG" if is_png else "JPEG"
    detail = f"no whole {kind} image can be read from it ({type(error).__name__}); export it again"
    return ImageRejectedError("undecodable", detail)


def _upright(image: Image.Image, changes: list[str]) -> Image.Image:
    """Turn the image as its EXIF says; `ImageOps.exif_transpose` would write all EXIF anew and fail on damaged tags."""
    orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    turn = _UPRIGHT.get(orientation)
    if turn is None:
        return image
    changes.append(f"turned upright (EXIF orientation {orientation})")
    return image.transpose(turn)


def _grey(image: Image.Image, changes: list[str]) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        bits = max(8, int(levels.max()).bit_length())
        changes.append(f"{'16-bit' if bits == 16 else f'{bits} bits in 16'} scaled to 8-bit")
        return eight_bits(levels, 0, 2**bits - 1)
    if ("transparency" in image.info and image.mode not in {"LA", "RGBA"}) or image.mode == "PA":
        image = image.convert("RGBA")
    grey = image if image.mode == "L" else image.convert("L")
    if image.mode in {"LA", "RGBA"}:
        alpha = image.getchannel("A")
        if alpha.getextrema()[0] != 255:
            changes.append("transparency composited on black")
            grey = ImageChops.multiply(grey, alpha)
    if image.mode not in {"1", "L", "LA"}:
        changes.append("colours turned grey")
    return np.asarray(grey, dtype=np.uint8)
