"""The decision record of a retrain: everything that was decided, on what, and by whom, in one document and one page.

`retrains/<id>/record.json` and `record.html` are put together from the documents that the stages left, each written
once; they are written anew when a person's answer, a promotion or a rollback adds to them.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ladnn.config import Policy
from ladnn.dataset.version import load_version
from ladnn.errors import RetrainError
from ladnn.evaluation.metrics import DiagnosisMetrics
from ladnn.evaluation.paired import AurocDifference
from ladnn.governance.approval import Answer, read_answer
from ladnn.governance.change_control import ChangeSheet
from ladnn.governance.decision import read_decision
from ladnn.governance.gates.evidence import Retention
from ladnn.governance.gates.verdicts import GateResult, Verdict
from ladnn.page import render_page
from ladnn.registry.promotion import Promotion, promotions
from ladnn.registry.summary import status_of
from ladnn.registry.test_set import read_test_result
from ladnn.registry.withdrawal import rolled_back, told
from ladnn.retrain import Plan, document_key, folder
from ladnn.store import ObjectStore, canonical_json

_BY_GATES = {"promote": "passed by all gates", "reject": "rejected", "hold": "held for a person"}


class DecisionRecord(BaseModel):
    """What a regulator asks of a retrain.

    Attributes:
        ended: promoted, rejected, expired, superseded, or on its way: held for a person, approved, passed by all gates.
        summary: all of it in a few plain sentences.
        trigger: why there was a retrain.
        test_version: of the test set; `openings` counts the retrains that looked at one of its patients, this time included, on average.
        shut: why the test set was not opened; None where it was, or where there is none.
        champion: the model that the candidate was compared with; None for a first one.
        retention: both models on the previous and the new test set, and what new data and new model brought; None where there
            was nothing to compare.
        answer: of a person, where one was asked.
        promotion: record of the promotion log, where it was promoted.
        withdrawal: the record that took the model out of service again; None where nobody did, or where it came back.
    """

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    ended: str
    summary: str
    trigger: str
    planned_at: datetime
    decided_at: datetime
    ladnn_version: str
    config_digest: str
    dataset_version: str
    test_version: str
    openings: float
    shut: str | None
    variant: str
    bundle_id: str
    champion: Promotion | None
    candidate_metrics: DiagnosisMetrics | None
    champion_metrics: DiagnosisMetrics | None
    auroc_difference: AurocDifference | None
    retention: Retention | None
    outcome: str
    policy: Policy
    expires_at: datetime | None
    reasons: tuple[str, ...]
    gates: tuple[GateResult, ...]
    changes: ChangeSheet | None
    answer: Answer | None
    promotion: Promotion | None
    withdrawal: Promotion | None


def decision_record(store: ObjectStore, plan: Plan, status: str | None = None) -> DecisionRecord:
    """Put the record of a retrain together; `status` says how it is about to end, or else it tells where it stands.

    Raises:
        RetrainError: it has not come to a decision.
    """
    decision, test = read_decision(store, plan.retrain_id), read_test_result(store, plan.retrain_id)
    if decision is None or test is None:
        raise RetrainError(f"retrain {plan.retrain_id} has not come to a decision; run `ladnn retrain` to finish it")
    answer = read_answer(store, plan.retrain_id)
    log = promotions(store)
    promoted = next((item for item in log if item.retrain_id == plan.retrain_id), None)
    record = DecisionRecord(
        retrain_id=plan.retrain_id,
        ended="promoted" if promoted else _ended(decision.outcome, status or status_of(store, plan.retrain_id)),
        summary="",
        trigger=plan.reason,
        planned_at=plan.planned_at,
        decided_at=decision.decided_at,
        ladnn_version=plan.ladnn_version,
        config_digest=plan.config.digest,
        dataset_version=plan.dataset_version,
        test_version=load_version(store, plan.dataset_version).test_version,
        openings=test.evidence.openings,
        shut=test.evidence.shut,
        variant=decision.variant,
        bundle_id=decision.bundle_id,
        champion=test.champion,
        candidate_metrics=test.candidate_scores.diagnosis if test.candidate_scores else None,
        champion_metrics=test.champion_scores.diagnosis if test.champion_scores else None,
        auroc_difference=test.difference,
        retention=test.evidence.retention,
        outcome=decision.outcome,
        policy=decision.policy,
        expires_at=decision.expires_at,
        reasons=decision.reasons,
        gates=decision.gates,
        changes=decision.changes,
        answer=answer,
        promotion=promoted,
        withdrawal=rolled_back(log, {promoted.bundle_id}) if promoted else None,
    )
    return record.model_copy(update={"summary": _summary(record)})


def record_page(record: DecisionRecord) -> str:
    """Return the record as an HTML page that needs no network."""
    return render_page(__package__, "decision_record.html", record=record)


def keep_record(store: ObjectStore, plan: Plan, status: str | None = None) -> DecisionRecord:
    """Put a record together, as `decision_record` does, and write it and its page to the store.

    Raises:
        RetrainError: the retrain has not come to a decision.
    """
    record = decision_record(store, plan, status)
    store.put(document_key(plan.retrain_id, "record"), canonical_json(record.model_dump(mode="json")))
    store.put(f"{folder(plan.retrain_id)}record.html", record_page(record).encode())
    return record


def _ended(outcome: str, status: str) -> str:
    """Tell how a candidate ended that was not promoted, or not yet."""
    return _BY_GATES[outcome] if status in {"held", "unfinished"} else status


def _summary(record: DecisionRecord) -> str:
    against = (
        f"compared with the champion, model version {record.champion.model_version}"
        if record.champion
        else "with no champion to compare with"
    )
    measured = record.candidate_metrics
    on_test = (
        f"On {measured.n_images} test images of {measured.n_patients} patients its AUROC was {measured.auroc}."
        if measured
        else f"The test set was not opened: {record.shut}."
        if record.shut
        else "There was no test set to measure it on."
    )
    ended = "expired without an answer" if record.ended == "expired" else f"was {record.ended}"
    return f"The candidate {record.variant} {ended}, {against}. {on_test} {_gates(record)} {_by(record)}".strip()


def _gates(record: DecisionRecord) -> str:
    named = {
        verdict: [gate.name for gate in record.gates if gate.verdict is verdict]
        for verdict in (Verdict.FAIL, Verdict.NOT_EVALUATED)
    }
    said = [f"{len(record.gates) - sum(map(len, named.values()))} of {len(record.gates)} gates passed"]
    said += [f"failed: {', '.join(named[Verdict.FAIL])}"] if named[Verdict.FAIL] else []
    open_ones = "not run" if record.shut else "left to a person" if record.outcome == "hold" else "not evaluated"
    said += [f"{open_ones}: {', '.join(named[Verdict.NOT_EVALUATED])}"] if named[Verdict.NOT_EVALUATED] else []
    return "; ".join(said) + "."


def _by(record: DecisionRecord) -> str:
    if record.ended == "superseded":
        return "Another champion or newer data came before it could be promoted, so its figures no longer count."
    if record.promotion is None:
        return "The champion stayed." if record.champion else "No model was promoted."
    done = record.promotion
    said = f"Promoted as model version {done.model_version} by {done.by}: {done.reason.rstrip('.')}."
    return f"{said} Withdrawn by {told(record.withdrawal).rstrip('.')}." if record.withdrawal else said
