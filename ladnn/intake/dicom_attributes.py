"""Technical attributes of a DICOM frame, from the header or, in Enhanced CT, from its functional groups (PS3.3 C.7.6.16)."""

import math
from collections.abc import Collection, Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ladnn.intake.dicom_file import DAMAGE

_TEXTS = {
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "convolution_kernel": "ConvolutionKernel",
}
_NUMBERS = {
    "kvp": "KVP",
    "slice_thickness_mm": "SliceThickness",
    "pixel_spacing_mm": "PixelSpacing",
    "slice_location_mm": "SliceLocation",
    "exposure_mas": "Exposure",
}
_MAX_TEXT = 64


class FrameAttributes:
    """Looks an attribute up for one frame: its own functional groups, the shared ones, then the header."""

    def __init__(self, header: Dataset, index: int) -> None:
        self._sources = [*_groups(header, "PerFrameFunctionalGroupsSequence", index)]
        self._sources += [*_groups(header, "SharedFunctionalGroupsSequence", 0), header]

    def value(self, keyword: str) -> object:
        """Return the first value of an attribute; None where it is missing, empty or unreadable."""
        for source in self._sources:
            try:
                found = source.get(keyword)
            except DAMAGE:  # an unreadable attribute is as good as a missing one
                continue
            if isinstance(found, MultiValue):
                found = found[0] if found else None
            if found is not None and found != "":
                return found
        return None

    def number(self, keyword: str) -> float | None:
        """Return the first value of an attribute as a finite number; None where it is none."""
        found = self.value(keyword)
        if not isinstance(found, (int, float, str)):
            return None
        try:
            number = float(found)
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def text(self, keyword: str) -> str:
        """Return the first value of an attribute as text, "" where it is missing."""
        found = self.value(keyword)
        return "" if found is None else str(found).strip()

    def acquisition(self, identifiers: Collection[str]) -> dict[str, str | float | int]:
        """Return the attributes that describe how the frame was made; a text that holds an identifier is left out."""
        result: dict[str, str | float | int] = {}
        for name, keyword in _TEXTS.items():
            text = self.text(keyword)[:_MAX_TEXT]
            if text and text.isprintable() and not any(item.casefold() in text.casefold() for item in identifiers):
                result[name] = text
        for name, keyword in _NUMBERS.items():
            number = self.number(keyword)
            if number is not None:
                result[name] = number
        instance = self.number("InstanceNumber")
        if instance is not None:
            result["instance_number"] = int(instance)
        return result


def _groups(header: Dataset, sequence: str, index: int) -> Iterator[Dataset]:
    """Yield the items of a frame's functional groups; each group is a sequence of one item."""
    try:
        items = header.get(sequence) or []
        frame = items[index] if index < len(items) else []
        for element in frame:
            if element.VR == "SQ" and element.value:
                yield element.value[0]
    except DAMAGE:  # damaged groups hold nothing that could be looked up
        return
