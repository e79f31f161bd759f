"""DICOM files decoded frame by frame: Hounsfield units in the lung window for CT, their own window for captures.

Decoders, by transfer syntax: pydicom (uncompressed), pylibjpeg-rle, Pillow (JPEG of 8 bits), libjpeg-turbo by
imagecodecs (JPEG of 12 bits, and lossless), CharLS by pyjpegls (JPEG-LS), pylibjpeg-openjpeg (JPEG 2000). Not GDCM: it
ends the process on pixels that it does not expect. Not pylibjpeg-libjpeg: its licence is the GPL.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from imagecodecs import jpeg8_decode
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ladnn.errors import ImageRejectedError
from ladnn.intake.canonical import CanonicalImage, check_content, check_size
from ladnn.intake.codestream import FrameSize, jpeg_2000_size, jpeg_size
from ladnn.intake.dicom_attributes import FrameAttributes
from ladnn.intake.dicom_file import DAMAGE, DicomFile, PixelElement, bad_dicom, read_dicom
from ladnn.intake.dicom_profile import header_identifiers
from ladnn.intake.dicom_window import capture_grey, ct_grey
from ladnn.intake.raster import chroma_of

_MAX_FRAMES = 4096
_PANIC = "PanicException"
"""How pylibjpeg-rle, written in Rust, ends on damaged runs: no `Exception`, and importable from nowhere."""
_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
_LIBJPEG = {JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1}
_JPEG = {
    **dict.fromkeys(_LIBJPEG, ""),
    JPEGBaseline8Bit: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
}
_JPEG_2000 = dict.fromkeys((JPEG2000, JPEG2000Lossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL), "pylibjpeg")
_PLUGINS = {**dict.fromkeys(_NATIVE, ""), RLELossless: "pylibjpeg", **_JPEG, **_JPEG_2000}
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture and its multi-frame kinds (PS3.4, annex B.5)."""


class DicomImages:
    """The frames of one DICOM file."""

    def __init__(self, file: DicomFile, pixels: PixelElement, identifiers: frozenset[str]) -> None:
        """Check what the header says of all frames; `open_dicom` is the way to get here."""
        self._file, self._pixels = file, pixels
        options: dict[str, Any] = dict(as_pixel_options(file.header))
        self._n_claimed = int(options["number_of_frames"])
        options["number_of_frames"] = 1
        options["pixel_vr"] = "OB" if file.syntax.is_encapsulated else _pixel_vr(file)
        options["pixel_keyword"] = "PixelData"
        self._extended_offsets = options.pop("extended_offsets", None)
        self._options = options
        self._width, self._height = int(options["columns"]), int(options["rows"])
        self._samples = int(options["samples_per_pixel"])
        self._show = capture_grey if _is_capture(file.header) else ct_grey
        self._identifiers = identifiers

    def check(self) -> None:
        """Judge what all frames share, before any is decoded.

        Raises:
            ImageRejectedError: too_large, too_small, decompression_bomb or bad_dicom.
        """
        check_size(self._width, self._height, len(self._file.data))
        if self._samples not in (1, 3) or self._options["bits_allocated"] not in (8, 16, 32):
            raise bad_dicom("its pixels have an unusual layout; export it as MONOCHROME2 or RGB")
        photometric = self._options["photometric_interpretation"]
        if photometric not in _GREY and (self._samples != 3 or photometric not in _COLOUR):
            raise bad_dicom("its photometric interpretation is not supported; export it as MONOCHROME2 or RGB")
        if not 1 <= self._n_claimed <= _MAX_FRAMES:
            raise bad_dicom(f"it claims no frame or more than {_MAX_FRAMES}; export the slices one by one")

    def only_frame(self) -> CanonicalImage:
        """Return the frame of a file that has one.

        Raises:
            ImageRejectedError: several_frames, or what is wrong with the one.
        """
        if self._n_claimed > 1:
            raise ImageRejectedError("several_frames", f"it holds {self._n_claimed} frames; send one slice alone")
        return self._frame(0)

    def frames(self) -> Iterator[CanonicalImage | ImageRejectedError]:
        """Yield every frame in order, one in memory at a time, or what is wrong with it."""
        n_present = min(self._n_claimed, self._n_present())
        for index in range(n_present):
            try:
                yield self._frame(index)
            except ImageRejectedError as error:
                yield error
        if n_present < self._n_claimed:
            detail = f"{self._n_claimed - n_present} of {self._n_claimed} frames are missing; send the whole file"
            yield ImageRejectedError("truncated", detail)

    def _n_present(self) -> int:
        if self._file.syntax.is_encapsulated:
            return self._pixels.n_fragments
        return (self._pixels.end - self._pixels.value) // self._frame_bytes()

    def _frame_bytes(self) -> int:
        subsampled = self._options["photometric_interpretation"] == "YBR_FULL_422"
        samples = 2 if subsampled else self._samples
        return self._width * self._height * samples * int(self._options["bits_allocated"]) // 8

    def _frame(self, index: int) -> CanonicalImage:
        try:
            levels = self._levels(index)
        except DAMAGE as error:
            detail = f"the pixels of its frame {index + 1} cannot be decoded ({type(error).__name__}); export it again"
            raise ImageRejectedError("undecodable", detail) from error
        attributes = FrameAttributes(self._file.header, index)
        chroma, changes = 0.0, []
        if levels.ndim == 3:
            image = Image.fromarray((levels >> max(0, int(self._options["bits_stored"]) - 8)).astype(np.uint8))
            pixels, chroma, changes = np.asarray(image.convert("L")), chroma_of(image), ["colours turned grey"]
        else:
            pixels, changes = self._show(levels, attributes)
        check_content(pixels)
        mode = f"{self._options['photometric_interpretation']};{self._options['bits_stored']}"
        acquisition = attributes.acquisition(self._identifiers)
        return CanonicalImage(pixels, "DICOM", mode, tuple(changes), acquisition, chroma)

    def _levels(self, index: int) -> NDArray[Any]:
        """Decode one frame: (H, W) or (H, W, 3), integers of up to 32 bits."""
        syntax = self._file.syntax
        if syntax in _LIBJPEG:
            return self._signed(jpeg8_decode(self._encoded(index)))
        source = encapsulate([self._encoded(index)], has_bot=False) if syntax.is_encapsulated else self._stored(index)
        try:
            return get_decoder(syntax).as_array(source, index=0, decoding_plugin=_PLUGINS[syntax], **self._options)[0]
        except BaseException as error:
            if type(error).__name__ != _PANIC:
                raise
            raise ValueError("the codec found the frame damaged") from error

    def _signed(self, levels: NDArray[Any]) -> NDArray[Any]:
        """Give levels that a codec read as unsigned the sign that the header says."""
        if not self._options["pixel_representation"]:
            return levels
        unused = levels.itemsize * 8 - int(self._options["bits_stored"])
        return (levels.view(f"i{levels.itemsize}") << unused) >> unused

    def _stored(self, index: int) -> bytes:
        length = self._frame_bytes()
        start = self._pixels.value + index * length
        stored = self._file.data[start : min(start + length, self._pixels.end)]
        if len(stored) < length:
            raise ImageRejectedError("truncated", f"frame {index + 1} is not complete; send the whole file")
        return stored

    def _encoded(self, index: int) -> bytes:
        """Take one frame out; its codestream must claim the header's size, since decoders allocate what it claims."""
        file = io.BytesIO(self._file.data)
        file.seek(self._pixels.value)
        frame = get_frame(file, index, number_of_frames=self._n_claimed, extended_offsets=self._extended_offsets)
        claimed = None
        if self._file.syntax in _JPEG:
            claimed = jpeg_size(frame)
        elif self._file.syntax in _JPEG_2000:
            claimed = jpeg_2000_size(frame)
        expected = FrameSize(self._width, self._height, self._samples)
        if self._file.syntax != RLELossless and claimed != expected:
            raise ImageRejectedError("undecodable", f"frame {index + 1} is not of the size that the header says")
        return frame


def open_dicom(data: bytes) -> DicomImages:
    """Read the header of a DICOM file and judge it.

    Raises:
        ImageRejectedError: bad_dicom, wrong_type, not_ct, burned_in_annotation, truncated or a refused size.
    """
    file = read_dicom(data)
    if file.syntax not in _PLUGINS:
        raise bad_dicom("its transfer syntax is not supported; export it uncompressed or as lossless JPEG")
    try:
        identifiers = header_identifiers(file.header)
        _refuse_others(file.header)
        if file.pixels is None:
            raise bad_dicom("it holds no pixel data; send the image itself")
        images = DicomImages(file, file.pixels, identifiers)
        images.check()
    except DAMAGE as error:
        raise bad_dicom(f"its header is not complete ({type(error).__name__}); export it again") from error
    return images


def _refuse_others(header: Dataset) -> None:
    """Refuse what is no CT image, and what shows text that could name the patient."""
    if _text(header, "BurnedInAnnotation").upper() == "YES":
        detail = "it says that text is burned into its pixels, perhaps a name; export the original slice"
        raise ImageRejectedError("burned_in_annotation", detail)
    if _text(header, "Modality").upper() != "CT" and not _is_capture(header):
        raise ImageRejectedError("wrong_type", "its modality is not CT; send CT slices only")
    if "LOCALIZER" in _text(header, "ImageType").upper():
        raise ImageRejectedError("not_ct", "it is a localizer (scout view), not a slice; send the slices")


def _is_capture(header: Dataset) -> bool:
    """Tell whether the file is a picture of a screen or of film, without Hounsfield units."""
    return _text(header, "SOPClassUID").startswith(_CAPTURE) or _text(header, "Modality").upper() in {"OT", "SC"}


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _pixel_vr(file: DicomFile) -> str:
    """Return the value representation of uncompressed pixel data, on which big-endian byte order depends."""
    if file.syntax.is_implicit_VR or file.pixels is None:
        return "OW"
    return file.data[file.pixels.start + 4 : file.pixels.start + 6].decode("ascii")
