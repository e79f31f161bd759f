"""Takes text, EXIF and other side data out of PNG and JPEG files; the picture itself stays as it is, byte for byte."""

import io
import re
import struct
from collections.abc import Iterator

from PIL import Image

from ladnn.errors import ImageRejectedError
from ladnn.intake.quiet import silence
from ladnn.intake.raster import DAMAGE

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"sBIT", b"gAMA", b"IDAT", b"IEND"}
"""Chunks that say how the picture looks (ISO/IEC 15948, section 11)."""
_JPEG = b"\xff\xd8"
_START_OF_SCAN, _END_OF_IMAGE, _COMMENT, _ADOBE, _FILL = 0xDA, 0xD9, 0xFE, 0xEE, 0xFF
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Neither a stuffed byte nor a restart, both of which are part of a scan."""
_APPLICATION = range(0xE0, 0xF0)
_ORIENTATION_TAG = 0x0112


def without_metadata(data: bytes) -> bytes:
    """Return a PNG or JPEG file without what does not show; other files as they are.

    Of EXIF data only the orientation stays, which tells how the picture is to be turned.

    Raises:
        ImageRejectedError: the file's structure is damaged.
    """
    silence("PIL")
    try:
        if data.startswith(_PNG):
            return _PNG + b"".join(_kept_chunks(data))
        if data.startswith(_JPEG):
            return _JPEG + _orientation(data) + b"".join(_kept_segments(data))
    except DAMAGE as error:
        raise ImageRejectedError("undecodable", "its structure is damaged; export it again") from error
    return data


def _kept_chunks(data: bytes) -> Iterator[bytes]:
    place = len(_PNG)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if kind in _PNG_KEPT:
            yield data[place:end]
        if kind == b"IEND":
            return
        place = end


def _kept_segments(data: bytes) -> Iterator[bytes]:
    """Yield the segments and scans that matter to decoding, up to the end of the picture and nothing behind it."""
    place = len(_JPEG)
    while data[place + 1] != _END_OF_IMAGE:
        marker, length = struct.unpack_from(">xBH", data, place)
        if marker == _FILL:
            place += 1
            continue
        end = place + 2 + length
        if marker == _START_OF_SCAN:
            end = _next_marker(data, end)
        if not (marker == _COMMENT or (marker in _APPLICATION and marker != _ADOBE)):
            yield data[place:end]
        place = end
    yield data[place : place + 2]


def _next_marker(data: bytes, place: int) -> int:
    """Return where the coded pixels of a scan end (ITU-T T.81, annex B.1.1.5)."""
    found = _MARKER.search(data, place)
    if found is None:
        raise ValueError("the scan does not end")
    return found.start()


def _orientation(data: bytes) -> bytes:
    turn = Image.open(io.BytesIO(data), formats=("JPEG",)).getexif().get(_ORIENTATION_TAG, 1)
    if turn == 1:
        return b""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = turn
    content = exif.tobytes()
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
