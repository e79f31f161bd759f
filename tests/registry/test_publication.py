"""What becomes of decision record and model card when a model is rolled back: both tell it, and MLflow with them."""

from decided_retrains import text_of

from ladnn.registry.model_card import card_page, model_card
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promotion import promotions
from ladnn.registry.publication import WITHDRAWN, publish_withdrawals
from ladnn.registry.rollback import roll_back
from ladnn.registry.tracking import open_tracking


def back(platform, version, reason):
    return roll_back(platform.store, platform.trusted, by="Ada", reason=reason, version=version)


def published(platform):
    """Publish what is to be told; return the versions that it was about."""
    tracking = open_tracking(platform.settings)
    return [
        (model.model_version, problem)
        for model, problem in publish_withdrawals(platform.store, tracking, platform.trusted)
    ]


def shown(platform, model):
    """Return what card, record and MLflow show of a promoted model, as they were written."""
    folder, client = platform.home / "store", open_tracking(platform.settings).client
    (run,) = client.search_runs(
        client.get_experiment_by_name("ladnn").experiment_id, f"tags.`mlflow.runName` = '{model.retrain_id}'"
    )
    assert run.info.status == "FINISHED"
    card = text_of((folder / "cards" / model.bundle_id / "card.html").read_text(encoding="utf-8"))
    record = text_of((folder / "retrains" / model.retrain_id / "record.html").read_text(encoding="utf-8"))
    return card, record, client.get_model_version(MODEL, model.model_version).description, run.data.tags[WITHDRAWN]


def test_a_rollback_is_told_until_the_model_comes_back(two_promoted):
    first, second = promotions(two_promoted.store)
    assert published(two_promoted) == []
    record = back(two_promoted, "1", "v2 <misses> site B patients")

    card = model_card(two_promoted.store, second.bundle_id, two_promoted.trusted)
    assert "v2 <misses> site B patients" in text_of(card_page(card))  # before anything was written anew
    assert published(two_promoted) == [("2", "")]

    told = f"Ada on {record.at:%Y-%m-%d}: v2 <misses> site B patients"
    for text in shown(two_promoted, second):
        assert told in text
    for text in shown(two_promoted, first):
        assert "misses" not in text
    assert published(two_promoted) == []

    back(two_promoted, "2", "it was the scanner")
    assert published(two_promoted) == [("1", ""), ("2", "")]
    for text in shown(two_promoted, second):
        assert "misses" not in text
    for text in shown(two_promoted, first):
        assert "it was the scanner" in text


def test_a_damaged_bundle_keeps_the_card_and_says_so_each_time(two_promoted):
    second = promotions(two_promoted.store)[1]
    (two_promoted.home / "store" / "bundles" / second.bundle_id / "bundle.sig").unlink()
    back(two_promoted, "1", "worse at one site")

    for _ in range(2):
        ((version, problem),) = published(two_promoted)
        assert version == "2"
        assert "is not signed" in problem
