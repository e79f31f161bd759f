"""DeLong and Obuchowski: against their definitions pair by pair, on published data, and by coverage."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_by_delong, auroc_difference_by_delong
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS, evaluate_diagnosis
from ladnn.evaluation.paired import paired_auroc_difference, paired_sensitivity_difference
from ladnn.evaluation.reliability import reliability
from ladnn.statistics import Bootstrap

# DeLong, DeLong and Clarke-Pearson 1988, 43 patients with ovarian cancer: albumin, total protein, K-G score, and
# whether surgery helped; as listed in SAS/STAT User's Guide, PROC LOGISTIC, "Comparing Receiver Operating
# Characteristic Curves".
OVARIAN_CANCER = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1 3.8 5.7 5 1 3.7 6.7 6 1
3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1
3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1
3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1
3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1
"""


def cases_of(labels, scores, patients=None):
    return known_cases(labels, scores, [f"p{i}" for i in range(len(labels))] if patients is None else patients)


def kernel(x, y):
    return (x > y) + 0.5 * (x == y)


def standard_error(interval):
    return (interval.high - interval.low) / 2 / NormalDist().inv_cdf(0.975)


def delong_covariance(labels, *scores):
    """DeLong et al. 1988, equations 4 to 6, with loops over all pairs; areas and their covariance matrix."""
    areas, present, absent = [], [], []
    for score in scores:
        positive, negative = score[labels == 1], score[labels == 0]
        pairs = np.array([[kernel(x, y) for y in negative] for x in positive])
        areas.append(pairs.mean())
        present.append(pairs.mean(axis=1))
        absent.append(pairs.mean(axis=0))
    s10, s01 = np.cov(present), np.cov(absent)
    return areas, np.atleast_2d(s10 / len(present[0]) + s01 / len(absent[0]))


def obuchowski_variance(labels, scores, patients):
    """Obuchowski 1997, section 2.1, one patient after the other."""
    positive = [(p, x) for p, x, label in zip(patients, scores, labels, strict=True) if label == 1]
    negative = [(p, y) for p, y, label in zip(patients, scores, labels, strict=True) if label == 0]
    area = np.mean([kernel(x, y) for _, x in positive for _, y in negative])
    v10 = [(p, np.mean([kernel(x, y) for _, y in negative])) for p, x in positive]
    v01 = [(p, np.mean([kernel(x, y) for _, x in positive])) for p, y in negative]
    names = sorted(set(patients))
    of_present = {name: sum(v - area for p, v in v10 if p == name) for name in names}
    of_absent = {name: sum(v - area for p, v in v01 if p == name) for name in names}
    i10, i01, i = len({p for p, _ in positive}), len({p for p, _ in negative}), len(names)
    m, n = len(positive), len(negative)
    s10 = i10 / ((i10 - 1) * m) * sum(of_present[name] ** 2 for name in names)
    s01 = i01 / ((i01 - 1) * n) * sum(of_absent[name] ** 2 for name in names)
    s11 = i / (i - 1) * sum(of_present[name] * of_absent[name] for name in names)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


@st.composite
def studies(draw):
    """Labels, two tied scores and patients of a few images each, some with images of both classes."""
    n = draw(st.integers(8, 25))
    labels = np.array([0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 4, max_size=n - 4))], dtype=float)
    scores = [np.array(draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))) / 6 for _ in range(2)]
    patients = [str(p) for p in draw(st.lists(st.integers(0, 7), min_size=n, max_size=n))]
    return labels, scores, patients


def test_the_data_of_delong_and_others():
    table = np.array(OVARIAN_CANCER.split(), dtype=float).reshape(-1, 4)
    labels, tests = table[:, 3], (table[:, 0], table[:, 1], 10 - table[:, 2])
    areas, covariance = delong_covariance(labels, *tests)

    for position, scores in enumerate(tests):
        measured = auroc_by_delong(cases_of(labels, scores), 0.95)
        assert measured.value == pytest.approx(areas[position])
        assert standard_error(measured) == pytest.approx(np.sqrt(covariance[position, position]))
    for position in (0, 1):
        difference = auroc_difference_by_delong(cases_of(labels, tests[position]), tests[2], 0.95)
        contrast = np.eye(3)[position] - np.eye(3)[2]
        assert difference.value == pytest.approx(areas[position] - areas[2])
        assert standard_error(difference) == pytest.approx(np.sqrt(contrast @ covariance @ contrast))


@settings(deadline=None)
@given(studies())
def test_with_one_image_a_patient_it_is_delong(study):
    labels, scores, _ = study
    areas, covariance = delong_covariance(labels, *scores)

    for position, score in enumerate(scores):
        measured = auroc_by_delong(cases_of(labels, score), 0.95)
        assert measured.value == pytest.approx(areas[position])
        check_area(measured, covariance[position, position], labels)
    contrast = np.array([1, -1])
    difference = auroc_difference_by_delong(cases_of(labels, scores[0]), scores[1], 0.95)
    check_bounds(difference, contrast @ covariance @ contrast, (-1, 1))


def check_bounds(interval, variance, limits):
    if variance < 1e-12:
        assert (interval.low, interval.high) == (None, None)
        return
    half_width = NormalDist().inv_cdf(0.975) * np.sqrt(variance)
    assert interval.low == pytest.approx(max(limits[0], interval.value - half_width))
    assert interval.high == pytest.approx(min(limits[1], interval.value + half_width))


def check_area(interval, variance, labels, patients=None):
    if variance < 1e-12:
        n_patients = [len(set(np.array(patients or range(len(labels)))[labels == of])) for of in (0, 1)]
        check_score_bounds(interval, *n_patients)
    else:
        check_bounds(interval, variance, (0, 1))


def check_score_bounds(interval, n_absent, n_present):
    """Each bound lies 1.96 of its own standard errors from the value, by the variance of Hanley and McNeil 1982."""
    assert interval.low <= interval.value <= interval.high
    assert "Newcombe" in interval.note
    others = (n_absent + n_present) / 2 - 1  # in place of n_present - 1 and n_absent - 1 (Newcombe 2006)
    for area in {interval.low, interval.high} - {0.0, 1.0}:
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
        variance = area * (1 - area) + others * (q1 - area**2) + others * (q2 - area**2)
        error = np.sqrt(variance / (n_absent * n_present))
        assert abs(interval.value - area) == pytest.approx(NormalDist().inv_cdf(0.975) * error, rel=1e-6)


@settings(deadline=None)
@given(studies())
def test_with_several_images_a_patient_it_is_obuchowski(study):
    labels, (scores, _), patients = study
    measured = auroc_by_delong(cases_of(labels, scores, patients), 0.95)

    by_class = [len({p for p, label in zip(patients, labels, strict=True) if label == of}) for of in (0, 1)]
    if min(by_class) < 2:
        assert (measured.low, measured.high) == (None, None)
    else:
        check_area(measured, obuchowski_variance(labels, scores, patients), labels, patients)


def test_the_interval_covers_the_true_area_about_as_often_as_it_says():
    rng, truth = np.random.default_rng(7), NormalDist().cdf(1 / np.sqrt(2))
    clustered = naive = 0
    n_studies = 400
    for _ in range(n_studies):
        # 60 patients of one class each, 4 images a patient that share a patient effect; AUROC Phi(1.414 / 2).
        labels = np.repeat(np.arange(60) % 2, 4).astype(float)
        scores = np.sqrt(2) * labels + np.repeat(rng.normal(size=60), 4) + rng.normal(size=240)
        by_patient = auroc_by_delong(cases_of(labels, scores, [str(i // 4) for i in range(240)]), 0.9)
        by_image = auroc_by_delong(cases_of(labels, scores), 0.9)
        clustered += by_patient.low <= truth <= by_patient.high
        naive += by_image.low <= truth <= by_image.high

    assert 0.86 <= clustered / n_studies <= 0.94  # 90 % give or take 2.7 standard errors
    assert naive / n_studies < 0.8


def test_an_error_free_ranking_gets_a_lower_bound_that_rises_with_the_patients():
    measured = [auroc_by_delong(cases_of(np.repeat([0.0, 1.0], n), np.arange(2.0 * n)), 0.95) for n in (2, 3, 20, 200)]

    for n, interval in zip((2, 3, 20, 200), measured, strict=True):
        assert (interval.value, interval.high, interval.n) == (1, 1, 2 * n)
        check_score_bounds(interval, n, n)
    assert [round(interval.low, 2) for interval in measured] == [0.39, 0.5, 0.9, 0.99]


def test_images_of_the_same_patients_do_not_narrow_an_error_free_ranking():
    labels, scores = np.repeat([0.0, 1.0], 10), np.arange(20.0)
    one_each = auroc_by_delong(cases_of(labels[::5], scores[::5]), 0.95)
    five_each = auroc_by_delong(cases_of(labels, scores, [str(i // 5) for i in range(20)]), 0.95)

    assert (five_each.low, five_each.high) == (one_each.low, one_each.high)


@pytest.mark.parametrize("separation", [3.0, 3.5])
def test_where_rankings_are_often_free_of_errors_the_lower_bound_holds(separation):
    """20 patients of each class, of which nearly all are ranked right: the true area is hardly ever below the bound."""
    rng, truth = np.random.default_rng(11), NormalDist().cdf(separation / np.sqrt(2))
    labels = np.repeat([0.0, 1.0], 20)
    found = [auroc_by_delong(cases_of(labels, separation * labels + rng.normal(size=40)), 0.95) for _ in range(400)]
    perfect = [interval for interval in found if interval.value == 1]

    assert len(perfect) >= 20
    assert all(interval.low <= truth for interval in perfect)


def test_scores_that_are_all_alike_are_no_certain_half():
    measured = auroc_by_delong(cases_of(np.repeat([0.0, 1.0], 10), np.zeros(20)), 0.95)

    assert measured.value == 0.5
    assert measured.low < 0.3 < 0.7 < measured.high


def test_what_has_no_bounds_says_why():
    labels, scores = np.array([0.0, 0, 1, 1]), np.array([1.0, 3, 2, 4])

    one_patient = auroc_by_delong(cases_of(labels, scores, ["a", "b", "c", "c"]), 0.95)
    alike = auroc_difference_by_delong(cases_of(labels, scores), scores, 0.95)

    assert str(one_patient) == "0.750 (no interval: a class has one patient only)"
    assert (alike.value, alike.low) == (0, None)
    assert "rank all patients alike" in alike.note


@pytest.mark.parametrize("labels", [np.zeros(4), np.ones(4), np.full(4, np.nan)])
def test_one_class_alone_has_no_area(labels):
    assert auroc_by_delong(cases_of(labels, np.arange(4.0)), 0.95).value is None


@pytest.mark.parametrize("confidence", [0.8, 0.9975])
def test_every_interval_states_what_its_bounds_cover(confidence):
    rng, n = np.random.default_rng(4), 60
    labels, patients = (np.arange(n) % 2).astype(float), [f"p{i // 2}" for i in range(n)]
    one, other = (np.clip(0.4 * labels + rng.random(n) / 2, 0, 1) for _ in range(2))
    perfect, sampling = labels.copy(), Bootstrap(n_replicates=100, confidence=confidence, seed=1)
    difference = paired_auroc_difference(labels, one, other, patients, sampling=sampling)
    found = [difference.bootstrap, difference.delong, difference.against_margin, difference.deciding]
    found.append(paired_sensitivity_difference(labels, one > 0.5, other > 0.5, patients, confidence=confidence))
    found += [part.observed for part in reliability(cases_of(labels, one, patients), confidence)]
    for scores in (one, perfect):
        metrics = evaluate_diagnosis(labels, scores, patients, threshold=0.5, sampling=sampling)
        found += [getattr(metrics, name) for name in DIAGNOSIS_METRICS]

    assert {item.confidence for item in found if item.low is not None} == {confidence}
    assert {item.confidence for item in found if item.low is None} <= {None}
    assert auroc_by_delong(cases_of(np.ones(3), np.ones(3)), confidence).confidence is None
