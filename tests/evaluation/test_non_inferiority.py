"""Paired differences held against a margin: how often a candidate that is exactly as bad as the margin passes."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_difference_against_margin, auroc_difference_by_delong
from ladnn.evaluation.paired import paired_auroc_difference, paired_sensitivity_difference
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
        n_accepted += bound(labels, candidate, other, patients, margin) > -margin
    return 100 * n_accepted / N_TRIALS


def corrected_bound(labels, candidate, other, patients, margin):
    cases = known_cases(labels, candidate, patients)
    return auroc_difference_against_margin(cases, other, CONFIDENCE, margin).low


def deciding_bound(labels, candidate, other, patients, margin):
    sampling = Bootstrap(n_replicates=200, confidence=CONFIDENCE, seed=1)
    return paired_auroc_difference(labels, candidate, other, patients, margin=margin, sampling=sampling).deciding.low


@pytest.mark.parametrize(
    ("n_patients", "n_images", "champion", "correlation"),
    [(150, 2, 0.85, 0.6), (150, 2, 0.92, 0.9), (50, 3, 0.92, 0.9)],
)
def test_a_loss_of_auroc_at_the_margin_is_accepted_at_the_nominal_rate(n_patients, n_images, champion, correlation):
    accepted = accepted_aurocs(corrected_bound, n_patients, n_images, champion, 0.05, correlation)

    assert accepted == pytest.approx(2.5, abs=2)


@pytest.mark.slow
def test_the_bound_that_decides_accepts_a_loss_at_the_margin_at_the_nominal_rate():
    assert accepted_aurocs(deciding_bound, 150, 2, 0.88, 0.05, 0.8) == pytest.approx(2.5, abs=2)


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
        tie = auroc_difference_against_margin(cases, scores, CONFIDENCE, 0.05)

        assert tie.value == 0
        assert tie.low < 0
        assert (tie.low > -0.05) == enough


def test_the_corrected_interval_nears_delongs_on_many_patients():
    rng = np.random.default_rng(4)
    labels = np.tile([0.0, 1.0], 2000)
    candidate, other = (norm.cdf(scores + labels) for scores in scores_of_two(rng, 4000, 1, 0.7))
    cases = known_cases(labels, candidate, named(4000, 1))
    corrected = auroc_difference_against_margin(cases, other, CONFIDENCE, 0.05)
    plain = auroc_difference_by_delong(cases, other, CONFIDENCE)

    assert corrected.value == plain.value
    assert corrected.low == pytest.approx(plain.low, abs=2e-4)
    assert corrected.high == pytest.approx(plain.high, abs=2e-4)


def test_what_is_shown_by_one_interval_alone_is_not_shown():
    rng = np.random.default_rng(5)
    labels = np.tile([0.0, 1.0], 30)
    candidate, other = (norm.cdf(scores + labels) for scores in scores_of_two(rng, 60, 1, 0.7))
    sampling = Bootstrap(n_replicates=300, confidence=CONFIDENCE, seed=1)
    found = paired_auroc_difference(labels, candidate, other, named(60, 1), margin=0.05, sampling=sampling)

    assert found.deciding.low == min(found.bootstrap.low, found.against_margin.low)
    assert found.deciding.high == max(found.bootstrap.high, found.against_margin.high)
