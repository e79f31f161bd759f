"""Promotion by hand: what a person may make champion, and what is refused with its reason."""

import pytest
from challengers import SECOND, aliases, decide

from ladnn.errors import BundleError, PromotionConflictError, PromotionError, RetrainError
from ladnn.governance.approval import answer
from ladnn.governance.decision import read_decision
from ladnn.registry import challenger
from ladnn.registry.challenger import challenge
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promote_named import promote_named
from ladnn.registry.promotion import champion, promotions
from ladnn.registry.rollback import roll_back
from ladnn.registry.summary import finish_retrain, read_outcome
from ladnn.registry.test_set import required_test_result
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import read

THIRD = "r-third"


@pytest.fixture
def passed(two_promoted):
    """A platform on which a third candidate passed its gates, and the retrain was killed before it was promoted."""
    decide(two_promoted, THIRD, two_promoted.another_bundle(0.4))
    return two_promoted


def by_hand(platform, name=THIRD, **changes):
    values = {"by": "Ada", "reason": "the retrain was killed"} | changes
    return promote_named(platform.store, open_tracking(platform.settings), platform.trusted, name, **values)


def refused(platform, error, match, name=THIRD, **changes):
    """The promotion is refused; neither log nor registry changed."""
    versions = open_tracking(platform.settings).client.search_model_versions
    before = (promotions(platform.store), len(versions(f"name = '{MODEL}'")))
    with pytest.raises(error, match=match):
        by_hand(platform, name, **changes)
    assert (promotions(platform.store), len(versions(f"name = '{MODEL}'"))) == before


def test_what_passed_its_gates_becomes_champion_and_its_retrain_ends(passed):
    record = by_hand(passed)

    assert (record.number, record.model_version, record.by, record.reason) == (3, "3", "Ada", "the retrain was killed")
    assert champion(passed.store) == record
    assert read_outcome(passed.store, THIRD).status == "promoted"
    assert read(passed.store, THIRD, "record")["promotion"]["by"] == "Ada"
    assert passed.store.exists(f"cards/{record.bundle_id}/card.json")
    tracking = open_tracking(passed.settings)
    assert aliases(tracking) == {"champion": "3", "previous-champion": "2"}
    assert {run.info.status for run in tracking.client.search_runs([tracking.experiment_id])} == {"FINISHED"}


def test_the_same_command_again_is_the_same_promotion(passed):
    assert by_hand(passed) == by_hand(passed, by="Bob")
    assert len(promotions(passed.store)) == 3


def test_a_bundle_or_the_version_of_a_challenger_names_it_too(passed):
    decision = read_decision(passed.store, THIRD)
    challenge(
        passed.store,
        open_tracking(passed.settings),
        passed.trusted,
        decision,
        required_test_result(passed.store, THIRD),
    )
    assert aliases(open_tracking(passed.settings))["challenger"] == "3"

    assert by_hand(passed, "3") == by_hand(passed, decision.bundle_id)
    assert "challenger" not in aliases(open_tracking(passed.settings))


def test_what_the_gates_rejected_is_refused_with_their_reason(two_promoted):
    decide(two_promoted, THIRD, two_promoted.another_bundle(0.4), "reject")

    refused(two_promoted, PromotionError, "the gates rejected retrain r-third: auroc_floor: made by hand")


def test_what_waits_for_a_person_is_refused_until_one_accepts_it(two_promoted):
    decide(two_promoted, THIRD, two_promoted.another_bundle(0.4), "hold")
    refused(two_promoted, PromotionError, "waits for a person .*`ladnn approve r-third`")

    answer(two_promoted.store, read_decision(two_promoted.store, THIRD), "approved", "Bob", "looked at it")
    assert by_hand(two_promoted).model_version == "3"


def test_what_nobody_answered_in_time_is_refused_and_no_approval_is_offered(two_promoted):
    decide(two_promoted, THIRD, two_promoted.another_bundle(0.4), "hold", hours=-1)

    refused(
        two_promoted, PromotionError, "r-third has expired, it could be answered until .*; run `ladnn retrain` again"
    )


def test_what_a_person_rejected_is_refused(two_promoted):
    decide(two_promoted, THIRD, two_promoted.another_bundle(0.4), "hold")
    answer(two_promoted.store, read_decision(two_promoted.store, THIRD), "rejected", "Bob", "not on these data")

    refused(two_promoted, PromotionError, "was rejected by Bob: not on these data")


def test_what_was_measured_against_another_champion_is_refused(passed):
    roll_back(passed.store, passed.trusted, by="Ada", reason="worse at one site")

    refused(passed, PromotionConflictError, r"champion changed since retrain r-third was measured \(record 3 exists\)")


def test_the_candidate_of_a_retrain_that_was_superseded_is_refused(passed):
    finish_retrain(passed.store, THIRD, "superseded", None, ())

    refused(passed, PromotionError, "retrain r-third ended as superseded")


def test_a_retrain_that_is_superseded_while_its_candidate_is_uploaded_promotes_nothing(passed, monkeypatch):
    whole = challenger.register

    def register(*arguments):
        version = whole(*arguments)
        finish_retrain(passed.store, THIRD, "superseded", None, ())
        return version

    monkeypatch.setattr(challenger, "register", register)

    with pytest.raises(PromotionError, match="ended as superseded"):
        by_hand(passed)
    assert len(promotions(passed.store)) == 2
    assert aliases(open_tracking(passed.settings))["champion"] == "2"


def test_the_champion_and_a_former_one_are_refused_with_the_way_to_it(two_promoted):
    second = read_decision(two_promoted.store, SECOND).bundle_id
    decide(two_promoted, THIRD, second)
    refused(two_promoted, PromotionError, r"version 2 is champion already \(record 2\)")
    refused(two_promoted, PromotionError, "version 1 was champion before .*`ladnn rollback 1`", two_promoted.bundle_id)


def test_a_damaged_bundle_is_refused_before_anything_is_written(passed):
    folder = passed.home / "store" / "bundles" / read_decision(passed.store, THIRD).bundle_id
    (folder / "model.onnx").unlink()

    refused(passed, BundleError, "incomplete")


@pytest.mark.parametrize(
    ("name", "error"), [("r-none", RetrainError), ("b-none", PromotionError), ("9", PromotionError)]
)
def test_an_unknown_name_is_refused(two_promoted, name, error):
    refused(two_promoted, error, "ladnn history", name)


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("Ada", " ")])
def test_nobody_or_no_reason_is_refused(passed, by, reason):
    refused(passed, PromotionError, "--by and --reason", by=by, reason=reason)
