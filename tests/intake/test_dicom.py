"""DICOM of every usual encoding becomes the lung window; frames are judged one by one; other files are refused."""

from typing import Any

import numpy as np
import pytest
from dicom_files import NATIVE, PACKED, ct_dataset, ct_file, enhanced_ct, hounsfield, written
from factories import encoded, picture
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from ladnn.errors import ImageRejectedError
from ladnn.intake.decode import CanonicalImage, check_ct_slice, decode, decode_frames

HU = hounsfield(1)
WINDOW = "rescaled to Hounsfield units, lung window -600/1500"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def reason(data: bytes) -> str:
    with pytest.raises(ImageRejectedError) as caught:
        decode(data)
    assert "Maker" not in str(caught.value)
    return caught.value.reason


def differs(pixels: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(pixels.astype(int) - expected).max())


@pytest.mark.parametrize("syntax", [*NATIVE, *PACKED], ids=lambda syntax: syntax.name)
def test_signed_hounsfield_units_are_shown_in_the_lung_window(syntax: str) -> None:
    canonical = decode(ct_file(HU, syntax))
    assert differs(canonical.pixels, picture(1)) <= 1
    assert canonical.changes == (WINDOW,)
    assert (canonical.original_format, canonical.original_mode) == ("DICOM", "MONOCHROME2;16")
    assert canonical.chroma == 0
    check_ct_slice(canonical)


@pytest.mark.parametrize("syntax", [*NATIVE, *PACKED], ids=lambda syntax: syntax.name)
def test_twelve_unsigned_bits_are_rescaled(syntax: str) -> None:
    stored = ((HU + 1400) // 2).astype(np.uint16)
    bits = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": "2", "RescaleIntercept": "-1400"}
    assert differs(decode(ct_file(stored, syntax, **bits)).pixels, picture(1)) <= 1


def test_monochrome_1_is_inverted() -> None:
    canonical = decode(ct_file(HU, PhotometricInterpretation="MONOCHROME1"))
    assert differs(255 - canonical.pixels, picture(1)) <= 1
    assert canonical.changes == (WINDOW, "MONOCHROME1 inverted")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black(photometric: str) -> None:
    padded = HU.copy()
    padded[:, :20] = 3000
    dataset = ct_dataset(padded, PhotometricInterpretation=photometric)
    dataset.add_new("PixelPaddingValue", "SS", 3000)
    canonical = decode(written(dataset))
    assert not canonical.pixels[:, :20].any()
    assert canonical.pixels[:, 30:].any()
    assert "padding painted black" in canonical.changes


def test_acquisition_is_kept_and_names_nobody() -> None:
    canonical = decode(ct_file(HU, PatientName="Roe^Jane", ManufacturerModelName="Model of Jane"))
    assert canonical.acquisition == {
        "modality": "CT",
        "manufacturer": "Maker",
        "convolution_kernel": "LUNG",
        "kvp": 120,
        "slice_thickness_mm": 1.25,
        "pixel_spacing_mm": 0.7,
        "slice_location_mm": -120.5,
        "instance_number": 7,
    }
    assert decode(encoded(picture(1))).acquisition == {}


@pytest.mark.parametrize("syntax", [NATIVE[1], *PACKED], ids=lambda syntax: syntax.name)
def test_every_frame_of_a_file_is_decoded_in_order(syntax: str) -> None:
    data = ct_file(np.stack([hounsfield(number) for number in range(3)]), syntax)
    frames = list(decode_frames(data))
    assert [differs(frame.pixels, picture(number)) <= 1 for number, frame in enumerate(frames)] == 3 * [True]
    assert reason(data) == "several_frames"


def test_frames_of_an_enhanced_ct_have_their_own_rescale() -> None:
    data = enhanced_ct(np.stack([HU, HU - 100, HU + 50]), [0, 100, -50])
    frames = list(decode_frames(data))
    assert [differs(frame.pixels, picture(1)) <= 1 for frame in frames] == 3 * [True]
    assert frames[1].acquisition["slice_thickness_mm"] == 5


@pytest.mark.parametrize("syntax", PACKED, ids=lambda syntax: syntax.name)
def test_a_damaged_frame_does_not_hide_its_siblings(syntax: str) -> None:
    data = bytearray(ct_file(np.stack([hounsfield(number) for number in range(3)]), syntax))
    items = [at for at in range(len(data)) if data[at : at + 4] == b"\xfe\xff\x00\xe0"]
    data[items[-2] + 8 : items[-2] + 70] = 62 * b"\xff"
    frames = list(decode_frames(bytes(data)))
    assert [isinstance(frame, CanonicalImage) for frame in frames] == [True, False, True]
    assert frames[1].reason == "undecodable"


def test_frames_that_are_missing_are_told() -> None:
    frames = list(decode_frames(ct_file(HU, NumberOfFrames=4000)))
    assert isinstance(frames[0], CanonicalImage)
    assert [frame.reason for frame in frames[1:]] == ["truncated"]
    blank = np.stack([HU, np.zeros_like(HU), HU])
    assert [getattr(frame, "reason", "") for frame in decode_frames(ct_file(blank))] == ["", "blank", ""]


def test_a_capture_is_shown_in_its_own_window() -> None:
    grey = ct_file(picture(1), SOPClassUID=CAPTURE, Modality="OT", RescaleSlope=None, RescaleIntercept=None)
    assert np.array_equal(decode(grey).pixels, picture(1))
    wide = (picture(1).astype(np.uint16) * 4 + 100).astype(np.uint16)
    windowed = decode(ct_file(wide, SOPClassUID=CAPTURE, WindowCenter="610", WindowWidth="1020"))
    assert differs(windowed.pixels, picture(1)) <= 1
    assert windowed.changes == ("the file's own window 610/1020",)
    spread = decode(ct_file(wide, SOPClassUID=CAPTURE))
    assert (spread.pixels.min(), spread.pixels.max()) == (0, 255)


def test_a_colour_capture_becomes_grey() -> None:
    dataset = ct_dataset(picture(1), SOPClassUID=CAPTURE, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    dataset.PlanarConfiguration = 0
    dataset.PixelData = np.dstack([picture(1), picture(2), picture(3)]).tobytes()
    canonical = decode(written(dataset))
    assert canonical.changes == ("colours turned grey",)
    assert canonical.chroma > 0.05


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("burned_in_annotation", {"BurnedInAnnotation": "YES"}),
        ("wrong_type", {"Modality": "MR"}),
        ("wrong_type", {"Modality": None}),
        ("not_ct", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("bad_dicom", {"RescaleSlope": None}),
        ("bad_dicom", {"RescaleSlope": "0"}),
        ("bad_dicom", {"RescaleType": "US"}),
        ("bad_dicom", {"PhotometricInterpretation": "PALETTE COLOR"}),
        ("bad_dicom", {"NumberOfFrames": 5000}),
        ("bad_dicom", {"Rows": None}),
        ("bad_dicom", {"SamplesPerPixel": 7}),
        ("decompression_bomb", {"Rows": 65535, "Columns": 65535}),
        ("too_small", {"Rows": 8, "Columns": 8}),
        ("truncated", {"Rows": 2000}),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(code: str, values: dict[str, Any]) -> None:
    assert {frame.reason for frame in decode_frames(ct_file(HU, **values))} == {code}


def test_a_secondary_capture_that_says_nothing_of_burned_in_text_is_taken() -> None:
    assert decode(ct_file(HU, SOPClassUID=CAPTURE)).pixels.any()
    assert decode(ct_file(HU, BurnedInAnnotation="NO")).pixels.any()


def test_a_file_without_pixels_and_one_deflated_as_a_whole_are_refused() -> None:
    dataset = ct_dataset(HU)
    del dataset.PixelData
    assert reason(written(dataset)) == "bad_dicom"
    dataset = ct_dataset(HU)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert reason(written(dataset)) == "bad_dicom"


@pytest.mark.parametrize("syntax", [NATIVE[0], NATIVE[1], *PACKED], ids=lambda syntax: syntax.name)
def test_a_truncated_file_is_refused_wherever_it_ends(syntax: str) -> None:
    data = ct_file(HU, syntax)
    for length in range(140, len(data), len(data) // 40):
        assert reason(data[:length]) in {"truncated", "bad_dicom", "wrong_type"}


@pytest.mark.parametrize(
    ("syntax", "size", "lie"),
    [
        (JPEGLosslessSV1, b"\x00\x60\x00\x80", b"\xff\x60\xff\x80"),
        (JPEG2000Lossless, b"\0\0\0\x80\0\0\0\x60", b"\0\xff\0\x80\0\xff\0\x60"),
    ],
)
def test_a_codestream_that_claims_another_size_is_not_unpacked(syntax: str, size: bytes, lie: bytes) -> None:
    data = ct_file(HU, syntax)
    assert size in data
    assert reason(data.replace(size, lie)) == "undecodable"


def test_overlays_do_not_change_the_image() -> None:
    dataset = ct_dataset(HU)
    dataset.add_new(0x60000010, "US", HU.shape[0])
    dataset.add_new(0x60000011, "US", HU.shape[1])
    dataset.add_new(0x60003000, "OW", bytes([255]) * (HU.size // 8))
    assert differs(decode(written(dataset)).pixels, picture(1)) <= 1


@pytest.mark.parametrize("name", ["CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"])
def test_scanners_files_are_decoded(name: str) -> None:
    path = get_testdata_file(name)
    assert path
    with open(path, "rb") as file:  # noqa: PTH123
        canonical = decode(file.read())
    assert canonical.changes[0] == WINDOW
    assert canonical.acquisition["modality"] == "CT"


def test_run_lengths_of_two_frames_are_decoded_alike() -> None:
    data = ct_file(np.stack([HU, HU]), RLELossless)
    first, second = decode_frames(data)
    assert isinstance(first, CanonicalImage)
    assert isinstance(second, CanonicalImage)
    assert first.digest == second.digest
