"""The operating point reaches its sensitivity, is the highest that does, and keeps clear of every case."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.errors import DatasetError, TrainingError
from ladnn.evaluation.operating_point import choose_threshold

probability = st.one_of(st.floats(0, 1), st.integers(0, 5).map(lambda n: n / 5))
cases = st.lists(st.tuples(st.sampled_from([0.0, 1.0, float("nan")]), probability), min_size=1, max_size=30).filter(
    lambda rows: any(label == 1 for label, _ in rows)
)
target = st.floats(0.01, 1)


def arrays(rows):
    labels, probabilities = zip(*rows, strict=True)
    return np.array(labels), np.array(probabilities)


def sensitivity(labels, probabilities, threshold):
    return np.mean(probabilities[labels == 1] >= threshold)


@settings(deadline=None)
@given(cases, target)
def test_sensitivity_reaches_the_target_and_no_higher_threshold_does(rows, target_sensitivity):
    labels, probabilities = arrays(rows)

    threshold = choose_threshold(labels, probabilities, target_sensitivity)

    assert sensitivity(labels, probabilities, threshold) >= target_sensitivity
    positives = probabilities[labels == 1]
    lowest_called = positives[positives >= threshold].min()
    assert sensitivity(labels, probabilities, np.nextafter(lowest_called, 2)) < target_sensitivity


@settings(deadline=None)
@given(cases, target)
def test_the_threshold_lies_midway_so_that_rounding_to_single_precision_flips_no_case(rows, target_sensitivity):
    labels, probabilities = arrays(rows)
    known = ~np.isnan(labels)
    labels, probabilities = labels[known], np.round(probabilities[known], 3)

    threshold = choose_threshold(labels, probabilities, target_sensitivity)

    rounded = probabilities.astype(np.float32)
    assert ((rounded >= threshold) == (probabilities >= threshold)).all()


def test_a_hand_worked_threshold():
    labels = np.array([1, 1, 1, 1, 0, 0, np.nan])
    probabilities = np.array([0.9, 0.8, 0.6, 0.2, 0.5, 0.3, 0.55])

    assert choose_threshold(labels, probabilities, 0.75) == pytest.approx((0.6 + 0.5) / 2)
    assert choose_threshold(labels, probabilities, 0.76) == pytest.approx((0.2 + 0.0) / 2)
    assert choose_threshold(labels, probabilities, 0.5) == pytest.approx((0.8 + 0.6) / 2)


def test_a_target_that_is_a_whole_number_of_cases_is_not_overshot():
    scores = np.arange(1, 101) / 101  # 0.55 * 100 is 55.00000000000001 in floating point

    threshold = choose_threshold(np.ones(100), scores, 0.55)

    assert sensitivity(np.ones(100), scores, threshold) == 0.55


def test_neighbouring_floats_keep_their_sides():
    lower = 0.5
    upper = np.nextafter(lower, 1)

    threshold = choose_threshold(np.array([0.0, 1.0]), np.array([lower, upper]), 1.0)

    assert lower < threshold <= upper


def test_without_a_positive_case_there_is_no_threshold():
    with pytest.raises(DatasetError, match="contribute positive cases"):
        choose_threshold(np.array([0, np.nan]), np.array([0.1, 0.2]), 0.9)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_diverged_model_has_no_threshold(label):
    with pytest.raises(TrainingError, match="learning_rate"):
        choose_threshold(np.array([1.0, label]), np.array([0.5, np.nan]), 0.9)
