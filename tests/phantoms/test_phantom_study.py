"""Phantom studies are reproducible, truthful and carry no shortcut."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.stats import entropy

from ladnn.errors import ConfigError
from ladnn.labels import LESIONS
from ladnn.phantoms.acquisition import STYLES
from ladnn.phantoms.disease import KINDS
from ladnn.phantoms.study import PhantomStudy, generate_scenes, generate_study


@pytest.fixture(scope="module")
def mixed() -> list[PhantomStudy]:
    return [generate_study(11, index, n_slices=1) for index in range(30)]


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 10**6), st.sampled_from(sorted(STYLES)), st.sampled_from(KINDS))
def test_same_arguments_give_the_same_study(seed: int, index: int, style: str, kind: str) -> None:
    first, second = (generate_study(seed, index, style=style, kind=kind, n_slices=1) for _ in range(2))
    assert np.array_equal(first.slices[0].pixels, second.slices[0].pixels)
    assert first.slices[0].report == second.slices[0].report
    assert (first.patient_id, first.age, first.sex, first.kind) == (
        second.patient_id,
        second.age,
        second.sex,
        second.kind,
    )


def test_another_process_draws_the_same_disease() -> None:
    """Python orders sets of strings anew in every process."""
    program = (
        "import numpy as np; from ladnn.phantoms.disease import draw_disease\n"
        "print([draw_disease('covid', 3, np.random.default_rng(seed)) for seed in range(40)])"
    )
    drawn = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert drawn[0] == drawn[1]


def test_naming_the_kind_that_was_drawn_changes_nothing() -> None:
    drawn = generate_study(4, 9, n_slices=1)
    named = generate_study(4, 9, kind=drawn.kind, n_slices=1)
    assert np.array_equal(drawn.slices[0].pixels, named.slices[0].pixels)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(1, 2))
def test_masks_name_exactly_the_lesions_and_lie_in_the_lungs(index: int, kind: str, n_slices: int) -> None:
    study = generate_study(1, index, kind=kind, n_slices=n_slices)
    scenes = generate_scenes(1, index, kind=kind, n_slices=n_slices)
    assert len(study.slices) == n_slices
    for image, scene in zip(study.slices, scenes, strict=True):
        assert image.pixels.dtype == np.uint8
        assert set(image.masks) == image.lesions <= set(LESIONS)
        for mask in image.masks.values():
            assert mask.shape == image.pixels.shape
            assert mask.any()
            assert scene.chest.lung[mask].min() > 0.5


def test_every_covid_slice_shows_a_lesion_and_no_normal_one_does() -> None:
    for index in range(8):
        assert all(image.lesions for image in generate_study(2, index, kind="covid", n_slices=2).slices)
    assert not generate_study(2, 0, kind="normal").slices[0].lesions


def test_about_half_of_the_patients_have_covid_and_every_kind_occurs(mixed: list[PhantomStudy]) -> None:
    assert 0.3 < np.mean([study.covid for study in mixed]) < 0.7
    assert {study.kind for study in mixed} == set(KINDS)
    assert len({study.patient_id for study in mixed}) == len(mixed)


def test_lesions_alone_do_not_give_the_diagnosis_away(mixed: list[PhantomStudy]) -> None:
    assert any(study.slices[0].lesions for study in mixed if not study.covid)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_kinds_differ_only_by_disease(style: str) -> None:
    for index in range(2):
        sick, well = (
            generate_study(8, index, style=style, kind=kind, n_slices=1).slices[0] for kind in ("covid", "normal")
        )
        changed = sick.pixels != well.pixels
        lung = generate_scenes(8, index, style=style, kind="covid", n_slices=1)[0].chest.lung > 0
        assert changed.any()
        assert not (changed & ~binary_dilation(lung, iterations=12)).any()


def test_kinds_share_age_and_sex() -> None:
    people = {(study.age, study.sex) for study in (generate_study(8, 5, kind=kind, n_slices=1) for kind in KINDS)}
    assert len(people) == 1


def test_styles_differ_in_size_noise_and_brightness() -> None:
    first, second = (
        [generate_study(6, index, style=style, kind="normal", n_slices=1).slices[0].pixels for index in range(3)]
        for style in ("a", "b")
    )
    assert first[0].shape != second[0].shape

    def roughness(pixels: np.ndarray) -> float:
        middle = pixels[4:-4, 4:-30].astype(float)
        tissue = (middle > 100) & (middle < 245)
        return float((middle - gaussian_filter(middle, 1.5))[tissue].std())

    assert min(map(roughness, second)) > 1.2 * max(map(roughness, first))
    assert all(pixels.min() == 0 for pixels in second)
    assert all(pixels.min() > 0 for pixels in first)
    histograms = [np.histogram(np.stack(group), 32, (0, 256))[0] + 1 for group in (first, second)]
    assert entropy(*histograms) > 0.1


@pytest.mark.parametrize(
    "wrong", [{"style": "c"}, {"kind": "influenza"}, {"n_slices": 0}, {"seed": -1}, {"index": -1}], ids=str
)
def test_impossible_requests_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="phantom"):
        generate_study(**{"seed": 1, "index": 1, **wrong})  # type: ignore[arg-type]
