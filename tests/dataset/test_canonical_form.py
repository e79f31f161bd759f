"""The canonical form: what differs between sources goes, anatomy and lesions stay."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from ladnn.dataset.canonical_form import CanonicalForm, Framing, blacken_lungs, locate
from ladnn.dataset.lung_field import content_box
from ladnn.phantoms.study import generate_study

FRAMING = Framing(size_px=224, interpolation="bicubic", form=CanonicalForm())
STRETCHED = Framing(size_px=224, interpolation="bicubic")


@pytest.fixture(scope="module")
def chest():
    return generate_study(1, 5, kind="covid", n_slices=1).slices[0]


def resized(pixels, width, height):
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def framed(pixels):
    inner = np.pad(pixels, ((10, 40), (25, 5)), constant_values=255)
    return np.pad(inner, 4, constant_values=0)


def lettered(pixels):
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).text((4, 4), "2B", fill=255, font_size=24)
    return np.asarray(image)


def as_jpeg(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer))


CHANGES = {
    "larger": lambda p: resized(p, 700, 700),
    "another aspect ratio": lambda p: resized(p, 380, 270),
    "margins and a frame": framed,
    "a letter in the corner": lettered,
    "another window": lambda p: np.clip(p * 0.7 + 20, 0, 255).astype(np.uint8),
    "hard JPEG": as_jpeg,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_differs_between_sources_leaves_the_form_nearly_as_it_is(chest, change):
    changed = change(chest.pixels)

    assert np.abs(FRAMING.apply(changed).astype(float) - FRAMING.apply(chest.pixels)).mean() < 5


def test_lesions_stay_visible(chest):
    healthy = generate_study(1, 5, kind="normal", n_slices=1).slices[0].pixels
    lesions = np.zeros(chest.pixels.shape, dtype=np.bool_)
    for mask in chest.masks.values():
        lesions |= mask
    box = tuple(round(side) for side in locate(chest.pixels, 4).box)
    inside = Image.fromarray(lesions).crop(box).resize((224, 224))
    difference = np.abs(FRAMING.apply(chest.pixels).astype(float) - FRAMING.apply(healthy))

    assert difference[np.asarray(inside)].mean() > 4 * difference[~np.asarray(inside)].mean()


def test_air_and_tissue_get_their_grey_and_nothing_is_brighter_than_tissue(chest):
    form = CanonicalForm(air_grey=20, tissue_grey=200)
    pixels = form.apply(chest.pixels, 224, "bicubic")

    assert pixels.max() <= 210  # bicubic overshoots a little
    assert (np.abs(pixels.astype(int) - 200) <= 3).mean() > 0.25
    assert pixels[0, 0] == pixels[-1, -1] == 200


def test_blackening_takes_the_lungs_and_leaves_the_chest_wall(chest):
    square = STRETCHED.apply(chest.pixels)
    lesions = np.zeros(chest.pixels.shape, dtype=np.bool_)
    for mask in chest.masks.values():
        lesions |= mask
    left = blacken_lungs(square)

    assert (left[np.asarray(Image.fromarray(lesions).resize((224, 224)))] == 0).mean() > 0.97
    assert (left[square > 200] > 0).mean() > 0.3


@given(height=st.integers(1, 400), width=st.integers(1, 400), seed=st.integers(0, 2**32 - 1), flat=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_picture_has_a_form_and_always_the_same(height, width, seed, flat):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width), dtype=np.uint8)
    pixels = np.full_like(pixels, pixels[0, 0]) if flat else pixels
    first = FRAMING.apply(pixels)

    assert (first.dtype, first.shape) == (np.uint8, (224, 224))
    np.testing.assert_array_equal(first, FRAMING.apply(np.asfortranarray(pixels)))


def test_margins_of_any_shade_are_left_out_up_to_half_of_a_side():
    picture = np.random.default_rng(1).integers(0, 256, (60, 80), dtype=np.uint8)
    padded = np.pad(np.pad(picture, ((7, 3), (5, 9)), constant_values=255), 2, constant_values=30)

    assert content_box(padded) == (7, 9, 87, 69)
    assert content_box(np.zeros((50, 50), dtype=np.uint8)) == (0, 0, 50, 50)


def test_the_form_travels_in_json_and_its_absence_means_the_whole_slice():
    assert Framing.model_validate_json(FRAMING.model_dump_json()) == FRAMING
    assert Framing.model_validate({"size_px": 64, "interpolation": "bilinear"}).form is None
