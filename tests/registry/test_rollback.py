"""The way back: which model it leads to, and what is refused before anything is written."""

import pytest

from ladnn.errors import BundleError, NoChampionError, PromotionConflictError, PromotionError
from ladnn.registry import rollback
from ladnn.registry.promotion import before_champion, champion, promotions, way_back
from ladnn.registry.rollback import roll_back
from ladnn.registry.withdrawal import withdrawal
from ladnn.serving.predictor import load_champion


def back(platform, version=None, **changes):
    values = {"by": "Ada", "reason": "worse at one site"} | changes
    return roll_back(platform.store, platform.trusted, version=version, **values)


def refused(platform, error, match, *arguments, **changes):
    """The rollback is refused, and the log is as it was."""
    before = promotions(platform.store)
    with pytest.raises(error, match=match):
        back(platform, *arguments, **changes)
    assert promotions(platform.store) == before


@pytest.fixture
def three(champion_platform):
    """A platform on which three models were promoted, one after the other, as versions 1, 2 and 3."""
    for number in (2, 3):
        champion_platform.promote(champion_platform.another_bundle(number / 10), str(number))
    return champion_platform


def test_it_leads_to_the_model_before_and_says_who_and_why(three):
    record = back(three)

    assert (record.number, record.action, record.model_version) == (4, "rollback", "2")
    assert (record.by, record.reason, record.retrain_id) == ("Ada", "worse at one site", "retrain-of-2")
    assert champion(three.store) == record
    assert before_champion(promotions(three.store)).model_version == "3"


def test_again_it_goes_back_one_more_and_never_to_what_it_removed(three):
    assert [back(three).model_version for _ in range(2)] == ["2", "1"]

    refused(three, NoChampionError, "no champion before model version 1, nothing to roll back to; `ladnn rollback 2`")


def test_a_named_version_undoes_a_rollback_and_what_that_removes_is_passed_over(three):
    back(three)

    assert back(three, "3").model_version == "3"
    assert [record.model_version for record in way_back(promotions(three.store))] == ["1", "3"]
    assert back(three).model_version == "1"


@pytest.mark.parametrize("steps", [("1", "2"), (None, None, "3", "2")])
def test_what_a_person_rolled_away_from_comes_back_by_name_alone(three, steps):
    for step in steps:
        back(three, step)

    refused(three, NoChampionError, "no champion before model version 2.* or .* undoes a rollback")
    assert back(three, "1").model_version == "1"


def test_beside_a_damaged_champion_one_is_named_that_nobody_rolled_away_from(three):
    current = back(three, "1")
    (three.home / "store" / "bundles" / current.bundle_id / "model.onnx").unlink()

    with pytest.raises(BundleError, match="`ladnn rollback 2` leads to a model that is whole"):
        load_champion(three.store, three.trusted)


def test_a_version_can_be_named_by_its_bundle_and_skips_those_between(three):
    assert back(three, three.bundle_id).model_version == "1"
    assert back(three, "retrain-of-3").model_version == "3"
    assert back(three, "1").model_version == "1"
    assert [record.model_version for record in way_back(promotions(three.store))] == ["1"]


def test_the_only_model_ever_promoted_has_no_way_back(champion_platform):
    refused(champion_platform, NoChampionError, "nothing to roll back to$")


def test_without_a_champion_there_is_nothing_to_roll_back(platform):
    refused(platform, NoChampionError, "ladnn retrain")


def test_the_champion_itself_and_a_model_that_never_was_champion_are_refused(three):
    refused(three, PromotionError, r"model version 3 is champion already \(record 3\)", "3")
    refused(three, PromotionError, "9 never was champion.*versions that were: 1, 2, 3", "9")
    refused(three, PromotionError, "an empty VERSION names no model", "")


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("Ada", " ")])
def test_nobody_or_no_reason_is_refused(three, by, reason):
    refused(three, PromotionError, "--by and --reason", by=by, reason=reason)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_bundle_is_refused_and_another_can_be_named(three, damage):
    path = three.home / "store" / "bundles" / promotions(three.store)[1].bundle_id / "model.onnx"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    what = "incomplete" if damage == "missing" else "changed"
    refused(
        three, BundleError, f"version 2 cannot come back: .*{what}.*`ladnn rollback 1` leads to a model that is whole"
    )
    assert back(three, "1").model_version == "1"


def test_where_no_former_champion_is_whole_the_remedy_is_a_backup(three):
    for record in promotions(three.store)[:2]:
        (three.home / "store" / "bundles" / record.bundle_id / "model.onnx").unlink()

    refused(three, BundleError, "restore it from backup$")


def test_a_damaged_champion_that_shall_answer_names_the_way_back(three):
    (three.home / "store" / "bundles" / champion(three.store).bundle_id / "model.onnx").unlink()

    with pytest.raises(BundleError, match=r"version 3, which is champion, .*backup; or `ladnn rollback 2` leads to"):
        load_champion(three.store, three.trusted)


def test_a_damaged_champion_is_not_in_the_way(three):
    (three.home / "store" / "bundles" / champion(three.store).bundle_id / "bundle.json").unlink()

    assert back(three).model_version == "2"


def test_a_model_of_phantoms_does_not_come_back_for_one_of_patients(champion_platform):
    champion_platform.promote(champion_platform.another_bundle(0.3), "2", synthetic=False)

    refused(champion_platform, PromotionError, "phantoms")


def test_a_promotion_at_the_same_time_wins_and_the_rollback_says_so(three, monkeypatch):
    whole = rollback.load_bundle

    def load_while_another_promotes(store, *arguments):
        three.promote(three.another_bundle(0.9), "4")
        return whole(store, *arguments)

    monkeypatch.setattr(rollback, "load_bundle", load_while_another_promotes)

    with pytest.raises(PromotionConflictError, match=r"record 4.*nothing was rolled back"):
        back(three)
    assert champion(three.store).model_version == "4"


def test_a_withdrawn_model_is_known_again_by_what_it_serves_until_it_comes_back(three):
    def told(bundle_id):
        return withdrawal(three.store, bundle_id, three.trusted)

    removed, again, other = champion(three.store).bundle_id, three.same_model("r-again", 0.3), three.another_bundle(0.4)
    assert told(again) is None
    record = back(three)

    by = f"this very model was champion and rolled back by Ada on {record.at:%Y-%m-%d}: worse at one site"
    assert told(removed) == told(again) == by
    assert told(record.bundle_id) is told(other) is None
    three.promote(again, "4")
    assert told(removed) is told(again) is None


def test_a_withdrawn_model_that_cannot_be_read_might_be_the_candidate(three):
    removed, other = champion(three.store).bundle_id, three.another_bundle(0.4)
    back(three)
    (three.home / "store" / "bundles" / removed / "bundle.sig").unlink()

    said = withdrawal(three.store, other, three.trusted)

    assert "whether this is the model that was rolled back by Ada" in said
    assert f"bundle {removed} is not signed" in said
