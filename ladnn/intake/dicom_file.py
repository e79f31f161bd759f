"""Reads DICOM files of unknown origin within limits: header by pydicom, pixel data only located, never copied.

Encodings are those of DICOM PS3.5. A file may claim anything, so that lengths, counts and depths are checked.
"""

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from ladnn.errors import ImageRejectedError
from ladnn.intake.quiet import silence

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    OSError,
    RuntimeError,  # with it RecursionError and NotImplementedError
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises on damaged files, depending on where the damage is; running out of memory is not among it."""
MAX_HEADER_BYTES = 4 * 2**20
"""Enough for an Enhanced CT of a thousand frames, with some 60 attributes a frame."""
_MAX_READS = 200_000
_MAX_ITEMS = 30_000
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
UNDEFINED = 0xFFFFFFFF
"""Length of a value that ends with a delimiter."""
_PIXEL_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"}
LONG_HEADERS = _PIXEL_VRS | {b"SQ", b"SV", b"UC", b"UR", b"UT", b"UV"}
"""Value representations whose length takes four bytes, after two reserved ones (PS3.5, table 7.1-1)."""


class PixelElement(NamedTuple):
    """Where the pixel data element stands in the file."""

    start: int
    """First byte of the element's tag."""
    value: int
    """First byte of its value."""
    end: int
    """First byte after it."""
    n_fragments: int
    """Fragments of encapsulated pixel data, without the offset table; 0 where it is not encapsulated."""


class DicomFile(NamedTuple):
    """A DICOM file whose header is read."""

    data: bytes
    header: Dataset
    """Everything before the pixel data, with `file_meta`."""
    syntax: UID
    """Transfer syntax."""
    pixels: PixelElement | None


class _CountedReads(io.BytesIO):
    """A file that is read so often only by a header of more elements than any scanner writes."""

    n_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.n_reads += 1
        if self.n_reads > _MAX_READS:
            raise ImageRejectedError("bad_dicom", "the DICOM header has too many elements; export the file again")
        return super().read(size)


def read_dicom(data: bytes) -> DicomFile:
    """Read the header of a DICOM file and locate its pixel data.

    Raises:
        ImageRejectedError: bad_dicom or truncated.
    """
    silence("pydicom")
    if data.find(DeflatedExplicitVRLittleEndian.encode(), 0, MAX_HEADER_BYTES) >= 0:
        raise bad_dicom("it is deflated as a whole; export it uncompressed or with compressed pixel data")
    if any(data.count(tag, 0, MAX_HEADER_BYTES) > _MAX_ITEMS for tag in _ITEM_TAGS):
        raise bad_dicom(f"its sequences have more than {_MAX_ITEMS} items; export the slices one by one")
    file = _CountedReads(data)
    try:
        header = dcmread(file, stop_before_pixels=True)
        syntax = UID(header.file_meta.TransferSyntaxUID)
        little_endian, implicit = syntax.is_little_endian, syntax.is_implicit_VR
    except DAMAGE as error:
        raise bad_dicom(f"its header cannot be read ({type(error).__name__}); export it again") from error
    if file.tell() > MAX_HEADER_BYTES:
        raise bad_dicom(f"its header has more than {MAX_HEADER_BYTES} bytes; export it again")
    pixels = _locate(data, file.tell(), little_endian, implicit)
    return DicomFile(data, header, syntax, pixels)


def bad_dicom(detail: str) -> ImageRejectedError:
    """Return the refusal of a DICOM file."""
    return ImageRejectedError("bad_dicom", f"the DICOM file cannot be used: {detail}")


def _locate(data: bytes, start: int, little_endian: bool, implicit: bool) -> PixelElement | None:
    """Read the pixel data element's own header and, where it is encapsulated, the lengths of its items."""
    order = "<" if little_endian else ">"
    if len(data) < start + 8:
        return None
    if implicit:
        (length,), value = struct.unpack_from(order + "L", data, start + 4), start + 8
    elif data[start + 4 : start + 6] in _PIXEL_VRS and len(data) >= start + 12:
        (length,), value = struct.unpack_from(order + "L", data, start + 8), start + 12
    else:
        raise bad_dicom("its pixel data have no valid header; export it again")
    if length != UNDEFINED:
        if value + length > len(data):
            raise ImageRejectedError("truncated", "the DICOM file ends within its pixel data; send the whole file")
        return PixelElement(start, value, value + length, 0)
    items = list(_items(data, value))
    return PixelElement(start, value, items[-1] + 8, len(items) - 2)


def _items(data: bytes, at: int) -> Iterator[int]:
    """Yield where each item of encapsulated pixel data begins, the closing delimiter last (PS3.5, annex A.4)."""
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHL", data, at)
        if (group, element) == (0xFFFE, 0xE0DD):
            yield at
            return
        if (group, element) != (0xFFFE, 0xE000):
            raise bad_dicom("its compressed pixel data are no sequence of items; export it again")
        yield at
        at += 8 + length
    raise ImageRejectedError("truncated", "the DICOM file ends within its pixel data; send the whole file")
