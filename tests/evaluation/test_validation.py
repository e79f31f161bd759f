"""Validation through the inference graph, and the choice of the candidate."""

import numpy as np
import pytest
import torch
from scored_parts import part
from trained_platform import EXPERIMENT, VARIANT

from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import label_matrix, load_manifest, rows_of
from ladnn.errors import DatasetError, DigestMismatchError, RetrainError
from ladnn.evaluation import validation
from ladnn.evaluation.operating_point import choose_threshold
from ladnn.evaluation.scored import read_scored, validation_scores
from ladnn.evaluation.slices import score
from ladnn.evaluation.validation import measure, sampling_of, validate_variant
from ladnn.labels import LABELS, LESIONS
from ladnn.model.export import load_safetensors
from ladnn.model.graph import sigmoid
from ladnn.model.network import build_network
from ladnn.model.weights import WeightsSource
from ladnn.registry.bundle import load_bundle
from ladnn.training.result import read_file

BASELINE = "efficientnet_lite0-baseline"


def validation_part(platform):
    rows = rows_of(load_manifest(platform.store, platform.plan.dataset_version), "validation")
    preprocessing = platform.trained.preprocessing
    return rows, load_pixels(platform.store, list(rows["image"]), preprocessing, platform.settings.cache)


def torch_probabilities(platform, pixels):
    network = build_network(platform.trained.variant, EXPERIMENT.training, 99, WeightsSource())
    load_safetensors(network, read_file(platform.store, platform.trained.weights))
    with torch.no_grad():
        return sigmoid(network.eval()(torch.from_numpy(np.array(pixels))).numpy())


def test_the_bundle_gives_the_probabilities_of_the_trained_network(trained_platform):
    _, pixels = validation_part(trained_platform)

    served = load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted).probabilities(
        pixels
    )

    np.testing.assert_allclose(served, torch_probabilities(trained_platform, pixels), atol=1e-4)


def test_validation_measures_the_probabilities_that_the_bundle_gives(trained_platform):
    rows, pixels = validation_part(trained_platform)
    bundle = load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted)
    validated = trained_platform.validated

    sampling = sampling_of(EXPERIMENT.evaluation, EXPERIMENT.seed)
    assert validated.scores == score(rows, bundle.probabilities(pixels), bundle.manifest.threshold, sampling)
    assert validated.scores.diagnosis.n_images == trained_platform.version.splits["validation"].n_images
    assert validated.scores.diagnosis.sensitivity.value >= EXPERIMENT.evaluation.target_sensitivity


def test_validation_keeps_what_the_model_said_of_each_image(trained_platform):
    rows, pixels = validation_part(trained_platform)
    validated, store = trained_platform.validated, trained_platform.store

    kept = read_scored(store, trained_platform.retrain_id, validation_scores(VARIANT))

    bundle = load_bundle(store, trained_platform.bundle_id, trained_platform.trusted)
    np.testing.assert_allclose(kept.logits_of(rows), bundle.graph.logits(pixels), atol=1e-5)
    np.testing.assert_allclose(validated.calibration.probabilities(kept.logits_of(rows)), bundle.probabilities(pixels))
    with pytest.raises(DatasetError, match="other images"):
        kept.logits_of(rows[1:])


def drawn_part(n=400, temperature=4.0):
    """Manifest rows of made-up validation images, and logits that are too sharp by the temperature."""
    rng = np.random.default_rng(8)
    rows, _ = part(n)
    logits = rng.normal(0, 2, (n, 6))
    rows[list(LABELS)] = (rng.random((n, 6)) < sigmoid(logits)).astype(float)
    return rows, logits * temperature


def test_threshold_and_scores_are_of_calibrated_probabilities():
    rows, logits = drawn_part()

    validated = measure(EXPERIMENT.variants[0], rows, logits, EXPERIMENT.evaluation, 1)

    assert validated.calibration.temperatures["covid"].value == pytest.approx(4, rel=0.3)
    probabilities = validated.calibration.probabilities(logits)
    assert validated.threshold == choose_threshold(rows["covid"].to_numpy(), probabilities[:, 0], 0.9)
    assert validated.scores == score(rows, probabilities, validated.threshold, sampling_of(EXPERIMENT.evaluation, 1))
    assert validated.uncalibrated.brier.value > validated.scores.diagnosis.brier.value
    assert validated.uncalibrated.ece.value > validated.scores.diagnosis.ece.value
    assert {item.by for item in validated.slices} == {"source", "site", "sex", "age"}


def test_a_variant_is_validated_once(platform):
    first = platform.validated
    (platform.home / "store" / platform.trained.graph.key).unlink()

    assert validate_variant(platform.store, platform.plan, VARIANT, platform.settings.cache) == first


def forget_validation(platform):
    (platform.home / "store" / "retrains" / platform.retrain_id / "variants" / VARIANT / "validated.json").unlink()


def test_a_graph_that_training_did_not_write_is_not_measured(platform):
    forget_validation(platform)
    platform.store.put(platform.trained.graph.key, b"another graph")

    with pytest.raises(DigestMismatchError, match="not what training wrote"):
        _ = platform.validated


def test_a_variant_that_is_not_trained_is_named(trained_platform):
    with pytest.raises(RetrainError, match=rf"{BASELINE}.*not trained yet"):
        validate_variant(trained_platform.store, trained_platform.plan, BASELINE, trained_platform.settings.cache)


@pytest.mark.parametrize("kept", [0.0, 1.0, None])
def test_validation_without_both_diagnoses_is_an_error(platform, monkeypatch, kept):
    forget_validation(platform)

    def one_sided(manifest, split):
        rows = rows_of(manifest, split)
        return rows[rows["covid"] == kept]

    monkeypatch.setattr(validation, "rows_of", one_sided)

    with pytest.raises(DatasetError, match="no positive or no negative"):
        _ = platform.validated


def test_unknown_labels_are_skipped_and_counted(trained_platform):
    rows, pixels = validation_part(trained_platform)
    probabilities = load_bundle(
        trained_platform.store, trained_platform.bundle_id, trained_platform.trusted
    ).probabilities(pixels)
    unknown = rows.assign(covid=np.nan, **dict.fromkeys(LESIONS, np.nan))

    scores = score(unknown, probabilities, 0.5, sampling_of(EXPERIMENT.evaluation, 0))

    assert (scores.diagnosis.n_images, scores.diagnosis.n_unknown) == (0, len(rows))
    assert scores.diagnosis.auroc.value is None
    assert {code: metrics.n_known for code, metrics in scores.lesions.items()} == dict.fromkeys(LESIONS, 0)


def test_a_baseline_has_no_lesion_scores(trained_platform):
    rows, _ = validation_part(trained_platform)

    scores = score(rows, label_matrix(rows)[:, :1].astype(np.float64), 0.5, sampling_of(EXPERIMENT.evaluation, 0))

    assert scores.lesions is None
    assert scores.diagnosis.auroc.value == 1.0
