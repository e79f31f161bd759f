"""The choice of the candidate: one standard error, the cheaper network, and how much the choice flatters."""

import numpy as np
import pytest
from scipy.stats import norm

from ladnn.config import Variant
from ladnn.errors import RetrainError
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.selection import choose, optimism_of_best, read_selection, select_candidate
from ladnn.statistics import Bootstrap, Interval

SAMPLING = Bootstrap(n_replicates=400, confidence=0.95, seed=1)
ONE_ERROR = norm.ppf(0.975)


@pytest.fixture
def result(trained_platform):
    def make(auroc, task="ladnn", backbone="lite", seed=None, error=0.0):
        diagnosis = trained_platform.validated.scores.diagnosis
        low = None if auroc is None else auroc - ONE_ERROR * error
        measured = diagnosis.model_copy(update={"auroc": Interval(value=auroc, low=low, high=auroc, n=2)})
        scores = trained_platform.validated.scores.model_copy(update={"diagnosis": measured})
        variant = Variant(backbone=backbone, task=task, seed=seed)
        return trained_platform.validated.model_copy(update={"variant": variant, "scores": scores})

    return make


def chosen(results, **megabytes):
    sizes = {item.variant.name: 1_000_000 * megabytes.get(item.variant.backbone, 10) for item in results}
    return choose(results, sizes, 0.95)


@pytest.mark.parametrize(
    ("aurocs", "place"), [((0.7, 0.9, 0.8), 1), ((0.9, 0.9), 0), ((None, 0.1), 1), ((0.0,), 0), ((None, 0.0), 1)]
)
def test_the_highest_auroc_is_chosen_the_first_of_equals(result, aurocs, place):
    results = [result(auroc, backbone=f"b{i}") for i, auroc in enumerate(aurocs)]

    assert chosen(results).candidate == results[place].variant.name


@pytest.mark.parametrize(
    ("auroc", "error", "small", "backbone"),
    [
        (0.875, 0.03, 5, "small"),
        (0.8699, 0.03, 5, "large"),
        (0.899, 0.03, 20, "large"),
        (0.899, 0.0, 5, "large"),
        (0.9, 0.0, 5, "small"),
    ],
)
def test_within_one_standard_error_of_the_best_the_cheaper_network_wins(result, auroc, error, small, backbone):
    results = [result(0.9, backbone="large", error=error), result(auroc, backbone="small")]
    selection = chosen(results, large=15, small=small)

    assert selection.candidate == f"{backbone}-ladnn"
    assert selection.best == "large-ladnn"
    assert selection.standard_error == pytest.approx(error)
    assert backbone in selection.reason


def test_of_several_seeds_the_mean_counts_and_the_first_seed_is_chosen(result):
    aurocs = {("lucky", None): 0.7, ("lucky", 2): 0.95, ("steady", None): 0.85, ("steady", 2): 0.9}
    results = [result(auroc, backbone=b, seed=seed) for (b, seed), auroc in aurocs.items()]

    assert chosen(results).candidate == results[2].variant.name


def test_a_baseline_is_never_chosen_however_good(result):
    ladnn = result(0.6)

    assert chosen([result(1.0, task="baseline"), ladnn]).candidate == ladnn.variant.name


def test_without_a_number_to_choose_by_it_is_an_error(result):
    with pytest.raises(RetrainError, match="no ladnn variant"):
        chosen([result(None), result(0.9, task="baseline")])
    with pytest.raises(RetrainError, match="no ladnn variant"):
        chosen([])


def contenders(n, n_patients=80, gain=0.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.tile([0.0, 1.0], n_patients // 2)
    patients = [f"p{number}" for number in range(n_patients)]
    scores = [norm.cdf(rng.standard_normal(n_patients) + labels * (1 + gain * (number == 0))) for number in range(n)]
    return [[known_cases(labels, item, patients)] for item in scores]


def test_a_single_contender_is_not_flattered():
    assert optimism_of_best(contenders(1), SAMPLING) == 0.0


def test_the_best_of_more_alike_contenders_is_flattered_more():
    few, many = optimism_of_best(contenders(2), SAMPLING), optimism_of_best(contenders(12), SAMPLING)

    assert 0 < few < many


def test_a_contender_far_ahead_is_hardly_flattered():
    assert optimism_of_best(contenders(6, gain=2.5), SAMPLING) < 0.005


def test_the_estimate_is_near_the_optimism_that_is_true():
    """Six networks of the same true AUROC: the best of them on a validation part exceeds it by the optimism."""
    truth = norm.cdf(1 / np.sqrt(2))
    excess, estimated = [], []
    for seed in range(60):
        of_run = contenders(6, seed=seed)
        aurocs = [
            np.mean([(a > c.probabilities[~c.present]).mean() for a in c.probabilities[c.present]]) for [c] in of_run
        ]
        excess.append(max(aurocs) - truth)
        estimated.append(optimism_of_best(of_run, Bootstrap(n_replicates=200, confidence=0.95, seed=seed)))

    assert np.mean(estimated) == pytest.approx(np.mean(excess), abs=0.02)


def test_what_was_selected_stands(platform):
    validated = platform.validated
    store, plan = platform.store, platform.plan

    candidate, first = select_candidate(store, plan, [validated])

    assert candidate == validated
    assert first == read_selection(store, plan.retrain_id)
    assert first.contenders[0].graph_bytes == platform.trained.graph.n_bytes
    assert first.optimism == 0.0
    assert select_candidate(store, plan, [validated])[1] == first
