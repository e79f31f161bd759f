"""Distances and permutations: by hand, against SciPy and statsmodels, and what holds for any data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from ladnn.errors import DatasetError
from ladnn.governance.drift.comparison import holm
from ladnn.governance.drift.permutation import distances_of, shifts
from ladnn.governance.drift.sample import Sample, on_common_terms

LEVELS = st.lists(st.integers(0, 9).map(float), min_size=2, max_size=40)


def one_each(values, name="intensity.mean", patient="p"):
    """A sample of one image a patient."""
    names = np.array([f"{patient}{place}" for place in range(len(values))], np.str_)
    return Sample(pd.DataFrame({name: values}), names, np.full(len(values), "s", np.str_))


def test_the_distance_of_numbers_is_the_largest_gap_by_hand():
    # Up to 2: three quarters of the reference, a quarter of the current images.
    found = distances_of(one_each([1.0, 1.0, 2.0, 3.0]), one_each([2.0, 3.0, 4.0, 4.0]))
    assert found == {"intensity.mean": pytest.approx(0.5)}


def test_the_distance_of_categories_is_half_the_sum_of_differences_by_hand():
    before = one_each(["PNG", "PNG", "PNG", "JPEG"], "acquisition.format")
    now = one_each(["PNG", "JPEG", "DICOM", "DICOM"], "acquisition.format")
    # Shares 3/4, 1/4, 0 against 1/4, 1/4, 2/4.
    assert distances_of(before, now) == {"acquisition.format": pytest.approx(0.5)}


@settings(max_examples=40, deadline=None)
@given(LEVELS, LEVELS)
def test_the_distance_is_scipys_kolmogorov_smirnov_where_each_patient_has_one_image(before, now):
    found = distances_of(one_each(before), one_each(now))["intensity.mean"]
    assert found == pytest.approx(ks_2samp(before, now, method="asymp").statistic)


def test_a_patient_with_many_images_counts_once():
    many = Sample(
        pd.DataFrame({"intensity.mean": [0.0] * 9 + [1.0]}), np.array(["p"] * 9 + ["q"]), np.array(["s"] * 10)
    )
    assert distances_of(many, one_each([0.0, 1.0]))["intensity.mean"] == pytest.approx(0.0)


def test_what_one_side_does_not_state_is_no_distance_but_that_it_is_missing_is_one():
    before, now = on_common_terms(
        one_each([100.0, 120.0], "acquisition.kvp"), one_each([np.nan, np.nan], "acquisition.kvp")
    )
    assert distances_of(before, now) == {"acquisition.kvp": 0.0, "acquisition.kvp stated": 1.0}


def test_a_category_that_is_missing_is_a_category():
    name = "acquisition.model"
    before, now = on_common_terms(one_each(["A", None], name), one_each(["A", "A"], name))
    assert sorted(before.table[name]) == ["A", "unknown"]
    assert distances_of(before, now)[name] == pytest.approx(0.5)


def test_the_mix_of_labels_is_compared_among_known_ones_and_the_unknown_share_apart_by_hand():
    before, now = on_common_terms(
        one_each([1.0, 1.0, 1.0, 0.0, np.nan, np.nan, np.nan, np.nan], "label.GGO"),
        one_each([1.0, 0.0, 0.0, 0.0, 0.0, np.nan], "label.GGO"),
    )
    # 3 of 4 known ones against 1 of 5; 4 of 8 are unknown against 1 of 6.
    assert distances_of(before, now) == {
        "label.GGO": pytest.approx(3 / 4 - 1 / 5),
        "label.GGO stated": pytest.approx(1 / 2 - 1 / 6),
    }


def test_strata_take_the_mix_of_sites_out():
    before = Sample(
        pd.DataFrame({"intensity.mean": [0.0] * 9 + [5.0] * 3}),
        np.array([f"p{k}" for k in range(12)]),
        np.array(["a"] * 9 + ["b"] * 3),
    )
    now = Sample(
        pd.DataFrame({"intensity.mean": [0.0] * 2 + [5.0] * 8}),
        np.array([f"q{k}" for k in range(10)]),
        np.array(["a"] * 2 + ["b"] * 8),
    )
    assert distances_of(before, now)["intensity.mean"] == pytest.approx(0.55)
    (shift,) = shifts(before, now, (before.sites, now.sites), 99, 1)
    assert (shift.distance, shift.p_value) == (pytest.approx(0.0), 1.0)


def test_the_smallest_p_value_is_one_in_so_many_permutations_and_repeats():
    before, now = one_each(list(np.arange(20.0))), one_each(list(np.arange(50.0, 70.0)), patient="q")
    strata = before.sites, now.sites
    (shift,) = shifts(before, now, strata, 199, 1)
    assert (shift.distance, shift.p_value) == (1.0, pytest.approx(1 / 200))
    assert shifts(before, now, strata, 199, 1) == [shift]


def test_holm_steps_down_by_hand():
    # Against 0.05/4, 0.05/3, 0.05/2: 0.005 and 0.01 hold, 0.03 does not, and 0.04 is not asked any more.
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([], 0.05) == []


def test_a_property_without_a_family_is_refused():
    with pytest.raises(DatasetError, match="'mean' belongs to no family"):
        one_each([1.0], "mean")
