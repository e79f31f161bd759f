"""From the bytes of a contributed file to its pictures in canonical form; PNG, JPEG and DICOM.

The public entry of decoding. Intake takes every frame of a file, the service exactly one.
"""

import io
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ladnn.errors import ImageRejectedError
from ladnn.intake.canonical import MAX_PIXELS, MIN_SIDE_PX, CanonicalImage, canonical_digest
from ladnn.intake.ct_slice import check_ct_slice
from ladnn.intake.raster import DAMAGE, JPEG_SIGNATURE, PNG_SIGNATURE, decode_raster

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE_PX",
    "CanonicalImage",
    "canonical_digest",
    "check_ct_slice",
    "decode",
    "decode_canonical",
    "decode_frames",
    "encode_canonical",
    "is_dicom",
]


def is_dicom(data: bytes) -> bool:
    """Tell whether the bytes begin as a DICOM file does (PS3.10, section 7.1)."""
    return data[128:132] == b"DICM"


def decode(data: bytes) -> CanonicalImage:
    """Decode a file that holds one picture.

    Raises:
        ImageRejectedError: it holds none, more than one (several_frames), or one that cannot be used.
    """
    if is_dicom(data):
        from ladnn.intake.dicom import open_dicom

        return open_dicom(data).only_frame()
    return _decode_one(data)


def decode_frames(data: bytes) -> Iterator[CanonicalImage | ImageRejectedError]:
    """Yield every picture of a file in order, one in memory at a time; what is wrong with one stands in its place.

    A file that cannot be read at all yields one error.
    """
    try:
        if is_dicom(data):
            from ladnn.intake.dicom import open_dicom

            yield from open_dicom(data).frames()
        else:
            yield _decode_one(data)
    except ImageRejectedError as error:
        yield error


def encode_canonical(pixels: NDArray[np.uint8]) -> bytes:
    """Return uint8 (H, W) pixels as an 8-bit grey PNG."""
    buffer = io.BytesIO()
    # Run lengths: on filtered slices a third faster than zlib's level 3, and no larger.
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)
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
    except DAMAGE as error:
        raise ImageRejectedError("undecodable", "the stored image is no whole PNG; restore it") from error
    raise ImageRejectedError("undecodable", f"the stored image has mode {image.mode}, not 8-bit grey; restore it")


def _decode_one(data: bytes) -> CanonicalImage:
    if not data:
        raise ImageRejectedError("empty", "the file is empty; send the image again")
    if data.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        return decode_raster(data)
    raise ImageRejectedError("wrong_type", "the file is no PNG, JPEG or DICOM file; export the slice as one of these")
