"""Temperatures: recovered where they are known, against scikit-learn, and 1 with a reason where nothing can be fitted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from ladnn.errors import DatasetError
from ladnn.evaluation.at_threshold import intervals_at_threshold
from ladnn.evaluation.calibration import Calibration, Temperature, cross_entropy, fit_calibration, fit_temperature
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.reliability import reliability, wilson
from ladnn.labels import LABELS
from ladnn.model.graph import sigmoid
from ladnn.statistics import Bootstrap


def drawn(rng, n, temperature):
    """Labels drawn with calibrated probabilities, and logits that are too sharp by the temperature."""
    logits = rng.normal(0, 2, n)
    return (rng.random(n) < sigmoid(logits)).astype(float), logits * temperature


def cases_of(labels, logits):
    return known_cases(labels, logits, [f"p{i}" for i in range(len(labels))])


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(temperature):
    labels, logits = drawn(np.random.default_rng(1), 20_000, temperature)

    fitted = fit_temperature(cases_of(labels, logits))

    assert fitted.value == pytest.approx(temperature, rel=0.05)
    assert (fitted.n_known, fitted.unfitted) == (20_000, None)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.3, 5))
def test_it_is_the_slope_of_a_logistic_regression_without_intercept_and_never_raises_the_loss(seed, temperature):
    labels, logits = drawn(np.random.default_rng(seed), 200, temperature)
    fitted = fit_temperature(cases_of(labels, logits))
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8).fit(logits[:, None], labels)

    assert 1 / fitted.value == pytest.approx(regression.coef_[0, 0], rel=1e-3)
    assert cross_entropy(labels == 1, logits / fitted.value) <= cross_entropy(labels == 1, logits)


def test_a_temperature_brings_brier_score_and_calibration_error_down_and_moves_no_case_past_another():
    labels, logits = drawn(np.random.default_rng(2), 5000, 5.0)
    calibration = fit_calibration(labels[:, None], logits[:, None], [f"p{i}" for i in range(5000)])
    probabilities = calibration.probabilities(logits[:, None])[:, 0]
    sampling = Bootstrap(n_replicates=100, confidence=0.95, seed=1)

    before, after = (
        intervals_at_threshold(cases_of(labels, p), 0.5, sampling) for p in (sigmoid(logits), probabilities)
    )

    assert after["brier"].value < before["brier"].value
    assert after["ece"].high < before["ece"].low
    assert (np.argsort(probabilities, kind="stable") == np.argsort(logits, kind="stable")).all()


@pytest.mark.parametrize(
    ("labels", "logits", "reason"),
    [
        (np.ones(40), np.arange(40.0), "0 without"),
        (np.repeat([1.0, 0.0], [4, 36]), np.arange(40.0), "4 patients with it"),
        (np.full(40, np.nan), np.arange(40.0), "0 patients with it"),
        (np.repeat([0.0, 1.0], 20), np.arange(-19.5, 20), "no temperature between"),
        (np.repeat([0.0, 1.0], 20), np.append(np.arange(39.0), np.inf), "not finite"),
    ],
    ids=["one class", "too few", "all unknown", "ranked without an error", "diverged"],
)
def test_where_nothing_can_be_fitted_the_temperature_is_1_and_says_why(labels, logits, reason):
    fitted = fit_temperature(cases_of(labels, logits))

    assert fitted.value == 1
    assert reason in fitted.unfitted


def test_images_of_one_patient_do_not_make_up_for_patients():
    labels, logits = drawn(np.random.default_rng(3), 400, 2.0)

    assert fit_temperature(known_cases(labels, logits, ["p"] * 400)).unfitted is not None


def test_each_output_has_a_temperature_of_its_own():
    rng = np.random.default_rng(4)
    labels, logits = map(np.column_stack, zip(*(drawn(rng, 3000, t) for t in (0.5, 1, 2, 3, 4, 5)), strict=True))
    labels[:, 3] = np.nan

    calibration = fit_calibration(labels, logits, [f"p{i}" for i in range(3000)])

    assert tuple(calibration.temperatures) == LABELS
    values = [calibration.temperatures[code].value for code in LABELS]
    assert values == pytest.approx([0.5, 1, 2, 1, 4, 5], rel=0.15)
    np.testing.assert_allclose(calibration.probabilities(logits), sigmoid(logits / np.array(values)))


def test_a_calibration_of_another_width_is_refused():
    calibration = Calibration(temperatures={"covid": Temperature(value=1, n_known=0, n_present=0, unfitted="none")})

    with pytest.raises(DatasetError, match="temperatures of covid do not fit"):
        calibration.probabilities(np.zeros((2, 6)))


def test_a_hand_worked_reliability_curve():
    labels = np.array([0, 1, 1, 1, np.nan])
    cases = known_cases(labels, np.array([0.05, 0.05, 0.95, 1.0, 0.5]), ["a", "a", "b", "c", "d"])

    low, high = reliability(cases, 0.95)

    assert (low.low, low.high, low.mean_probability, low.observed.value) == (0, 0.1, pytest.approx(0.05), 0.5)
    assert (low.n_images, low.n_patients) == (2, 1)
    assert (high.low, high.high, high.mean_probability, high.observed.value) == (0.9, 1, pytest.approx(0.975), 1)
    assert (high.n_images, high.n_patients, high.observed.high) == (2, 2, 1)


def test_wilson_gives_the_published_interval():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, method 3.
    assert wilson(81 / 263, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=5e-5)


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_the_interval_of_the_calibration_error_covers_the_truth_at_least_as_often_as_it_says(sharpness):
    """Percentile intervals would not: with calibrated probabilities they never reach down to zero."""
    rng = np.random.default_rng(5)
    large_labels, large_logits = drawn(rng, 400_000, sharpness)
    sampling = Bootstrap(n_replicates=100, confidence=0.9, seed=1)
    quick = sampling.model_copy(update={"n_replicates": 1})
    truth = intervals_at_threshold(cases_of(large_labels, sigmoid(large_logits)), 0.5, quick)["ece"].value
    n_covered, n_studies = 0, 150
    for _ in range(n_studies):
        labels, logits = drawn(rng, 300, sharpness)
        ece = intervals_at_threshold(cases_of(labels, sigmoid(logits)), 0.5, sampling)["ece"]
        n_covered += ece.low <= truth <= ece.high

    assert n_covered / n_studies >= 0.83
