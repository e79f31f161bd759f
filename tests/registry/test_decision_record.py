"""The decision record: everything that was decided, on what, and by whom; readable a year later."""

import json

import pytest
from challengers import decision_for, result_against_the_champion
from decided_retrains import decided, kept, promoted, text_of

from ladnn.errors import RetrainError
from ladnn.governance.approval import answer
from ladnn.registry.decision_record import decision_record, keep_record, record_page


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
    assert set(document["gates"][0]) >= {"name", "value", "limit", "interval", "n", "verdict", "reason"}
    shown = text_of((folder / "record.html").read_text(encoding="utf-8"))
    for word in (gate.reason, "auroc floor", "0.75", platform.bundle_id, record.dataset_version, record.summary):
        assert str(word) in shown


def test_an_approval_adds_who_and_why(platform):
    decision = decided(platform, "hold")
    before = record_page(keep_record(platform.store, platform.plan))
    assert "nobody has answered yet" in text_of(before)

    answer(platform.store, decision, "approved", "A. Person", "small, but <known>")
    after = text_of(record_page(keep_record(platform.store, platform.plan)))

    assert "A. Person" in after
    assert "small, but <known>" in after


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
