"""A person's answer to a held candidate: given once, by name and reason, in time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ladnn.errors import ApprovalError, GateError
from ladnn.governance.approval import answer, read_answer, required_answer, settled_answer
from ladnn.governance.decision import Decision
from ladnn.governance.gates.verdicts import GateResult, Verdict


def gate(name, verdict):
    return GateResult(name=name, value=None, limit=None, interval=None, n=0, verdict=verdict, reason="made by hand")


def decided(outcome="hold", hours=1.0):
    now = datetime.now(UTC)
    gates = (gate("auroc_floor", Verdict.PASS), gate("shortcut_audit", Verdict.NOT_EVALUATED))
    return Decision(
        retrain_id="r-1",
        variant="lite0-ladnn",
        bundle_id="b-1",
        outcome=outcome,
        policy="automatic",
        gates=gates,
        reasons=("shortcut_audit: made by hand",),
        decided_at=now,
        expires_at=now + timedelta(hours=hours) if outcome == "hold" else None,
    )


def test_an_approval_says_who_why_when_and_what_was_accepted(store):
    given = answer(store, decided(), "approved", "A. Person", "looked at the borders")

    assert (given.verdict, given.by, given.reason) == ("approved", "A. Person", "looked at the borders")
    assert given.accepted == ("shortcut_audit",)
    assert given.answered_at.utcoffset() == timedelta(0)
    assert read_answer(store, "r-1") == required_answer(store, "r-1") == given


def test_a_rejection_accepts_nothing(file_store):
    assert answer(file_store, decided(), "rejected", "A. Person", "not on these data").accepted == ()


def test_the_same_answer_again_returns_the_first(store):
    first = answer(store, decided(), "approved", "A. Person", "small test set")

    assert answer(store, decided(), "approved", "B. Other", "me too") == first


@pytest.mark.parametrize(("first", "second"), [("approved", "rejected"), ("rejected", "approved")])
def test_the_opposite_answer_is_refused_and_names_the_first(file_store, first, second):
    given = answer(file_store, decided(), first, "A. Person", "small test set")

    with pytest.raises(ApprovalError, match=f"{first} by A. Person .*small test set; the first answer holds"):
        answer(file_store, decided(), second, "B. Other", "I differ")
    assert read_answer(file_store, "r-1") == given


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
@pytest.mark.parametrize("outcome", ["promote", "reject"])
def test_only_a_hold_can_be_answered(file_store, outcome, verdict):
    way = "`ladnn promote r-1` finishes it" if outcome == "promote" else "nothing to approve or reject"
    with pytest.raises(GateError, match=f"not held, its decision is {outcome}; {way}"):
        answer(file_store, decided(outcome), verdict, "A. Person", "looks good")
    assert read_answer(file_store, "r-1") is None


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("A. Person", ""), ("  ", "why"), ("A. Person", "\t\n")])
def test_an_answer_needs_a_person_and_a_reason(file_store, by, reason):
    with pytest.raises(GateError, match="--by and --reason"):
        answer(file_store, decided(), "approved", by, reason)
    assert read_answer(file_store, "r-1") is None


def test_past_the_deadline_it_has_expired_and_the_remedy_is_named(store):
    with pytest.raises(ApprovalError, match=r"has expired.*`ladnn retrain` again"):
        answer(store, decided(hours=-1), "approved", "A. Person", "late")
    expired = read_answer(store, "r-1")
    assert (expired.verdict, expired.by, expired.accepted) == ("expired", "nobody", ())
    with pytest.raises(ApprovalError, match="has expired"):
        answer(store, decided(hours=-1), "rejected", "A. Person", "later")


def test_an_answer_in_time_holds_past_the_deadline(file_store):
    given = answer(file_store, decided(), "approved", "A. Person", "in time")

    assert settled_answer(file_store, decided(hours=-1)) == given
    assert answer(file_store, decided(hours=-1), "approved", "A. Person", "again") == given


def test_before_the_deadline_nothing_is_settled(file_store):
    assert settled_answer(file_store, decided()) is None
    with pytest.raises(ApprovalError, match="nobody has answered"):
        required_answer(file_store, "r-1")


def test_of_many_answers_at_once_one_holds(store):
    def give(number):
        try:
            return answer(store, decided(), ("approved", "rejected")[number % 2], f"Person {number}", "at once")
        except ApprovalError:
            return None

    with ThreadPoolExecutor(8) as pool:
        given = [found for found in pool.map(give, range(16)) if found is not None]

    assert set(given) == {read_answer(store, "r-1")}
