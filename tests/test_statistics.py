"""The cluster bootstrap: coverage, agreement with a slow reference, and its limits."""

import time
from statistics import NormalDist

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from ladnn.evaluation.metrics import evaluate_diagnosis
from ladnn.evaluation.paired import paired_auroc_difference
from ladnn.statistics import Bootstrap, Interval, bootstrap_of_totals, cluster_bootstrap, ratio


def auroc(labels, scores, patients, sampling):
    return evaluate_diagnosis(labels, scores, patients, threshold=0.5, sampling=sampling).auroc_bootstrap


def study(rng, n_patients, n_images, gains):
    """Patients of one class each, whose images share a patient effect; one column of scores for each gain.

    A case of gain g has AUROC Phi(g / 2): both the patient effect and the noise have variance one, and a pair of a
    positive and a negative image always comes from two patients.
    """
    labels = np.repeat(np.arange(n_patients) % 2, n_images).astype(float)
    patients = np.repeat([f"p{i}" for i in range(n_patients)], n_images)
    shared = np.repeat(rng.normal(size=n_patients), n_images)
    scores = [gain * labels + shared + rng.normal(size=labels.size) for gain in gains]
    return labels, scores, patients.tolist()


def test_the_interval_equals_that_of_patients_resampled_one_replicate_at_a_time():
    rng = np.random.default_rng(11)
    labels, (scores,), patients = study(rng, n_patients=12, n_images=3, gains=[1.5])
    scores = np.round(scores, 1)  # ties
    sampling = Bootstrap(n_replicates=200, confidence=0.9, seed=7)
    names, replicates = sorted(set(patients)), []
    for drawn in np.random.default_rng(7).integers(12, size=(200, 12)).tolist():
        rows = [row for row, patient in enumerate(patients) for _ in range(drawn.count(names.index(patient)))]
        if 0 < labels[rows].sum() < len(rows):
            replicates.append(roc_auc_score(labels[rows], scores[rows]))

    measured = auroc(labels, scores, patients, sampling)

    assert (measured.low, measured.high) == pytest.approx(tuple(np.quantile(replicates, [0.05, 0.95])))


def covers(difference, truth):
    """Whether the bootstrap's interval and DeLong's hold the truth."""
    return np.array([one.low <= truth <= one.high for one in (difference.bootstrap, difference.delong)])


def test_sums_of_patients_give_the_interval_of_resampled_cases():
    rng = np.random.default_rng(2)
    values, patients = rng.normal(size=(40, 2)) ** 2, [f"p{i % 9}" for i in range(40)]
    sampling = Bootstrap(n_replicates=100, confidence=0.9, seed=3)

    def statistic(totals):
        return ratio(totals[:, 0], totals[:, 1])[:, None]

    summed = bootstrap_of_totals(statistic, values, patients, [40], sampling)
    resampled = cluster_bootstrap(lambda weights: statistic(weights @ values), patients, [40], sampling)

    assert summed[0].model_dump() == pytest.approx(resampled[0].model_dump())


def test_the_paired_interval_covers_the_true_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(2020)
    gains = (2.0, 1.2)
    truth = NormalDist().cdf(gains[0] / 2) - NormalDist().cdf(gains[1] / 2)
    by_patient, by_image = np.zeros(2), np.zeros(2)
    n_studies = 150
    for seed in range(n_studies):
        sampling = Bootstrap(n_replicates=200, confidence=0.9, seed=seed)
        labels, _, patients = study(rng, n_patients=50, n_images=6, gains=())
        # Each model has a patient effect of its own, so that the difference is clustered too.
        candidate, champion = (study(rng, 50, 6, [gain])[1][0] for gain in gains)
        one_each = [str(i) for i in range(labels.size)]
        clustered = paired_auroc_difference(labels, candidate, champion, patients, sampling=sampling)
        naive = paired_auroc_difference(labels, candidate, champion, one_each, sampling=sampling)
        by_patient += covers(clustered, truth)
        by_image += covers(naive, truth)

    assert (by_patient / n_studies >= 0.84).all()  # 90 % give or take 2.5 standard errors
    assert (by_patient / n_studies <= 0.96).all()
    assert (by_image / n_studies < 0.75).all()  # taking images for independent claims far too much


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    labels, (scores,), patients = study(np.random.default_rng(1), 20, 2, [1.0])

    first, again, other = (
        auroc(labels, scores, patients, Bootstrap(n_replicates=99, confidence=0.9, seed=s)) for s in (4, 4, 5)
    )

    assert first == again
    assert first != other


def test_the_interval_does_not_depend_on_how_many_replicates_are_held_at_once(monkeypatch):
    labels, (scores,), patients = study(np.random.default_rng(1), 20, 2, [1.0])
    sampling = Bootstrap(n_replicates=50, confidence=0.9, seed=1)
    whole = auroc(labels, scores, patients, sampling)
    monkeypatch.setattr("ladnn.statistics._CHUNK_CELLS", 120)

    assert auroc(labels, scores, patients, sampling) == whole


def test_one_patient_gives_a_value_without_bounds():
    measured = auroc(
        np.array([0, 1.0]), np.array([0.1, 0.9]), ["a", "a"], Bootstrap(n_replicates=50, confidence=0.9, seed=1)
    )

    assert measured == Interval(value=1, low=None, high=None, n=2, note="one patient only")


def test_bounds_are_dropped_when_most_replicates_miss_a_class():
    # With two patients of one class each, half of all resamplings draw the same patient twice.
    sampling = [Bootstrap(n_replicates=51, confidence=0.9, seed=seed) for seed in range(40)]

    measured = [auroc(np.array([0, 1.0]), np.array([0.1, 0.9]), ["a", "b"], one) for one in sampling]

    assert {one.value for one in measured} == {1}
    assert {(one.low, one.high) for one in measured} == {(None, None)}


def test_a_thousand_replicates_of_auroc_on_500_images_take_well_under_a_second():
    labels, (scores,), patients = study(np.random.default_rng(1), 250, 2, [1.0])
    sampling = Bootstrap(n_replicates=1000, confidence=0.95, seed=1)

    start = time.process_time()
    paired_auroc_difference(labels, scores, -scores, patients, sampling=sampling)

    assert time.process_time() - start < 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_interval_refuses_what_json_cannot_hold(value):
    with pytest.raises(ValidationError):
        Interval(value=value, low=None, high=None, n=1)
