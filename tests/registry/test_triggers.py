"""What sets off a retrain: enough new studies, or drift that says so and something to learn from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from challengers import held
from drift_records import check_of, keep_check
from factories import keep_records, make_record

from ladnn.config import ExperimentConfig, Variant
from ladnn.config_monitoring import TriggerConfig
from ladnn.dataset.freezing import freeze
from ladnn.governance.drift.acceptance import accept_drift
from ladnn.governance.drift.verdict import Action
from ladnn.registry.drift import Watch
from ladnn.registry.history import history
from ladnn.registry.promotion import Proposal, promote
from ladnn.registry.summary import finish_retrain
from ladnn.registry.triggers import find_trigger
from ladnn.retrain import plan_retrain

NO_CHAMPION = Watch(check=None, problem="no champion to compare with")


def config(**triggers):
    return ExperimentConfig(
        variants=(Variant(backbone="efficientnet_lite0", task="ladnn"),), triggers=TriggerConfig(**triggers)
    )


def drift(action, sites=()):
    return Watch(check=check_of(action, dict.fromkeys(sites, ("intensity.mean",))), problem=None)


@pytest.fixture
def planned(file_store):
    """A store with a retrain on four studies that has come to nothing yet."""
    keep_records(file_store, [make_record(f"p{k}", labels={"covid": k % 2}) for k in range(4)])
    version = freeze(file_store, config().data)
    plan = plan_retrain(file_store, version.id, config(), "0.0.1", force=False, reason="schedule").plan
    assert plan.reason == "schedule"
    return SimpleNamespace(store=file_store, retrain_id=plan.retrain_id, bundle_id="b-1")


@pytest.fixture
def retrained(planned):
    """A store whose last retrain ended on four studies."""
    finish_retrain(planned.store, planned.retrain_id, "rejected", None, ())
    return planned.store


def add_studies(store, n, **values):
    records = [make_record(f"new{k}", number, **values) for k in range(n) for number in range(2)]
    keep_records(store, records, name="later-")


def test_enough_new_studies_set_off_a_retrain_and_the_reason_says_how_many(retrained):
    add_studies(retrained, 3)
    trigger = find_trigger(retrained, config(new_studies=3), NO_CHAMPION)
    assert (trigger.retrain, trigger.n_new_studies) == (True, 3)
    assert trigger.reason.startswith("3 new studies since the last retrain")


def test_fewer_studies_wait(retrained):
    add_studies(retrained, 3)
    assert not find_trigger(retrained, config(new_studies=4), drift(Action.NONE)).retrain
    assert not find_trigger(retrained, config(new_studies=None), drift(Action.NOT_ENOUGH_CASES)).retrain


def test_the_studies_of_a_candidate_that_waits_for_a_person_set_off_no_second_retrain(planned):
    assert find_trigger(planned.store, config(new_studies=4), NO_CHAMPION).retrain
    held(planned)
    waiting = find_trigger(planned.store, config(new_studies=1), drift(Action.RETRAIN))
    assert (waiting.retrain, waiting.n_new_studies) == (False, 0)
    add_studies(planned.store, 1)
    assert find_trigger(planned.store, config(new_studies=1), NO_CHAMPION).n_new_studies == 1


def test_the_studies_of_a_candidate_that_another_champion_overtook_are_new_again(planned):
    held(planned)
    other = Proposal(
        bundle_id="b-2", model_version="1", retrain_id="r-other", synthetic=False, by="gates", reason="all gates passed"
    )
    promote(planned.store, other, expected=0)
    assert find_trigger(planned.store, config(new_studies=4), NO_CHAMPION).retrain


def test_phantoms_are_no_studies_of_patients(retrained):
    add_studies(retrained, 3, synthetic=True)
    assert find_trigger(retrained, config(new_studies=1), NO_CHAMPION).n_new_studies == 0


def test_before_the_first_retrain_every_study_is_new(file_store):
    keep_records(file_store, [make_record(f"p{k}") for k in range(4)])
    assert find_trigger(file_store, config(new_studies=4), NO_CHAMPION).retrain


def test_drift_sets_off_a_retrain_by_its_verdict_and_the_reason_names_the_check(retrained):
    add_studies(retrained, 1)
    trigger = find_trigger(retrained, config(), drift(Action.RETRAIN))
    assert (trigger.retrain, trigger.reason) == (True, "drift k-1: intensity moved")
    assert not find_trigger(retrained, config(drift=False), drift(Action.RETRAIN)).retrain


def test_the_reason_names_both_where_new_studies_and_drift_set_off_a_retrain(retrained):
    add_studies(retrained, 3)
    trigger = find_trigger(retrained, config(new_studies=3), drift(Action.RETRAIN))
    assert trigger.reason == (
        "3 new studies since the last retrain (triggers.new_studies = 3); drift k-1: intensity moved"
    )


@pytest.fixture
def answered(file_store):
    """A store whose last retrain was planned when drift had been found, and ended; and that check."""
    keep_records(file_store, [make_record(f"p{k}", labels={"covid": k % 2}) for k in range(4)])
    found = keep_check(file_store, check_of(Action.RETRAIN, {"hospital-a": ("intensity.mean",)}))
    version = freeze(file_store, config().data)
    plan = plan_retrain(file_store, version.id, config(), "0.0.1", force=False, reason="drift k-1").plan
    finish_retrain(file_store, plan.retrain_id, "rejected", None, ())
    return SimpleNamespace(store=file_store, check=found, retrain_id=plan.retrain_id)


def moves(check_id, *names, **values):
    return Watch(check=check_of(Action.RETRAIN, {"hospital-a": names}, check_id=check_id, **values), problem=None)


def test_drift_that_a_retrain_has_answered_sets_off_no_other_with_each_new_study(answered):
    add_studies(answered.store, 1)

    for watch in (Watch(check=answered.check, problem=None), moves("k-2", "intensity.p25")):
        trigger = find_trigger(answered.store, config(), watch)
        assert (trigger.retrain, trigger.n_new_studies) == (False, 1)
        assert f"retrain {answered.retrain_id} has answered it" in trigger.reason
        assert "20 new studies (drift.min_patients)" in trigger.reason


def test_drift_sets_off_a_retrain_anew_when_something_else_moves_much_is_new_or_the_champion_is_another(answered):
    add_studies(answered.store, 1)
    assert find_trigger(answered.store, config(), moves("k-2", "intensity.mean", "label.covid")).retrain
    assert find_trigger(answered.store, config(), moves("k-2", "intensity.mean", bundle_id="b-2")).retrain

    add_studies(answered.store, 20)
    trigger = find_trigger(answered.store, config(), moves("k-2", "intensity.mean"))
    assert (trigger.retrain, trigger.reason) == (True, "drift k-2: intensity moved")


def test_drift_that_was_found_after_the_last_retrain_is_not_answered(retrained):
    add_studies(retrained, 1)
    watch = moves("k-1", "intensity.mean")
    keep_check(retrained, watch.check)
    assert find_trigger(retrained, config(), watch).retrain


def test_while_a_site_is_to_be_asked_no_number_of_new_studies_sets_off_a_retrain(retrained):
    add_studies(retrained, 3)
    trigger = find_trigger(retrained, config(new_studies=3), drift(Action.INVESTIGATE, ("hospital-b",)))
    assert (trigger.retrain, trigger.n_new_studies) == (False, 3)
    assert "drift k-1: ask hospital-b" in trigger.reason
    assert "`ladnn drift accept k-1`" in trigger.reason


def test_once_a_person_accepted_what_moved_at_the_site_new_studies_count_again(retrained):
    watch = drift(Action.INVESTIGATE, ("hospital-b",))
    accept_drift(retrained, watch.check, "Ada", "a new scanner")
    add_studies(retrained, 3)

    assert find_trigger(retrained, config(new_studies=3), watch).retrain
    waits = find_trigger(retrained, config(new_studies=4), watch)
    assert (waits.retrain, "hospital-b accepted by Ada: a new scanner" in waits.reason) == (False, True)
    both = drift(Action.INVESTIGATE, ("hospital-a", "hospital-b"))
    asked = find_trigger(retrained, config(new_studies=3), both)
    assert (asked.retrain, "ask hospital-a what" in asked.reason) == (False, True)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"{")])
def test_a_lost_description_of_old_data_is_told_and_their_images_say_what_was_seen(retrained, capsys, damage):
    (description,) = Path(retrained.url.removeprefix("file://")).glob("datasets/*/version.json")
    damage(description)
    add_studies(retrained, 3)

    trigger = find_trigger(retrained, config(new_studies=3), NO_CHAMPION)

    assert (trigger.retrain, trigger.n_new_studies) == (True, 3)
    told = capsys.readouterr().err
    assert f"dataset version {description.parent.name} of retrain r-" in told
    assert f"restore datasets/{description.parent.name}/ from backup" in told


def test_where_its_manifest_is_lost_too_its_studies_count_as_new(retrained, capsys):
    for path in Path(retrained.url.removeprefix("file://")).glob("datasets/*/*"):
        path.unlink()
    add_studies(retrained, 3)

    assert find_trigger(retrained, config(new_studies=8), NO_CHAMPION).n_new_studies == 7
    assert "nor its manifest, so what that retrain saw counts as new" in capsys.readouterr().err


def test_a_lost_description_of_old_data_does_not_end_the_history(retrained):
    for path in Path(retrained.url.removeprefix("file://")).glob("datasets/*/version.json"):
        path.unlink()

    assert [item["status"] for item in history(retrained)["retrains"]] == ["rejected"]


def test_drift_of_what_is_served_waits_for_something_to_learn_from(retrained):
    trigger = find_trigger(retrained, config(), drift(Action.RETRAIN))
    assert not trigger.retrain
    assert "nothing new to learn from" in trigger.reason


def test_triggers_and_drift_limits_are_no_part_of_a_retrains_id():
    assert config().digest == config(new_studies=7, schedule=None, drift=False).digest
    assert config().digest != config().model_copy(update={"seed": 1}).digest
