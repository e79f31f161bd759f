"""Any PNG or JPEG becomes 8-bit grey; anything else is refused with a reason, never with another error."""

import struct
import zlib

import numpy as np
import pytest
from factories import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ladnn.errors import ImageRejectedError
from ladnn.intake.decode import (
    CanonicalImage,
    canonical_digest,
    decode,
    decode_canonical,
    decode_frames,
    encode_canonical,
)

GREY = picture(1)
RAMP = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (40, 1))
"""Smooth, so that JPEG keeps it to within a few grey levels."""


def reason(data: bytes) -> str:
    with pytest.raises(ImageRejectedError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def with_alpha(grey: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([grey, grey, grey, alpha])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_grey_keeps_its_levels_in_every_png_mode(mode: str) -> None:
    image = Image.fromarray(GREY)
    if mode == "P":
        image = Image.frombytes("P", image.size, GREY.tobytes())
        image.putpalette([level for level in range(256) for _ in range(3)])
    canonical = decode(encoded(image.convert(mode)))
    assert np.array_equal(canonical.pixels, GREY)
    assert canonical.pixels.dtype == np.uint8
    assert (canonical.original_format, canonical.original_mode) == ("PNG", mode)
    assert canonical.digest == canonical_digest(GREY)


def test_two_levels_become_black_and_white() -> None:
    canonical = decode(encoded(Image.fromarray(GREY > 127)))
    assert np.array_equal(canonical.pixels, np.where(GREY > 127, 255, 0))
    assert canonical.original_mode == "1"


@pytest.mark.parametrize("bits", [8, 9, 12, 13, 16])
def test_sixteen_bit_grey_is_scaled_by_the_bits_that_are_used(bits: int) -> None:
    top = 2**bits - 1
    levels = np.random.default_rng(0).integers(0, top + 1, (40, 48), dtype=np.uint16)
    levels[0, :2] = 0, top
    canonical = decode(encoded(Image.fromarray(levels)))
    assert canonical.original_mode == "I;16"
    assert np.abs(canonical.pixels - levels * (255 / top)).max() <= 0.501
    assert canonical.pixels[0, :2].tolist() == [0, 255]
    assert canonical.changes == (("16-bit" if bits == 16 else f"{bits} bits in 16") + " scaled to 8-bit",)


def test_what_is_transparent_is_black() -> None:
    alpha = np.full_like(GREY, 255)
    alpha[:, :20] = 0
    expected = np.where(alpha == 255, GREY, 0)
    assert np.array_equal(decode(encoded(with_alpha(GREY, alpha))).pixels, expected)
    keyed = np.where(GREY == 7, 8, GREY).astype(np.uint8)
    keyed[:, :20] = 7
    assert not decode(encoded(keyed, transparency=7)).pixels[:, :20].any()


def test_colour_becomes_its_luminance() -> None:
    colour = np.zeros((40, 48, 3), np.uint8)
    colour[:, :24, 0] = 255
    pixels = decode(encoded(colour)).pixels
    assert pixels[0, 0] == 76  # ITU-R BT.601: 0.299 of 255
    assert pixels[0, 47] == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_every_mode_is_decoded(mode: str) -> None:
    canonical = decode(encoded(Image.fromarray(RAMP).convert(mode), "JPEG", quality=95))
    assert (canonical.original_format, canonical.original_mode) == ("JPEG", mode)
    assert np.abs(canonical.pixels.astype(int) - RAMP).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_is_turned_upright(kind: str, orientation: int) -> None:
    turned = {  # how a camera stores an upright picture, by orientation
        1: RAMP,
        2: RAMP[:, ::-1],
        3: RAMP[::-1, ::-1],
        4: RAMP[::-1],
        5: RAMP.T,
        6: np.rot90(RAMP),
        7: RAMP[::-1, ::-1].T,
        8: np.rot90(RAMP, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    canonical = decode(encoded(np.ascontiguousarray(turned), kind, exif=exif))
    assert canonical.changes == ((f"turned upright (EXIF orientation {orientation})",) if orientation > 1 else ())
    pixels = canonical.pixels
    assert pixels.shape == RAMP.shape
    assert np.abs(pixels.astype(int) - RAMP).mean() < 3


@pytest.mark.parametrize("level", [0, 51, 128, 255])
def test_a_blank_image_is_refused(level: int) -> None:
    assert reason(encoded(np.full((64, 64), level, np.uint8))) == "blank"


def test_what_is_no_image_is_refused() -> None:
    assert reason(b"") == "empty"
    for data in (b"a report", bytes(5000), encoded(GREY, "GIF"), b"%PDF-1.4"):
        assert reason(data) == "wrong_type"
    for data in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        assert reason(data) == "truncated"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_image_is_refused_wherever_it_ends(kind: str) -> None:
    data = encoded(GREY, kind)
    for length in [*range(8, len(data), 41), len(data) - 2]:
        assert reason(data[:length]) == "truncated"


def test_a_png_whose_bytes_changed_is_refused() -> None:
    data = bytearray(encoded(GREY, compress_level=0))
    data[len(data) // 2] ^= 1
    assert reason(bytes(data)) == "undecodable"


def test_an_animated_png_is_refused() -> None:
    more = [Image.fromarray(picture(2))]
    assert reason(encoded(Image.fromarray(GREY), save_all=True, append_images=more)) == "several_frames"


def test_a_file_of_one_picture_has_one_frame() -> None:
    (frame,) = decode_frames(encoded(GREY))
    assert isinstance(frame, CanonicalImage)
    assert frame.digest == canonical_digest(GREY)
    (refused,) = decode_frames(b"no picture")
    assert isinstance(refused, ImageRejectedError)
    assert refused.reason == "wrong_type"


@pytest.mark.parametrize(("width", "height", "code"), [(31, 400, "too_small"), (400, 1, "too_small")])
def test_an_image_with_a_short_side_is_refused(width: int, height: int, code: str) -> None:
    assert reason(encoded(picture(0, (height, width)))) == code


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds one row's worth of packed zeros."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    )
    packed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(("width", "height"), [(50_001, 1000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 40)])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(width: int, height: int) -> None:
    assert reason(png_of(width, height)) == "decompression_bomb"


def test_an_honest_image_can_be_too_large() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4097, 4097), dtype=np.uint8)
    assert reason(encoded(noise, compress_level=0)) == "too_large"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    assert reason(data[:scan] + 50 * data[scan:-2] + data[-2:]) == "decompression_bomb"


SEEDS = [
    encoded(GREY),
    encoded(Image.fromarray(GREY).convert("P"), transparency=bytes(range(256))),
    encoded(Image.fromarray(GREY).convert("RGBA")),
    encoded(GREY.astype(np.uint16) * 257),
]
EXIF = Image.Exif()
EXIF[0x0112], EXIF[0x010F], EXIF[0x011A] = 6, "a maker", 72.0
SEEDS += [encoded(RAMP, "JPEG", exif=EXIF), encoded(Image.fromarray(RAMP).convert("CMYK"), "JPEG", progressive=True)]
REASONS = {
    "undecodable",
    "truncated",
    "wrong_type",
    "several_frames",
    "decompression_bomb",
    "too_large",
    "too_small",
    "blank",
}
EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 8), st.binary(max_size=6)), min_size=1, max_size=4)


def repaired(data: bytes) -> bytes:
    """Give the chunks of a PNG right checksums again, so that the damage reaches the decoder."""
    result, at = data[:8], 8
    while at + 8 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        body = data[at + 4 : at + 8 + length]
        result += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return result


@settings(deadline=None, max_examples=400)
@given(seed=st.sampled_from(SEEDS), edits=EDITS, in_header=st.booleans())
def test_a_damaged_image_is_decoded_or_refused_and_nothing_else(
    seed: bytes, edits: list[tuple[int, int, bytes]], in_header: bool
) -> None:
    data = bytearray(seed)
    for position, n_removed, inserted in edits:
        at = position % (min(len(data), 200) if in_header else len(data) + 1)
        data[at : at + n_removed] = inserted
        data = data or bytearray(b"\0")
    damaged = repaired(bytes(data)) if data[:4] == b"\x89PNG" else bytes(data)
    refused = ""
    try:
        canonical = decode(damaged)
    except ImageRejectedError as error:
        refused = error.reason
    assert refused in {"", *REASONS}
    assert refused or (canonical.pixels.ndim, canonical.pixels.dtype) == (2, np.uint8)


@pytest.mark.parametrize("tag", [0x010F, 0x0112, 0x011A])
def test_damaged_exif_does_not_cost_the_image(tag: int) -> None:
    exif = Image.Exif()
    exif[tag] = {0x010F: "maker", 0x0112: 1, 0x011A: 72.0}[tag]
    data = bytearray(encoded(GREY, exif=exif))
    header = data.index(b"eXIf") + 4
    first_entry = header + 10  # tag, type, number of values, value
    order = "<H" if data[header : header + 2] == b"II" else ">H"
    for kind in range(14):
        data[first_entry + 2 : first_entry + 4] = struct.pack(order, kind)
        assert np.array_equal(decode(repaired(bytes(data))).pixels, GREY)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    assert reason(data) in REASONS | {"empty"}


def test_a_canonical_image_survives_its_file_unchanged() -> None:
    assert np.array_equal(decode_canonical(encode_canonical(GREY)), GREY)
    assert decode(encode_canonical(GREY)).digest == canonical_digest(GREY)
    assert canonical_digest(GREY) != canonical_digest(GREY.reshape(128, 96))


@pytest.mark.parametrize(
    "data",
    [b"", b"text", encode_canonical(GREY)[:-40], encoded(Image.new("RGB", (40, 40)))],
    ids=["empty", "text", "truncated", "colour"],
)
def test_a_damaged_canonical_file_is_refused(data: bytes) -> None:
    with pytest.raises(ImageRejectedError, match="restore it"):
        decode_canonical(data)
