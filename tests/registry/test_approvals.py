"""A held candidate comes to one end, whoever ends it."""

import pytest
from challengers import decision_for, held

from ladnn.errors import ApprovalError, BundleError, GateError, RetrainError, TrackingError
from ladnn.governance.approval import read_answer
from ladnn.registry.approvals import give_answer, held_decision, settle
from ladnn.registry.history import history
from ladnn.registry.leftovers import finish_held, supersede_unfinished
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promotion import promotions
from ladnn.registry.retrain_runs import begin
from ladnn.registry.summary import StageTime, begin_wait, read_outcome, summarise, waiting
from ladnn.retrain import plan_retrain, read

STAGES = (StageTime(name="evaluate", seconds=2.5),)


@pytest.fixture
def decision(platform, tracking):
    """The decision of a retrain that waits for a person."""
    begin(tracking, platform.plan, platform.version)
    made = held(platform)
    begin_wait(platform.store, platform.retrain_id, STAGES)
    return made


def status(platform):
    return summarise(platform.store, platform.plan).status


def full_disk(*_):
    raise OSError("the disk is full")


def record_ends(platform):
    """How the decision record says that it ended."""
    return read(platform.store, platform.retrain_id, "record")["ended"]


def tags(tracking, platform):
    (run,) = tracking.client.search_runs(
        [tracking.experiment_id], f"tags.`ladnn.retrain_id` = '{platform.retrain_id}' and tags.`ladnn.variant` = ''"
    )
    return run.data.tags | {"run": run.info.status}


def test_while_nobody_answers_it_waits(platform, tracking, decision):
    assert settle(platform.store, tracking, platform.trusted, decision) is None

    assert waiting(platform.store) == [decision] == [held_decision(platform.store, platform.retrain_id)]
    assert read_outcome(platform.store, platform.retrain_id) is None
    shown = history(platform.store)["retrains"][0]
    assert (shown["status"], shown["waits_until"]) == ("held", decision.expires_at.isoformat())


def test_approved_it_is_promoted_in_the_name_of_who_approved_first(platform, tracking, decision):
    for by in ("A. Person", "B. Other"):
        give_answer(platform.store, platform.trusted, decision, "approved", by, f"{by} looked at it")
    assert status(platform) == "approved"
    outcome = settle(platform.store, tracking, platform.trusted, decision)

    (record,) = promotions(platform.store)
    assert (record.by, record.reason) == ("A. Person", "A. Person looked at it")
    assert (outcome.status, outcome.model_version, outcome.stages) == ("promoted", record.model_version, STAGES)
    shown = tags(tracking, platform)
    assert (shown["ladnn.status"], shown["ladnn.answer"], shown["run"]) == ("promoted", "approved", "FINISHED")
    assert (shown["ladnn.answered_by"], shown["ladnn.answer_reason"]) == ("A. Person", "A. Person looked at it")
    shown = history(platform.store)["retrains"][0]
    assert (shown["status"], shown["approval"]["by"], shown["waits_until"]) == ("promoted", "A. Person", None)
    assert waiting(platform.store) == []
    assert record_ends(platform) == "promoted"
    assert platform.store.exists(f"cards/{platform.bundle_id}/card.json")
    assert "**Intended use.**" in tracking.client.get_model_version(MODEL, record.model_version).description


def test_before_its_record_is_written_a_retrain_has_not_ended(platform, tracking, decision, monkeypatch):
    give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "log_text", full_disk)
        with pytest.raises(TrackingError, match="the disk is full"):
            settle(platform.store, tracking, platform.trusted, decision)
    assert read_outcome(platform.store, platform.retrain_id) is None
    assert len(promotions(platform.store)) == 1

    ((done, item),) = finish_held(platform.store, tracking, platform.trusted)

    assert (done, item.done, record_ends(platform)) == (True, "ended as promoted", "promoted")


def test_settling_again_changes_nothing(platform, tracking, decision):
    give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    first = settle(platform.store, tracking, platform.trusted, decision)

    assert settle(platform.store, tracking, platform.trusted, decision) == first
    assert list(finish_held(platform.store, tracking, platform.trusted)) == []
    assert len(promotions(platform.store)) == 1
    assert len(tracking.client.search_model_versions(f"name = '{MODEL}'")) == 1


def test_rejected_it_ends_and_nothing_is_promoted(platform, tracking, decision):
    give_answer(platform.store, platform.trusted, decision, "rejected", "A. Person", "not on these data")
    outcome = settle(platform.store, tracking, platform.trusted, decision)

    assert (outcome.status, outcome.model_version, promotions(platform.store)) == ("rejected", None, [])
    assert record_ends(platform) == "rejected"
    assert tags(tracking, platform)["ladnn.answered_by"] == "A. Person"
    with pytest.raises(ApprovalError, match=r"rejected by A\. Person"):
        give_answer(platform.store, platform.trusted, decision, "approved", "B. Other", "I differ")


def test_unanswered_it_expires_and_the_same_retrain_is_measured_anew(platform, tracking):
    begin(tracking, platform.plan, platform.version)
    overdue = held(platform, hours=-1)

    assert (status(platform), waiting(platform.store)) == ("expired", [])
    with pytest.raises(ApprovalError, match="has expired"):
        give_answer(platform.store, platform.trusted, overdue, "approved", "A. Person", "late")
    assert settle(platform.store, tracking, platform.trusted, overdue).status == "expired"
    assert record_ends(platform) == "expired"
    assert promotions(platform.store) == []
    plan = platform.plan
    assert plan_retrain(platform.store, plan.dataset_version, plan.config, "0", force=False).state == "new"


def test_when_the_champion_changed_there_is_nothing_left_to_approve(platform, tracking, decision):
    platform.promote(platform.another_bundle(0.3), "7")

    assert (status(platform), waiting(platform.store)) == ("superseded", [])
    with pytest.raises(ApprovalError, match=r"champion changed .*record 1.*`ladnn retrain` again"):
        give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    assert read_answer(platform.store, platform.retrain_id) is None
    assert settle(platform.store, tracking, platform.trusted, decision).status == "superseded"
    assert [record.model_version for record in promotions(platform.store)] == ["7"]


def test_when_the_champion_changes_between_approval_and_promotion_the_retrain_is_superseded(
    platform, tracking, decision
):
    give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    platform.promote(platform.another_bundle(0.3), "7")

    assert settle(platform.store, tracking, platform.trusted, decision).status == "superseded"
    assert [record.model_version for record in promotions(platform.store)] == ["7"]
    assert record_ends(platform) == "superseded"
    assert tags(tracking, platform)["run"] == "KILLED"


def test_a_candidate_that_was_promoted_and_followed_by_another_stays_promoted(platform, tracking, decision):
    give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    settle(platform.store, tracking, platform.trusted, decision)
    platform.promote(platform.another_bundle(0.3), "7")

    assert status(platform) == "promoted"
    assert give_answer(platform.store, platform.trusted, decision, "approved", "B. Other", "again").by == "A. Person"
    assert settle(platform.store, tracking, platform.trusted, decision).status == "promoted"


@pytest.mark.parametrize("then", ["nothing", "another model"])
def test_when_the_record_that_it_was_measured_against_is_lost_there_is_nothing_left_to_approve(
    champion_platform, tracking, then
):
    platform = champion_platform
    platform.promote(platform.another_bundle(0.3), "2")
    decision = held(platform)
    for name in ("promotions/000002.json", "log_lengths/promotions.json"):
        (platform.home / "store" / name).unlink()
    if then == "another model":
        platform.promote(platform.another_bundle(0.4), "3")

    assert (status(platform), waiting(platform.store)) == ("superseded", [])
    with pytest.raises(ApprovalError, match="champion changed"):
        give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    assert settle(platform.store, tracking, platform.trusted, decision).status == "superseded"


@pytest.mark.parametrize("outcome", ["promote", "reject"])
def test_only_a_held_candidate_can_be_answered(platform, outcome):
    with pytest.raises(GateError, match="not held"):
        give_answer(
            platform.store, platform.trusted, decision_for(platform, outcome), "approved", "A. Person", "I want it"
        )


def test_without_a_name_those_that_wait_are_named(platform, decision):
    with pytest.raises(RetrainError, match=f"name the retrain; waiting for a person: {platform.retrain_id}"):
        held_decision(platform.store, None)
    with pytest.raises(RetrainError, match="there is no retrain r-none"):
        held_decision(platform.store, "r-none")


def test_before_its_decision_a_retrain_cannot_be_answered(platform):
    with pytest.raises(RetrainError, match="no retrain waits"):
        held_decision(platform.store, None)
    with pytest.raises(RetrainError, match="no decision yet"):
        held_decision(platform.store, platform.retrain_id)


def test_newer_data_do_not_supersede_what_waits_for_a_person(platform, tracking, decision):
    newer = plan_retrain(platform.store, "d-newer", platform.plan.config, "0", force=False).plan
    supersede_unfinished(platform.store, tracking, platform.trusted, newer)

    assert waiting(platform.store) == [decision]


def test_a_damaged_bundle_cannot_be_approved_and_waits_on_to_be_rejected(platform, tracking, decision):
    (platform.home / "store" / "bundles" / platform.bundle_id / "model.onnx").write_bytes(b"damaged")

    with pytest.raises(BundleError, match="changed"):
        give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")

    assert waiting(platform.store) == [decision]
    give_answer(platform.store, platform.trusted, decision, "rejected", "A. Person", "its bundle is damaged")
    assert settle(platform.store, tracking, platform.trusted, decision).status == "rejected"


def test_a_damaged_bundle_that_was_approved_is_named_and_raises_nothing(platform, tracking, decision):
    give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "looked at it")
    for key in platform.store.list(f"bundles/{platform.bundle_id}/"):
        if key.endswith(".onnx"):
            platform.store.put(key, b"damaged")

    ((done, item),) = finish_held(platform.store, tracking, platform.trusted)

    assert (done, item.what) == (False, f"retrain {platform.retrain_id}")
    assert item.found.startswith("approved, but")
    assert promotions(platform.store) == []
