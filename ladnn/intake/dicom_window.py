"""From stored DICOM values to 8-bit grey: the lung window on Hounsfield units for CT, their own window for captures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladnn.errors import ImageRejectedError
from ladnn.intake.canonical import eight_bits
from ladnn.intake.dicom_attributes import FrameAttributes
from ladnn.intake.dicom_file import bad_dicom

LUNG_CENTRE_HU, LUNG_WIDTH_HU = -600, 1500
"""The lung window in common use (https://radiopaedia.org/articles/windowing-ct)."""
_LARGEST = 1e6


def ct_grey(levels: NDArray[np.integer[Any]], attributes: FrameAttributes) -> tuple[NDArray[np.uint8], list[str]]:
    """Rescale a CT frame (H, W) to Hounsfield units and show the lung window; returns pixels and what was changed.

    Raises:
        ImageRejectedError: bad_dicom, where slope and intercept are missing or absurd.
    """
    slope, intercept = attributes.number("RescaleSlope"), attributes.number("RescaleIntercept")
    if slope is None or intercept is None or attributes.text("RescaleType").upper() not in {"", "HU"}:
        raise bad_dicom("it has no rescale to Hounsfield units; export the original CT slice")
    if not 1 / _LARGEST < slope < _LARGEST or abs(intercept) > _LARGEST:
        raise bad_dicom("its rescale slope or intercept is absurd; export it again")
    low = (LUNG_CENTRE_HU - LUNG_WIDTH_HU / 2 - intercept) / slope
    pixels = eight_bits(levels, low, low + LUNG_WIDTH_HU / slope)
    done = [f"rescaled to Hounsfield units, lung window {LUNG_CENTRE_HU}/{LUNG_WIDTH_HU}"]
    return _finished(pixels, levels, attributes, done)


def capture_grey(levels: NDArray[np.integer[Any]], attributes: FrameAttributes) -> tuple[NDArray[np.uint8], list[str]]:
    """Show a captured frame (H, W) in the window that it names, else between its lowest and highest value."""
    centre, width = attributes.number("WindowCenter"), attributes.number("WindowWidth")
    if centre is not None and width is not None and 1 <= width < _LARGEST and abs(centre) < _LARGEST:
        slope, intercept = attributes.number("RescaleSlope") or 1.0, attributes.number("RescaleIntercept") or 0.0
        low = (centre - width / 2 - intercept) / slope
        done = [f"the file's own window {centre:g}/{width:g}"]
        return _finished(eight_bits(levels, low, low + width / slope), levels, attributes, done)
    if levels.dtype == np.uint8:
        return _finished(levels.astype(np.uint8), levels, attributes, [])
    shown = levels[~padding] if (padding := _padding(levels, attributes)) is not None else levels
    if not shown.size:
        raise ImageRejectedError("blank", "the image shows one even shade; export it again")
    done = ["scaled to 8-bit between its lowest and highest value"]
    return _finished(eight_bits(levels, float(shown.min()), float(shown.max())), levels, attributes, done)


def _finished(
    pixels: NDArray[np.uint8], levels: NDArray[np.integer[Any]], attributes: FrameAttributes, done: list[str]
) -> tuple[NDArray[np.uint8], list[str]]:
    """Turn inverted grey round and paint padding black, whatever its value."""
    if attributes.text("PhotometricInterpretation") == "MONOCHROME1":
        pixels = 255 - pixels
        done.append("MONOCHROME1 inverted")
    padding = _padding(levels, attributes)
    if padding is not None:
        pixels[padding] = 0
        done.append("padding painted black")
    return pixels, done


def _padding(levels: NDArray[np.integer[Any]], attributes: FrameAttributes) -> NDArray[np.bool_] | None:
    """Find the pixels with the padding value or in its range (PS3.3, C.7.5.1.1.2); None where there are none."""
    value = attributes.number("PixelPaddingValue")
    if value is None:
        return None
    limit = attributes.number("PixelPaddingRangeLimit")
    signed = levels.dtype.kind == "i"
    ends = sorted(_signed(end) if signed else end for end in (value, value if limit is None else limit))
    found: NDArray[np.bool_] = (levels >= ends[0]) & (levels <= ends[1])
    return found if found.any() else None


def _signed(value: float) -> float:
    """Undo that a signed padding value is at times written, or read, as unsigned."""
    return value - 65536 if value > 32767 else value
