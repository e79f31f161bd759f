"""Paired differences held against a margin: how often a candidate that is exactly as bad as the margin passes."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_difference_against_margin, auroc_difference_by_delong
from ladnn.evaluation.paired import (
    paired_auroc_difference,
    paired_sensitivity_difference,
    paired_specificity_difference,
)
from ladnn.statistics import Bootstrap

N_TRIALS = 2000
CONFIDENCE = 0.95  # 2.5 % on the side of the margin


def correlated(rng, shape, correlation):
    first = rng.standard_normal(shape)
    return first, correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(shape)


def scores_of_two(rng, n_patients, n_images, correlation, clustering=0.5):
    """Standard normal scores of two models (N,): alike for the same image, and for images of one patient."""
    of_patients = correlated(rng, (n_patients, 1), correlation)
    of_images = correlated(rng, (n_patients, n_images), correlation)
    share = np.sqrt(clustering), np.sqrt(1 - clustering)
    return [(share[0] * p + share[1] * i).ravel() for p, i in zip(of_patients, of_images, strict=True)]


def named(n_patients, n_images):
    return np.repeat([f"p{number:03d}" for number in range(n_patients)], n_images).tolist()


def accepted_aurocs(bound, n_patients, n_images, champion, margin, correlation):
    """Share of trials, in percent, in which the bound lies above the margin although the true loss is the margin."""
    rng, n_accepted = np.random.default_rng(2020), 0
    patients = named(n_patients, n_images)
    labels = np.repeat(np.arange(n_patients) < n_patients // 2, n_images).astype(np.float64)
    shifts = [np.sqrt(2) * norm.ppf(area) for area in (champion - margin, champion)]
    for _ in range(N_TRIALS):
        two = scores_of_two(rng, n_patients, n_images, correlation)
        candidate, other = (norm.cdf(scores + shift * labels) for scores, shift in zip(two, shifts, strict=True))
        n_accepted += bound(labels, candidate, other, patients) > -margin
    return 100 * n_accepted / N_TRIALS


def corrected_bound(labels, candidate, other, patients):
    cases = known_cases(labels, candidate, patients)
    return auroc_difference_against_margin(cases, other, CONFIDENCE).low


def deciding_bound(labels, candidate, other, patients):
    sampling = Bootstrap(n_replicates=200, confidence=CONFIDENCE, seed=1)
    return paired_auroc_difference(labels, candidate, other, patients, sampling=sampling).deciding.low


@pytest.mark.parametrize(
    ("n_patients", "n_images", "champion", "correlation"),
    [(150, 2, 0.85, 0.6), (150, 2, 0.92, 0.9), (300, 1, 0.92, 0.9)],
)
def test_a_loss_of_auroc_at_the_margin_is_accepted_at_the_nominal_rate(n_patients, n_images, champion, correlation):
    accepted = accepted_aurocs(corrected_bound, n_patients, n_images, champion, 0.05, correlation)

    assert accepted == pytest.approx(2.5, abs=2)


@pytest.mark.slow
def test_the_bound_that_decides_accepts_a_loss_at_the_margin_at_the_nominal_rate():
    assert accepted_aurocs(deciding_bound, 150, 2, 0.88, 0.05, 0.8) == pytest.approx(2.5, abs=2)


def unequal(rng, n_patients, sizes):
    """Return the patient of each image, intp (N,), for numbers of images drawn from `sizes`."""
    return np.repeat(np.arange(n_patients), rng.choice(sizes, size=n_patients))


@pytest.mark.parametrize(
    ("n_patients", "sizes", "least"),
    [(60, [1], 0.0), (60, [1, 1, 2, 3, 5], 0.0), (150, [1, 1, 2, 3, 5], 0.5), (150, [1, 1, 1, 2, 20], 0.0)],
)
def test_patients_who_are_lost_altogether_do_not_make_acceptance_easier(n_patients, sizes, least):
    """The candidate ranks an eighth of the positive patients as it does the negative ones, and all others alike."""
    rng, n_accepted = np.random.default_rng(2020), 0
    shift, share = np.sqrt(2) * norm.ppf(0.9), 0.12
    margin = 0.9 - (1 - share) * norm.cdf(shift / np.sqrt(2 + 0.05**2)) - share / 2
    for _ in range(N_TRIALS):
        patient = unequal(rng, n_patients, sizes)
        labels = (patient < 0.4 * n_patients).astype(np.float64)
        other = 0.7 * rng.standard_normal(n_patients)[patient] + np.sqrt(0.51) * rng.standard_normal(patient.size)
        other += shift * labels
        lost = (rng.random(n_patients) < share)[patient] * labels
        candidate = other - shift * lost + 0.05 * rng.standard_normal(patient.size)
        names = [f"p{number:03d}" for number in patient]
        n_accepted += corrected_bound(labels, norm.cdf(candidate), norm.cdf(other), names) > -margin

    assert least <= 100 * n_accepted / N_TRIALS <= 4.5


def test_one_patient_of_many_images_does_not_make_acceptance_easier():
    rng, n_accepted = np.random.default_rng(2020), 0
    shifts = [np.sqrt(2) * norm.ppf(area) for area in (0.85, 0.9)]
    for _ in range(N_TRIALS):
        patient = unequal(rng, 150, [1, 1, 1, 2, 20])
        labels = (patient < 75).astype(np.float64)
        of_patients, of_images = correlated(rng, 150, 0.8), correlated(rng, patient.size, 0.8)
        two = [
            np.sqrt(0.5) * (p[patient] + i) + shift * labels
            for p, i, shift in zip(of_patients, of_images, shifts, strict=True)
        ]
        n_accepted += corrected_bound(labels, *map(norm.cdf, two), [f"p{number:03d}" for number in patient]) > -0.05

    assert 100 * n_accepted / N_TRIALS <= 4.5


@pytest.mark.parametrize("champion", [0.85, 0.92, 0.97])
def test_few_patients_do_not_make_acceptance_easier(champion):
    assert accepted_aurocs(corrected_bound, 24, 2, champion, 0.05, 0.9) <= 4.5


def accepted_sensitivities(n_patients, n_images, champion, margin, correlation):
    rng, n_accepted = np.random.default_rng(2020), 0
    patients, labels = named(n_patients, n_images), np.ones(n_patients * n_images)
    limits = norm.ppf(champion - margin), norm.ppf(champion)
    for _ in range(N_TRIALS):
        two = scores_of_two(rng, n_patients, n_images, correlation)
        called = [scores < limit for scores, limit in zip(two, limits, strict=True)]
        low = paired_sensitivity_difference(labels, *called, patients, confidence=CONFIDENCE).low
        n_accepted += low > -margin
    return 100 * n_accepted / N_TRIALS


@pytest.mark.parametrize(
    ("n_patients", "n_images", "champion", "margin", "correlation"),
    [(75, 2, 0.9, 0.1, 0.6), (75, 3, 0.9, 0.05, 0.9), (150, 1, 0.95, 0.1, 0.6)],
)
def test_a_loss_of_sensitivity_at_the_margin_is_accepted_at_the_nominal_rate(
    n_patients, n_images, champion, margin, correlation
):
    accepted = accepted_sensitivities(n_patients, n_images, champion, margin, correlation)

    assert accepted == pytest.approx(2.5, abs=2)


@pytest.mark.parametrize(
    ("n_patients", "sizes", "least"),
    [(60, [1], 0.5), (60, [1, 1, 2, 3, 5], 0.5), (60, [1, 1, 1, 2, 20], 0.5), (24, [1, 1, 2, 3, 5], 0.0)],
)
def test_patients_whose_images_are_all_missed_do_not_make_acceptance_easier(n_patients, sizes, least):
    rng, n_accepted = np.random.default_rng(2020), 0
    for _ in range(N_TRIALS):
        patient = unequal(rng, n_patients, sizes)
        champion = rng.random(patient.size) < 0.95
        candidate = champion & ~(rng.random(n_patients) < 0.1)[patient]
        names = [f"p{number:03d}" for number in patient]
        low = paired_sensitivity_difference(
            np.ones(patient.size), candidate, champion, names, confidence=CONFIDENCE
        ).low
        n_accepted += low > -0.095

    assert least <= 100 * n_accepted / N_TRIALS <= 4.5


@pytest.mark.parametrize("n_patients", [40, 75])
def test_one_patient_of_many_missed_images_does_not_make_acceptance_easier(n_patients):
    rng, n_accepted = np.random.default_rng(2020), 0
    for _ in range(N_TRIALS):
        patient = unequal(rng, n_patients, [1, 1, 1, 2, 20])
        of_patients, of_images = correlated(rng, n_patients, 0.8), correlated(rng, patient.size, 0.8)
        called = [
            np.sqrt(0.9) * p[patient] + np.sqrt(0.1) * i < norm.ppf(limit)
            for p, i, limit in zip(of_patients, of_images, (0.8, 0.9), strict=True)
        ]
        names = [f"p{number:03d}" for number in patient]
        low = paired_sensitivity_difference(np.ones(patient.size), *called, names, confidence=CONFIDENCE).low
        n_accepted += low > -0.1

    assert 100 * n_accepted / N_TRIALS <= 4.5


def test_twelve_positive_patients_do_not_make_acceptance_easier():
    assert accepted_sensitivities(12, 2, 0.95, 0.1, 0.9) <= 4.5


def sensitivity_difference(gained, lost, same, patients=None):
    candidate = np.repeat([True, False, True], [gained, lost, same])
    champion = np.repeat([False, True, True], [gained, lost, same])
    names = patients or [f"p{number:03d}" for number in range(candidate.size)]
    return paired_sensitivity_difference(np.ones(candidate.size), candidate, champion, names, confidence=CONFIDENCE)


@pytest.mark.parametrize(("gained", "lost", "same"), [(0, 1, 43), (3, 9, 60), (7, 2, 20), (0, 0, 24), (5, 0, 0)])
def test_the_bounds_of_one_image_a_patient_are_those_of_tangos_score_test(gained, lost, same):
    n = gained + lost + same
    measured = sensitivity_difference(gained, lost, same)

    def score(difference):
        """The score statistic, with the nuisance parameter found by maximising the likelihood itself."""

        def loss(share_lost):
            shares = share_lost + difference, share_lost, 1 - 2 * share_lost - difference
            return -sum(
                count * np.log(max(share, 1e-300)) for count, share in zip((gained, lost, same), shares, strict=True)
            )

        limits = max(0.0, -difference), (1 - difference) / 2
        share = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-12}).x
        return (gained - lost - n * difference) / np.sqrt(n * (2 * share + difference * (1 - difference)))

    z = norm.ppf(0.975)
    assert measured.value == pytest.approx((gained - lost) / n)
    assert score(measured.low) == pytest.approx(z, abs=1e-2)
    if measured.value < 1:
        assert score(measured.high) == pytest.approx(-z, abs=1e-2)


def test_models_that_agree_on_all_patients_are_not_known_to_agree_on_others():
    few, many = sensitivity_difference(0, 0, 12), sensitivity_difference(0, 0, 400)

    assert few.value == many.value == 0
    assert few.low < -0.2 < -0.01 < many.low < 0


def test_images_of_one_patient_count_less_than_patients():
    one_each = sensitivity_difference(0, 4, 36)
    of_one = sensitivity_difference(0, 4, 36, patients=[f"p{number // 4}" for number in range(40)])

    assert of_one.low < one_each.low


def test_a_patient_has_one_vote_whatever_its_images():
    candidate, champion = np.array([False] * 20 + [True] * 9), np.ones(29, dtype=bool)
    patients = ["many"] * 20 + [f"p{number}" for number in range(9)]
    found = paired_sensitivity_difference(np.ones(29), candidate, champion, patients, confidence=CONFIDENCE)

    assert found.value == pytest.approx(-0.1)
    assert found.n == 29


def test_specificity_is_the_share_of_the_negative_that_are_not_called_positive():
    labels = np.array([0.0, 0, 0, 0, 1, np.nan])
    candidate, champion = np.array([True, True, False, False, True, True]), np.zeros(6, dtype=bool)
    found = paired_specificity_difference(labels, candidate, champion, list("abcdef"), confidence=CONFIDENCE)

    assert (found.value, found.n) == (-0.5, 4)
    mirrored = paired_sensitivity_difference(1 - labels, ~candidate, ~champion, list("abcdef"), confidence=CONFIDENCE)
    assert found == mirrored


@pytest.mark.parametrize("labels", [np.zeros(3), np.full(3, np.nan)])
def test_without_a_positive_image_there_is_no_difference_of_sensitivity(labels):
    yes = np.ones(3, dtype=bool)

    assert paired_sensitivity_difference(labels, yes, yes, list("abc"), confidence=0.95).value is None


def test_one_patient_gives_no_bounds():
    assert sensitivity_difference(0, 1, 2, patients=["p", "p", "p"]).low is None


def test_a_tie_of_few_patients_is_bounded_and_of_many_is_close():
    for n_patients, enough in ((24, False), (200, True)):
        labels = np.tile([0.0, 1.0], n_patients // 2)
        scores = norm.cdf(np.random.default_rng(3).standard_normal(n_patients) + labels)
        cases = known_cases(labels, scores, named(n_patients, 1))
        tie = auroc_difference_against_margin(cases, scores, CONFIDENCE)

        assert tie.value == 0
        assert tie.high == 0
        assert tie.low < 0
        assert (tie.low > -0.05) == enough


def test_the_corrected_interval_nears_delongs_on_many_patients():
    rng = np.random.default_rng(4)
    labels = np.tile([0.0, 1.0], 2000)
    candidate, other = (norm.cdf(scores + labels) for scores in scores_of_two(rng, 4000, 1, 0.7))
    cases = known_cases(labels, candidate, named(4000, 1))
    corrected = auroc_difference_against_margin(cases, other, CONFIDENCE)
    plain = auroc_difference_by_delong(cases, other, CONFIDENCE)

    assert corrected.value == plain.value
    assert corrected.low == pytest.approx(plain.low, abs=2e-4)
    assert corrected.high == pytest.approx(plain.high, abs=2e-4)


def test_what_is_shown_by_one_interval_alone_is_not_shown():
    rng = np.random.default_rng(5)
    labels = np.tile([0.0, 1.0], 30)
    candidate, other = (norm.cdf(scores + labels) for scores in scores_of_two(rng, 60, 1, 0.7))
    sampling = Bootstrap(n_replicates=300, confidence=CONFIDENCE, seed=1)
    found = paired_auroc_difference(labels, candidate, other, named(60, 1), sampling=sampling)

    assert found.deciding.low == min(found.bootstrap.low, found.against_margin.low)
    assert found.deciding.high == max(found.bootstrap.high, found.against_margin.high)
