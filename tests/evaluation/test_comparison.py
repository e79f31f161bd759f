"""LA-DNN against baseline: pairs of the same seed, on the same images, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ladnn.config import EvaluationConfig, ExperimentConfig, Variant
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.evaluation.calibration import Calibration, Temperature
from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.comparison import compare_validated, compare_variants, read_comparisons
from ladnn.evaluation.scored import Scored, keep_scored, validation_scores
from ladnn.labels import DIAGNOSIS, LABELS
from ladnn.retrain import document_key
from ladnn.statistics import Bootstrap

SAMPLING = Bootstrap(n_replicates=300, confidence=0.95, seed=1)
LABELS_OF_CASES = np.repeat([0.0, 1.0, 0.0, 1.0, np.nan], 8)
PATIENTS = [f"p{i // 4}" for i in range(40)]


def experiment(backbones=("resnet18",), n_seeds=3):
    variants = tuple(Variant(backbone=b, task=t) for b in backbones for t in ("ladnn", "baseline"))
    evaluation = EvaluationConfig(min_slice_patients=4)
    return ExperimentConfig(seed=5, n_seeds=n_seeds, variants=variants, evaluation=evaluation)


def scored(config, gain=0.0):
    rng = np.random.default_rng(3)
    noise = {variant.name: rng.normal(size=40) for variant in config.variants}
    truth = np.nan_to_num(LABELS_OF_CASES)
    return {
        variant.name: known_cases(
            LABELS_OF_CASES, noise[variant.name] + truth * (1 + gain * (variant.task == "ladnn")), PATIENTS
        )
        for variant in config.variants
    }


def test_means_and_paired_differences_are_those_of_each_seed():
    config = experiment()
    cases = scored(config)
    known = ~np.isnan(LABELS_OF_CASES)

    (compared,) = compare_variants(config, cases, SAMPLING)

    areas = {
        task: [
            roc_auc_score(LABELS_OF_CASES[known], cases[variant.name].probabilities)
            for variant in config.variants
            if variant.task == task
        ]
        for task in ("baseline", "ladnn")
    }
    assert (compared.seeds, compared.n_images, compared.n_patients) == ((5, 6, 7), 32, 8)
    np.testing.assert_allclose(compared.auroc.baseline_by_seed, areas["baseline"])
    np.testing.assert_allclose(compared.auroc.ladnn_by_seed, areas["ladnn"])
    differences = np.subtract(areas["ladnn"], areas["baseline"])
    np.testing.assert_allclose(compared.auroc.difference_by_seed, differences)
    for measured, value in (("baseline", np.mean(areas["baseline"])), ("difference", differences.mean())):
        interval = getattr(compared.auroc, measured)
        assert interval.value == pytest.approx(value)
        assert interval.low < value < interval.high


def test_a_gain_on_the_same_images_is_told_from_chance():
    config = experiment(n_seeds=2)
    (alike,), (better,) = (compare_variants(config, scored(config, gain), SAMPLING) for gain in (0.0, 3.0))

    assert alike.auroc.difference.low < 0 < alike.auroc.difference.high
    assert better.auroc.difference.low > 0


def test_what_has_no_counterpart_or_no_finite_score_is_left_out():
    config = experiment(("resnet18", "resnet50"), n_seeds=2)
    cases = scored(config)
    del cases["resnet50-baseline"]
    cases["resnet50-ladnn-seed6"] = known_cases(LABELS_OF_CASES, np.full(40, np.nan), PATIENTS)
    del cases["resnet18-baseline-seed6"]

    compared = compare_variants(config, cases, SAMPLING)

    assert [(item.backbone, item.seeds) for item in compared] == [("resnet18", (5,))]


def test_a_handful_of_patients_shows_no_difference():
    config = experiment(n_seeds=2)
    five = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"min_slice_patients": 5})})

    (compared,) = compare_variants(five, scored(five, 3.0), SAMPLING)

    assert (compared.auroc.difference.value, compared.auroc.difference.low) == (None, None)
    assert "4 positive and 4 negative patients, a difference needs 5 of each" in compared.auroc.difference.note
    assert all(value > 0 for value in compared.auroc.difference_by_seed)


def test_two_models_without_an_error_are_not_certain_to_be_alike():
    config = experiment(n_seeds=1)
    perfect = known_cases(LABELS_OF_CASES, np.nan_to_num(LABELS_OF_CASES), PATIENTS)

    (compared,) = compare_variants(config, dict.fromkeys(("resnet18-ladnn", "resnet18-baseline"), perfect), SAMPLING)

    assert (compared.auroc.difference.value, compared.auroc.difference.low) == (0, None)
    assert "resamplings" in compared.auroc.difference.note


def test_a_retrain_is_compared_once_all_of_it_is_validated(platform):
    rows = rows_of(load_manifest(platform.store, platform.plan.dataset_version), "validation")
    assert platform.validated.scores.diagnosis.n_images == len(rows)
    assert compare_validated(platform.store, platform.plan) == ()
    plain = Temperature(value=1, n_known=0, n_present=0, unfitted="not asked")
    (baseline,) = (variant for variant in platform.plan.config.variants if variant.task == "baseline")
    logits = rows[DIAGNOSIS].to_numpy()[:, None] * 2 - 1
    of_baseline = Scored.of(rows, logits, Calibration(temperatures={LABELS[0]: plain}))
    keep_scored(platform.store, platform.retrain_id, validation_scores(baseline.name), of_baseline)

    (compared,) = compare_validated(platform.store, platform.plan)

    assert (compared.backbone, compared.auroc.baseline.value) == ("efficientnet_lite0", 1)
    assert compared.auroc.ladnn.value == pytest.approx(platform.validated.scores.diagnosis.auroc.value)
    assert read_comparisons(platform.store, platform.retrain_id) == (compared,)
    (platform.home / "store" / document_key(platform.retrain_id, validation_scores(baseline.name))).unlink()
    assert compare_validated(platform.store, platform.plan) == (compared,)  # without the scores: it is not done again
