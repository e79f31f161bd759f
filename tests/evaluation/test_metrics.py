"""Metrics against scikit-learn, a published reading study and hand-worked cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from ladnn.errors import DatasetError
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS, DiagnosisMetrics, evaluate_diagnosis, evaluate_lesions
from ladnn.evaluation.paired import paired_auroc_difference
from ladnn.labels import LESIONS
from ladnn.statistics import Bootstrap

QUICK = Bootstrap(n_replicates=20, confidence=0.95, seed=3)
METRICS = DIAGNOSIS_METRICS


def one_patient_each(n):
    return [f"p{i}" for i in range(n)]


@st.composite
def scored_cases(draw):
    """Labels of both classes and probabilities on a coarse grid, so that ties are common."""
    labels = [0.0, 1.0, *draw(st.lists(st.sampled_from([0.0, 1.0, float("nan")]), max_size=20))]
    probabilities = draw(st.lists(st.integers(0, 6), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(probabilities) / 6


def calibration_error(truth, scores):
    """Guo et al. 2017, equation 3, one bin after the other."""
    bins = [(scores >= low / 10) & (scores < (low + 1) / 10 if low < 9 else True) for low in range(10)]
    return sum(
        inside.sum() * abs(truth[inside].mean() - scores[inside].mean()) for inside in bins if inside.any()
    ) / len(truth)


@settings(deadline=None)
@given(scored_cases(), st.integers(0, 7))
def test_metrics_equal_scikit_learn_on_the_known_labels(cases, threshold_of_7):
    labels, probabilities = cases
    threshold = threshold_of_7 / 6
    known = ~np.isnan(labels)
    truth, scores = labels[known], probabilities[known]
    called = scores >= threshold
    expected = {
        "auroc": roc_auc_score(truth, scores),
        "auroc_bootstrap": roc_auc_score(truth, scores),
        "auprc": average_precision_score(truth, scores),
        "sensitivity": recall_score(truth, called),
        "specificity": recall_score(truth, called, pos_label=0),
        "precision": precision_score(truth, called) if called.any() else None,
        "f1": f1_score(truth, called),
        "accuracy": accuracy_score(truth, called),
        "brier": brier_score_loss(truth, scores),
        "ece": calibration_error(truth, scores),
    }

    measured = evaluate_diagnosis(
        labels, probabilities, one_patient_each(len(labels)), threshold=threshold, sampling=QUICK
    )

    assert {name: getattr(measured, name).value for name in METRICS} == {
        name: None if value is None else pytest.approx(value) for name, value in expected.items()
    }
    assert (measured.n_images, measured.n_unknown) == (known.sum(), (~known).sum())


def test_auroc_and_its_interval_agree_with_the_ct_reading_study_of_hanley_and_mcneil():
    # Hanley and McNeil 1982, Radiology 143:29-36, table I: 58 normal and 51 abnormal CT images rated from 1 to 5;
    # area 0.893, standard error 0.032.
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    ratings = np.concatenate([np.repeat(np.arange(1, 6), counts) for counts in (normal, abnormal)]) / 5
    labels = np.repeat([0.0, 1.0], [58, 51])
    sampling = Bootstrap(n_replicates=2000, confidence=0.95, seed=1)

    measured = evaluate_diagnosis(labels, ratings, one_patient_each(109), threshold=0.8, sampling=sampling)

    for auroc in (measured.auroc, measured.auroc_bootstrap):
        assert auroc.value == pytest.approx(0.893, abs=5e-4)
        assert auroc.low == pytest.approx(0.893 - 1.96 * 0.032, abs=0.015)
        assert auroc.high == pytest.approx(0.893 + 1.96 * 0.032, abs=0.015)


def test_a_hand_worked_case_counts_a_probability_on_the_threshold_as_positive():
    labels = np.array([1, 1, 1, 0, 0, np.nan])
    probabilities = np.array([0.9, 0.5, 0.2, 0.5, 0.1, 0.8])

    measured = evaluate_diagnosis(labels, probabilities, ["a", "a", "b", "c", "d", "e"], threshold=0.5, sampling=QUICK)

    assert measured.sensitivity.value == pytest.approx(2 / 3)
    assert measured.specificity.value == pytest.approx(1 / 2)
    assert measured.precision.value == pytest.approx(2 / 3)
    assert measured.f1.value == pytest.approx(2 / 3)
    assert measured.accuracy.value == pytest.approx(3 / 5)
    assert measured.auroc.value == pytest.approx(4.5 / 6)  # 2 + 1.5 + 1 pairs of 6 ranked right
    assert measured.brier.value == pytest.approx((0.01 + 0.25 + 0.64 + 0.25 + 0.01) / 5)
    # Bins of one case each but for the two of 0.5, whose share of positives is a half.
    assert measured.ece.value == pytest.approx((0.1 + 0.8 + 0.1 + 0) / 5)
    assert [getattr(measured, name).n for name in METRICS] == [5, 5, 5, 3, 2, 3, 5, 5, 5, 5]
    assert (measured.n_images, measured.n_patients, measured.n_positive, measured.n_unknown) == (5, 4, 3, 1)
    assert (measured.n_positive_patients, measured.n_negative_patients) == (2, 2)


def test_metrics_that_one_class_does_not_define_are_none():
    measured = evaluate_diagnosis(np.zeros(4), np.full(4, 0.2), list("abcd"), threshold=0.5, sampling=QUICK)

    undefined = {name for name in METRICS if getattr(measured, name).value is None}
    assert undefined == {"auroc", "auroc_bootstrap", "auprc", "sensitivity", "precision", "f1"}
    assert measured.specificity.value == 1


def test_without_a_known_label_everything_is_none_and_counted():
    measured = evaluate_diagnosis(np.full(3, np.nan), np.full(3, 0.2), list("abc"), threshold=0.5, sampling=QUICK)

    assert all(getattr(measured, name).value is None for name in METRICS)
    assert (measured.n_images, measured.n_patients, measured.n_unknown) == (0, 0, 3)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_non_finite_probability_leaves_every_metric_none(broken):
    labels, probabilities = np.array([1, 0, 1, 0.0]), np.array([0.9, 0.1, broken, 0.2])

    measured = evaluate_diagnosis(labels, probabilities, list("abcd"), threshold=0.5, sampling=QUICK)
    difference = paired_auroc_difference(labels, probabilities, labels, list("abcd"), sampling=QUICK)

    assert all(getattr(measured, name).value is None for name in METRICS)
    for interval in (difference.bootstrap, difference.delong):
        assert (interval.value, interval.low, interval.high) == (None, None, None)


def test_metrics_survive_the_way_through_json():
    measured = evaluate_diagnosis(np.zeros(4), np.full(4, 0.2), list("abcd"), threshold=0.5, sampling=QUICK)

    text = measured.model_dump_json()

    assert DiagnosisMetrics.model_validate_json(text) == measured
    assert "nan" not in text.lower()


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "without_value"),
    [
        (5, 5, set()),
        (4, 5, {"auroc", "auroc_bootstrap", "auprc", "sensitivity", "precision", "f1"}),
        (5, 4, {"auroc", "auroc_bootstrap", "auprc", "specificity", "precision", "f1"}),
        (2, 2, set(METRICS)),
        (0, 9, {"auroc", "auroc_bootstrap", "auprc", "sensitivity", "precision", "f1"}),
    ],
)
def test_with_fewer_patients_than_needed_a_metric_has_no_value(n_positive, n_negative, without_value):
    # Two images a patient: images do not make up for patients.
    labels = np.repeat([1.0, 0.0], [2 * n_positive, 2 * n_negative])
    patients = [f"p{i // 2}" for i in range(labels.size)]
    probabilities = np.random.default_rng(1).random(labels.size)

    measured = evaluate_diagnosis(labels, probabilities, patients, threshold=0.4, sampling=QUICK, min_patients=5)

    assert {name for name in METRICS if getattr(measured, name).value is None} == without_value
    assert measured.n_images == labels.size


def test_a_lesion_of_too_few_patients_has_no_value():
    labels, probabilities = np.tile([[1.0], [0.0], [0.0]], 5), np.tile([[0.9], [0.1], [0.2]], 5)

    enough = evaluate_lesions(labels, probabilities, list("abc"), sampling=QUICK, min_patients=1)["GGO"]
    too_few = evaluate_lesions(labels, probabilities, list("abc"), sampling=QUICK, min_patients=2)["GGO"]

    assert (enough.auroc.value, enough.f1.value) == (1, 1)
    assert (too_few.auroc.value, too_few.f1.value, too_few.n_known, too_few.n_present) == (None, None, 3, 1)


def test_a_model_without_an_error_is_not_certain_to_make_none():
    labels, probabilities = np.repeat([1.0, 0.0], 10), np.repeat([0.9, 0.1], 10)
    patients = [f"p{i // 2}" for i in range(20)]

    measured = evaluate_diagnosis(labels, probabilities, patients, threshold=0.5, sampling=QUICK)

    assert {getattr(measured, name).value for name in METRICS if name not in ("brier", "ece")} == {1}
    for name, n_patients in (("sensitivity", 5), ("specificity", 5), ("precision", 5), ("accuracy", 10)):
        interval = getattr(measured, name)
        assert (interval.low, interval.high) == (pytest.approx(n_patients / (n_patients + 1.96**2), rel=1e-3), 1)
    assert 0.6 < measured.auroc.low < measured.auroc.high == 1
    for name in ("auroc_bootstrap", "auprc", "f1"):
        interval = getattr(measured, name)
        assert (interval.low, interval.high) == (None, None)
        assert str(interval) == "1.000 (no interval: all resamplings of patients agree)"


def test_each_lesion_is_measured_on_the_images_where_it_is_known():
    labels = np.full((4, 5), np.nan)
    labels[:, 0] = [1, 1, 0, 0]
    labels[:2, 1] = [1, 0]
    probabilities = np.tile(np.array([[0.9], [0.5], [0.5], [0.1]]), 5)

    measured = evaluate_lesions(labels, probabilities, list("abcd"), sampling=QUICK)

    assert tuple(measured) == LESIONS
    ggo, csld, crpa = (measured[code] for code in ("GGO", "Csld", "CrPa"))
    assert (ggo.n_known, ggo.n_present) == (4, 2)
    assert ggo.auroc.value == pytest.approx(3.5 / 4)
    assert ggo.f1.value == pytest.approx(4 / 5)  # 2 found, 1 called wrongly: 0.5 counts as found
    assert (csld.n_known, csld.auroc.value, csld.f1.value) == (2, 1.0, pytest.approx(2 / 3))
    assert (crpa.n_known, crpa.auroc.value, crpa.f1.value) == (0, None, None)


def test_a_broken_lesion_column_leaves_the_others_measured():
    labels, probabilities = np.tile([[1.0], [0.0]], 5), np.tile([[0.9], [0.1]], 5)
    probabilities[0, 2] = np.nan

    measured = evaluate_lesions(labels, probabilities, list("ab"), sampling=QUICK)

    assert [measured[code].auroc.value for code in LESIONS] == [1, 1, None, 1, 1]


def test_the_paired_difference_is_candidate_minus_champion():
    labels = np.array([1, 1, 0, 0, np.nan])
    good, poor = np.array([0.9, 0.8, 0.2, 0.1, 0.5]), np.array([0.9, 0.1, 0.2, 0.3, 0.5])

    difference = paired_auroc_difference(labels, good, poor, list("abcde"), sampling=QUICK)

    for interval in (difference.bootstrap, difference.delong):
        assert interval.value == pytest.approx(1 - 0.5)
        assert interval.n == 4


def test_a_model_differs_from_itself_by_exactly_nothing():
    rng = np.random.default_rng(5)
    labels, scores = rng.integers(0, 2, 60).astype(float), rng.random(60)

    difference = paired_auroc_difference(labels, scores, scores, [f"p{i // 2}" for i in range(60)], sampling=QUICK)

    assert (difference.bootstrap.value, difference.bootstrap.low, difference.bootstrap.high) == (0, 0, 0)
    # DeLong's variance of such a difference is zero: no bounds rather than certain ones.
    assert (difference.delong.value, difference.delong.low, difference.delong.high) == (0, None, None)


@pytest.mark.parametrize(
    ("labels", "probabilities", "patients"),
    [
        (np.zeros(3), np.zeros(2), ["a", "b", "c"]),
        (np.zeros(3), np.zeros(3), ["a", "b"]),
        (np.array([0, 1, -1.0]), np.zeros(3), ["a", "b", "c"]),
        (np.array([0, 1, 0.5]), np.zeros(3), ["a", "b", "c"]),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, probabilities, patients):
    with pytest.raises(DatasetError):
        evaluate_diagnosis(labels, probabilities, patients, threshold=0.5, sampling=QUICK)


def test_lesion_labels_of_another_width_are_refused():
    with pytest.raises(DatasetError, match="GGO"):
        evaluate_lesions(np.zeros((3, 4)), np.zeros((3, 4)), ["a", "b", "c"], sampling=QUICK)
