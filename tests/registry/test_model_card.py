"""The model card: what a model is for, what it was measured on, and what must not be expected of it."""

import json

import pytest
from decided_retrains import decided, promoted, text_of
from trained_platform import VARIANT

from ladnn.errors import BundleError
from ladnn.evaluation.selection import select_candidate
from ladnn.labels import LESION_NAMES
from ladnn.registry.bundle import load_bundle
from ladnn.registry.model_card import card_page, card_summary, keep_model_card, model_card
from ladnn.registry.model_versions import MODEL, register
from ladnn.registry.publication import publish


def card_of(platform, bundle_id=None):
    return model_card(platform.store, bundle_id or platform.bundle_id, platform.trusted)


def test_a_promoted_model_is_told_whole(platform):
    decided(platform, "promote")
    promoted(platform)

    card = keep_model_card(platform.store, platform.bundle_id, platform.trusted)

    assert card.model_version == "1"
    assert card.test.diagnosis.n_images == platform.version.splits["test"].n_images
    assert card.decision.ended == "promoted"
    folder = platform.home / "store" / "cards" / platform.bundle_id
    assert json.loads((folder / "card.json").read_text())["limits"] == list(card.limits)
    shown = text_of((folder / "card.html").read_text(encoding="utf-8"))
    for heading in (
        "intended use",
        "data partitions",
        "ground truth",
        "training",
        "calibration",
        "shortcuts",
        "Limits",
    ):
        assert heading in shown
    for source in ("10.1148/ryai.2020200029", "10.1038/s41591-020-1041-y"):
        assert source in shown
    wanted = [
        str(card.test.diagnosis.auroc),
        platform.bundle_id,
        platform.retrain_id,
        "phantom-a",
        *LESION_NAMES.values(),
    ]
    wanted += [f"{part.by}: {part.value}" for part in card.test_slices]
    for word in [*wanted, *card.limits]:
        assert word in shown, word


def test_it_states_the_split_and_the_choice_that_there_were(platform):
    def shown(card):
        return text_of(card_page(card))

    card, splits = card_of(platform), platform.version.splits
    assert card.selection is None
    assert "How it was chosen was not recorded" in shown(card)
    n_patients = sum(count.n_groups for count in splits.values())
    for count in splits.values():
        share = f"{100 * count.n_groups / n_patients:.1f} % of the patients"
        assert f"{count.n_images} images of {count.n_groups} patients ({share}" in shown(card)
    counts = splits["train"].model_copy(update={"n_groups": 0, "n_images": 0})
    asked = card.data.version.model_copy(update={"splits": splits | {"test": counts}})
    published = card.model_copy(update={"data": card.data.model_copy(update={"version": asked})})
    assert "Test: 0 images of 0 patients (0.0 % of the patients" in shown(published)
    assert "25 %" not in shown(published)

    _, selection = select_candidate(platform.store, platform.plan, [platform.validated])
    alone = card_of(platform)
    assert alone.selection == selection
    assert f"{selection.reason}. With nothing to choose among" in shown(alone)
    several = selection.model_copy(update={"contenders": selection.contenders * 3, "optimism": 0.0123})
    assert "of the best of 3 by an estimated 0.012" in shown(card.model_copy(update={"selection": several}))
    unknown = several.model_copy(update={"optimism": None})
    assert "could not be estimated" in shown(card.model_copy(update={"selection": unknown}))


def test_limits_follow_from_what_was_not_measured(platform):
    untested = card_of(platform)
    decided(platform, "hold")

    assert untested.test is None
    assert any("not measured on a test set" in sentence for sentence in untested.limits)
    assert any("synthetic phantoms" in sentence for sentence in untested.limits)
    assert any("looked for shortcuts" in sentence for sentence in untested.limits)
    measured = card_of(platform)
    assert not any("not measured on a test set" in sentence for sentence in measured.limits)
    assert any("Too few cases" in sentence for sentence in measured.limits)  # of 4 test patients
    assert "Never promoted" in text_of(card_page(measured))


def test_another_bundle_of_the_same_retrain_does_not_borrow_its_test_scores(platform):
    decided(platform, "promote")

    card = card_of(platform, platform.another_bundle(0.3))

    assert (card.test, card.test_slices, card.decision) == (None, (), None)


def test_a_card_needs_a_signed_bundle(platform):
    (platform.home / "store" / "bundles" / platform.bundle_id / "bundle.sig").unlink()

    with pytest.raises(BundleError, match="not signed"):
        card_of(platform)


def test_no_patient_is_on_a_card_or_in_a_record(platform):
    from ladnn.dataset.version import load_manifest
    from ladnn.registry.decision_record import keep_record, record_page

    decided(platform, "promote")
    pages = card_page(card_of(platform)) + record_page(keep_record(platform.store, platform.plan))

    records = load_manifest(platform.store, platform.plan.dataset_version)
    for column in ("patient", "study", "image", "group"):
        assert not [value for value in records[column].dropna().unique() if str(value) in pages], column


def test_mlflow_shows_record_and_card_with_tags_to_search_by(platform, tracking):
    decided(platform, "promote")
    bundle = load_bundle(platform.store, platform.bundle_id, platform.trusted)
    register(tracking, bundle, tracking.variant_run(platform.retrain_id, VARIANT, {}))
    promoted(platform)

    publish(platform.store, tracking, platform.trusted, platform.plan)

    run_id = tracking.parent_run(platform.retrain_id, {})
    tags = tracking.client.get_run(run_id).data.tags
    assert tags["ladnn.gate.auroc_floor"] == "pass"
    assert (tags["ladnn.promoted_by"], tags["ladnn.model_version"]) == ("gates", "1")
    names = {item.path for item in tracking.client.list_artifacts(run_id)}
    assert {"decision_record.json", "decision_record.html", "model_card.html"} <= names
    description = tracking.client.get_model_version(MODEL, "1").description
    assert description == card_summary(card_of(platform))
    assert "**Intended use.**" in description
