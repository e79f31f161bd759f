"""The decision record: everything that was decided, on what, and by whom; readable a year later."""

import json

import pytest
from challengers import decision_for, result_against_the_champion
from decided_retrains import decided, kept, promoted, text_of

from ladnn.errors import RetrainError
from ladnn.governance.approval import answer, settled_answer
from ladnn.registry.decision_record import decision_record, keep_record, record_page
from ladnn.registry.summary import finish_retrain
from ladnn.statistics import Interval


def test_a_promotion_is_told_in_plain_words_with_every_gate(platform):
    decided(platform, "promote")
    promoted(platform)

    record = keep_record(platform.store, platform.plan)

    assert record.ended == "promoted"
    assert "1 of 1 gates passed" in record.summary
    assert "Promoted as model version 1 by gates: all gates passed." in record.summary
    assert record.candidate_metrics.n_images == platform.version.splits["test"].n_images
    (gate,) = record.gates
    folder = platform.home / "store" / "retrains" / platform.retrain_id
    document = json.loads((folder / "record.json").read_text())
    assert document["candidate_metrics"]["sensitivity"]["confidence"] == 0.95
    assert "Intervals cover 95 %" in text_of((folder / "record.html").read_text(encoding="utf-8"))
    assert set(document["gates"][0]) >= {"name", "value", "limit", "interval", "n", "verdict", "reason"}
    shown = text_of((folder / "record.html").read_text(encoding="utf-8"))
    for word in (gate.reason, "auroc floor", "0.75", platform.bundle_id, record.dataset_version, record.summary):
        assert str(word) in shown


def test_what_new_data_and_new_model_brought_stands_in_the_record_and_on_its_page(champion_platform):
    decided(champion_platform, "reject")

    record = keep_record(champion_platform.store, champion_platform.plan)

    folder = champion_platform.home / "store" / "retrains" / champion_platform.retrain_id
    table = json.loads((folder / "record.json").read_text())["retention"]
    for cell in ("champion_previous", "champion_new", "candidate_previous", "candidate_new"):
        assert table[cell]["value"] == record.candidate_metrics.auroc.value  # the same model on the same test set
    assert table["brought_by_data"] == table["brought_by_model"] == table["brought_by_model_previous"] == 0
    shown = text_of((folder / "record.html").read_text(encoding="utf-8"))
    for words in ("What new data and new model brought", "by the new test patients", "by the new model", "not changed"):
        assert words in shown


def test_a_first_champion_has_no_table_of_retention(platform):
    decided(platform, "promote")

    record = decision_record(platform.store, platform.plan)

    assert record.retention is None
    assert "What new data" not in text_of(record_page(record))


def test_each_interval_is_shown_with_what_it_covers(platform):
    decision = decision_for(platform, "promote")
    slices = Interval(value=-0.01, low=-0.2, high=0.1, n=8, confidence=0.996875)
    gates = [decision.gates[0].model_copy(update={"name": "no_slice_worse", "interval": slices, "value": -0.01})]
    kept(platform, "test", result_against_the_champion(platform))
    kept(platform, "decision", decision.model_copy(update={"gates": (*decision.gates, *gates)}))

    page = text_of(record_page(keep_record(platform.store, platform.plan)))

    assert "-0.010 [-0.200, 0.100] 99.69 %" in page
    folder = platform.home / "store" / "retrains" / platform.retrain_id
    counted, of_slices = json.loads((folder / "record.json").read_text())["gates"]
    assert counted["interval"] is None
    assert of_slices["interval"]["confidence"] == 0.996875


def test_an_approval_adds_who_and_why(platform):
    decision = decided(platform, "hold")
    before = record_page(keep_record(platform.store, platform.plan))
    assert "nobody has answered yet" in text_of(before)

    answer(platform.store, decision, "approved", "A. Person", "small, but <known>")
    after = text_of(record_page(keep_record(platform.store, platform.plan)))

    assert "A. Person" in after
    assert "small, but <known>" in after


def test_an_overtaken_one_is_superseded_whether_it_was_approved_or_not(platform):
    decision = decided(platform, "hold")
    platform.promote(platform.another_bundle(0.3), "7")
    unanswered = decision_record(platform.store, platform.plan)
    assert unanswered.ended == "superseded"
    assert "nobody answered" in text_of(record_page(unanswered))

    answer(platform.store, decision, "approved", "A. Person", "looked at it")
    approved = decision_record(platform.store, platform.plan)

    assert (approved.ended, approved.answer.verdict) == ("superseded", "approved")
    assert "was superseded" in approved.summary
    assert "champion stayed" not in approved.summary


def test_one_that_newer_data_overtook_is_superseded_though_its_gates_passed(platform):
    decided(platform, "promote")
    assert decision_record(platform.store, platform.plan).ended == "passed by all gates"

    assert decision_record(platform.store, platform.plan, "superseded").ended == "superseded"  # about to be
    finish_retrain(platform.store, platform.retrain_id, "superseded", None, ())
    assert decision_record(platform.store, platform.plan).ended == "superseded"


def test_what_nobody_answered_in_time_has_expired(platform):
    decision = decided(platform, "hold", hours=-1)
    unsettled = decision_record(platform.store, platform.plan)
    settled_answer(platform.store, decision)
    settled = decision_record(platform.store, platform.plan)

    for record in (unsettled, settled):
        assert record.ended == "expired"
        assert "expired without an answer" in record.summary
        assert "nobody answered; it could be answered until" in text_of(record_page(record))


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (
            "superseded",
            "Another champion or newer data came before it could be promoted, so its figures no longer count.",
        ),
        ("expired", "expired without an answer"),
    ],
)
def test_what_is_kept_of_a_retrain_that_was_superseded_or_expired_tells_it_a_year_later(platform, ended, said):
    decided(platform, "hold", hours=-1 if ended == "expired" else 1)
    if ended == "superseded":
        platform.promote(platform.another_bundle(0.3), "7")

    keep_record(platform.store, platform.plan)

    folder = platform.home / "store" / "retrains" / platform.retrain_id
    document = json.loads((folder / "record.json").read_text())
    assert (document["ended"], document["outcome"], document["promotion"]) == (ended, "hold", None)
    assert [gate["verdict"] for gate in document["gates"]] == ["not evaluated"]
    assert said in document["summary"]
    shown = text_of((folder / "record.html").read_text(encoding="utf-8"))
    assert said in shown
    assert "nobody answered" in shown


def test_what_was_written_by_people_is_escaped(platform):
    decided(platform, "promote")

    page = record_page(decision_record(platform.store, platform.plan))

    assert "<b>lite0</b>" not in page
    assert "<b>lite0</b>" in text_of(page)


def test_without_a_test_set_it_says_so(platform):
    kept(platform, "test", result_against_the_champion(platform))
    kept(platform, "decision", decision_for(platform, "reject"))

    record = decision_record(platform.store, platform.plan)

    assert "There was no test set" in record.summary
    assert "failed: auroc_floor" in record.summary
    assert "made by hand" in text_of(record_page(record))


def test_a_retrain_without_a_decision_has_no_record(platform):
    with pytest.raises(RetrainError, match="ladnn retrain"):
        decision_record(platform.store, platform.plan)
