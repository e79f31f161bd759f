"""Where a held candidate stands: waiting for a person, answered, expired, or overtaken by another champion."""

from typing import Literal

from ladnn.governance.approval import is_overdue, read_answer
from ladnn.governance.decision import Decision
from ladnn.registry import promotion
from ladnn.registry.promotion import promotions
from ladnn.registry.test_set import required_test_result
from ladnn.store import ObjectStore

Standing = Literal["held", "approved", "rejected", "expired", "superseded"]


def standing(store: ObjectStore, decision: Decision) -> Standing:
    """Tell where a held candidate stands; only one that is `held` can be approved, `approved` is about to be promoted."""
    given = read_answer(store, decision.retrain_id)
    if given is not None and given.verdict != "approved":
        return given.verdict
    if is_overtaken(store, decision):
        return "superseded"
    if given is not None:
        return given.verdict
    return "expired" if is_overdue(decision) else "held"


def is_overtaken(store: ObjectStore, decision: Decision) -> bool:
    """Tell whether the champion changed since the candidate was measured, other than by its own promotion."""
    measured = required_test_result(store, decision.retrain_id).champion
    return promotion.is_overtaken(promotions(store), decision.retrain_id, measured)
