import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ladnn.errors import DatasetError
from ladnn.model.preprocessing import Preprocessing

SPEC = Preprocessing(size_px=64, interpolation="bicubic", mean=(127, 127, 127), std=(128, 128, 128))


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
@settings(max_examples=30, deadline=None)
def test_a_slice_of_any_size_becomes_the_square_and_always_the_same(height, width, seed, interpolation):
    spec = SPEC.model_copy(update={"interpolation": interpolation})
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    result = spec.apply(pixels)
    assert result.dtype == np.uint8
    assert result.shape == (64, 64)
    np.testing.assert_array_equal(result, spec.apply(np.asfortranarray(pixels)))


@given(grey=st.integers(0, 255))
def test_a_flat_slice_keeps_its_grey(grey):
    assert np.unique(SPEC.apply(np.full((37, 91), grey, dtype=np.uint8))).tolist() == [grey]


def test_each_channel_shows_its_own_tone_of_the_grey():
    tones = SPEC.model_copy(update={"gamma": (0.5, 1, 2)}).tones()
    assert tones.shape == (256, 3)
    assert tones.dtype == np.float32
    np.testing.assert_allclose(tones[0], -127 / 128)
    np.testing.assert_allclose(tones[255], 1)
    np.testing.assert_allclose(tones[64], [(255 * (64 / 255) ** power - 127) / 128 for power in (0.5, 1, 2)], rtol=1e-6)
    np.testing.assert_allclose(SPEC.tones()[:, 2], (np.arange(256) - 127) / 128, atol=1e-7)


def test_a_slice_of_the_right_size_is_left_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    np.testing.assert_array_equal(SPEC.apply(pixels), pixels)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8), np.uint8), np.zeros(8, np.uint16)],
)
def test_what_is_no_grey_slice_is_refused(pixels):
    with pytest.raises(DatasetError, match="uint8"):
        SPEC.apply(pixels)


def test_the_spec_survives_json_and_refuses_unknown_keys():
    assert Preprocessing.model_validate_json(SPEC.model_dump_json()) == SPEC
    with pytest.raises(ValidationError, match="crop"):
        Preprocessing.model_validate({**SPEC.model_dump(), "crop": True})
