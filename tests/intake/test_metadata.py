"""Side data of pictures goes, the picture stays."""

import io
from contextlib import suppress

import numpy as np
import pytest
from factories import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from ladnn.errors import ImageRejectedError
from ladnn.intake.metadata import without_metadata

SECRET = b"Wolkenstein"


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def with_png_text(image: Image.Image) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Patient", SECRET.decode())
    chunks.add_itxt("Comment", SECRET.decode())
    return encoded(image, "PNG", pnginfo=chunks)


def with_jpeg_text(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = SECRET.decode(), orientation
    return encoded(image, "JPEG", exif=exif, comment=SECRET, quality=90) + SECRET


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "LA"])
def test_a_png_keeps_its_pixels_and_loses_its_text(mode: str) -> None:
    image = Image.fromarray(picture(1)).convert(mode)
    data = with_png_text(image)
    assert SECRET in data
    clean = without_metadata(data)
    assert SECRET not in clean
    assert opened(clean).mode == opened(data).mode
    assert np.array_equal(np.asarray(opened(clean)), np.asarray(opened(data)))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_keeps_its_pixels_and_its_orientation_and_loses_the_rest(mode: str, orientation: int) -> None:
    data = with_jpeg_text(Image.fromarray(picture(1)).convert(mode), orientation)
    clean = without_metadata(data)
    assert SECRET not in clean
    assert np.array_equal(np.asarray(opened(clean)), np.asarray(opened(data)))
    assert opened(clean).getexif().get(0x0112, 1) == orientation
    assert len(opened(clean).getexif()) == (orientation != 1)


def test_other_files_stay_as_they_are() -> None:
    assert without_metadata(b"anything") == b"anything"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["png", "jpeg"]), st.data())
def test_damaged_files_are_refused_or_cleaned(kind: str, data: st.DataObject) -> None:
    image = Image.fromarray(picture(2))
    whole = bytearray(with_png_text(image) if kind == "png" else with_jpeg_text(image, 6))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(3, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ImageRejectedError):
        without_metadata(bytes(whole[: data.draw(st.integers(3, len(whole)))]))


def test_nothing_that_was_appended_or_put_between_scans_stays() -> None:
    image = Image.fromarray(picture(3))
    whole = encoded(image, "JPEG", progressive=True)
    scan = whole.index(b"\xff\xda", whole.index(b"\xff\xda") + 2)
    comment = b"\xff\xfe\x00\x0d" + SECRET
    clean = without_metadata(whole[:scan] + comment + whole[scan:] + with_jpeg_text(image, 1))
    assert SECRET not in clean
    assert np.array_equal(np.asarray(opened(clean)), np.asarray(opened(whole)))
