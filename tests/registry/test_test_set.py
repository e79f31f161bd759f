"""The one opening of the test set: noted first, measured once, against the champion of that moment."""

import numpy as np
import pytest

from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import BundleError
from ladnn.governance.gates.champion import not_worse_than_champion
from ladnn.governance.gates.verdicts import Verdict
from ladnn.governance.ledger import count_openings
from ladnn.registry import test_set as opening
from ladnn.registry.bundle import load_bundle


def opened(platform, bundle_id=None):
    return opening.open_test_set(
        platform.store,
        platform.plan,
        platform.version,
        bundle_id or platform.bundle_id,
        platform.trusted,
        platform.settings.cache,
    )


def n_openings(platform):
    return count_openings(platform.store, platform.version.test_version)


def test_the_candidate_is_measured_on_the_test_part_alone(platform):
    result = opened(platform)

    counts = platform.version.splits["test"]
    scores = result.candidate_scores.diagnosis
    assert (scores.n_images, scores.n_positive) == (counts.n_images, counts.n_positive)
    assert scores.threshold == platform.validated.threshold
    assert result.evidence.candidate == scores
    assert (result.champion, result.champion_scores, result.evidence.difference) == (None, None, None)
    assert (result.evidence.has_champion, result.evidence.candidate_is_champion) == (False, False)


def test_a_retrain_that_runs_again_opens_the_test_set_once_and_gets_the_same_numbers(platform):
    first = opened(platform)

    assert opened(platform) == first
    assert opened(platform, platform.another_bundle(0.3)) == first
    assert opening.read_test_result(platform.store, platform.retrain_id) == first
    assert (n_openings(platform), first.evidence.openings) == (1, 1)


def test_an_opening_that_dies_half_way_counts_all_the_same(platform):
    with pytest.raises(BundleError):
        opened(platform, "b-0000000000000000")

    assert n_openings(platform) == 1
    assert opening.read_test_result(platform.store, platform.retrain_id) is None
    assert opened(platform).evidence.openings == 1


def test_candidate_and_champion_are_measured_on_the_same_images(champion_platform):
    candidate = champion_platform.another_bundle(0.3)

    result = opened(champion_platform, candidate)

    assert result.champion.bundle_id == champion_platform.bundle_id
    assert result.candidate_scores.diagnosis.auroc == result.champion_scores.diagnosis.auroc  # the same weights
    assert result.candidate_scores.diagnosis.threshold == 0.3
    assert result.champion_scores.diagnosis.threshold == champion_platform.validated.threshold
    assert result.evidence.difference.value == 0.0
    assert result.evidence.difference == result.difference.deciding
    n_positive = result.candidate_scores.diagnosis.n_positive
    assert result.evidence.sensitivity_difference.n == n_positive
    assert result.evidence.specificity_difference.n == result.candidate_scores.diagnosis.n_images - n_positive
    assert (result.evidence.has_champion, result.evidence.candidate_is_champion) == (True, False)


def test_a_candidate_that_is_the_champion_is_recognised(champion_platform):
    assert opened(champion_platform).evidence.candidate_is_champion is True


def test_a_candidate_that_another_retrain_trained_is_the_champion_if_it_serves_the_same(champion_platform):
    candidate = champion_platform.same_model("r-again")

    assert candidate != champion_platform.bundle_id
    assert opened(champion_platform, candidate).evidence.candidate_is_champion is True


def test_the_scores_come_from_the_bundle_that_would_be_served(platform):
    rows = rows_of(load_manifest(platform.store, platform.plan.dataset_version), "test")
    bundle = load_bundle(platform.store, platform.bundle_id, platform.trusted)
    pixels = load_pixels(platform.store, list(rows["image"]), bundle.manifest.preprocessing, platform.settings.cache)
    called = bundle.probabilities(pixels)[:, 0] >= bundle.manifest.threshold

    accuracy = float(np.mean(called == (rows["covid"] == 1)))

    assert opened(platform).candidate_scores.diagnosis.accuracy.value == pytest.approx(accuracy)


def test_without_test_patients_nothing_is_opened_and_the_evidence_has_no_candidate(champion_platform, monkeypatch):
    monkeypatch.setattr(opening, "rows_of", lambda manifest, split: rows_of(manifest, split).iloc[:0])

    result = opened(champion_platform, champion_platform.another_bundle(0.3))

    assert (result.candidate_scores, result.evidence.candidate, result.evidence.difference) == (None, None, None)
    assert (result.evidence.has_champion, result.evidence.openings, n_openings(champion_platform)) == (True, 0, 0)


def test_a_damaged_champion_is_told_and_the_candidate_is_measured(champion_platform):
    bundles = champion_platform.home / "store" / "bundles"
    candidate = champion_platform.another_bundle(0.3)
    (bundles / champion_platform.bundle_id / "model.onnx").unlink()

    evidence = opened(champion_platform, candidate).evidence

    assert champion_platform.bundle_id in evidence.champion_problem
    assert (evidence.has_champion, evidence.champion, evidence.difference) == (True, None, None)
    assert evidence.candidate is not None


@pytest.fixture
def spoil(monkeypatch):
    """Let a bundle give NaN on test images."""
    whole = opening.measure

    def spoil_bundle(bundle_id, places):
        def measure(store, plan, rows, bundle, *arguments):
            measured = whole(store, plan, rows, bundle, *arguments)
            if bundle.id == bundle_id:
                measured.probabilities[places] = np.nan
            return measured

        monkeypatch.setattr(opening, "measure", measure)

    return spoil_bundle


def test_a_candidate_whose_scores_are_not_finite_is_rejected_by_the_gate(champion_platform, spoil):
    candidate = champion_platform.another_bundle(0.3)
    spoil(candidate, slice(None))

    evidence = opened(champion_platform, candidate).evidence

    assert evidence.champion_problem is None
    assert not_worse_than_champion(evidence, champion_platform.plan.config.gates).verdict is Verdict.FAIL


def test_a_champion_whose_scores_are_not_finite_is_told_and_the_candidate_is_not_blamed(champion_platform, spoil):
    spoil(champion_platform.bundle_id, 0)

    evidence = opened(champion_platform, champion_platform.another_bundle(0.3)).evidence

    assert (evidence.champion_problem, evidence.champion) == ("its scores are not finite", None)
    assert evidence.candidate is not None
    assert not_worse_than_champion(evidence, champion_platform.plan.config.gates).verdict is Verdict.NOT_EVALUATED
