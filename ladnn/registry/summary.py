"""What a retrain came to, read back from the documents that its stages left."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.dataset.shortcuts.audit import ShortcutAudit, read_audit
from ladnn.dataset.version import DatasetVersion, load_version
from ladnn.evaluation.comparison import Comparison, read_comparisons
from ladnn.evaluation.metrics import LesionMetrics
from ladnn.evaluation.seeds import SeedSpread, spread_by_group
from ladnn.evaluation.selection import Selection, read_selection
from ladnn.evaluation.validation import read_validated, sampling_of
from ladnn.governance.approval import Answer, read_answer
from ladnn.governance.decision import Decision, read_decision
from ladnn.registry.holds import standing
from ladnn.registry.promotion import Promotion, champion, promotions
from ladnn.retrain import HELD, Plan, keep, plans, read, retrain_ids
from ladnn.statistics import Interval
from ladnn.store import ObjectStore
from ladnn.training.result import read_trained

Status = Literal["promoted", "rejected", "expired", "superseded"]
"""How a retrain ends; `rejected` by the gates or by a person, `expired` where nobody answered."""


class StageTime(BaseModel):
    """Wall-clock time of one stage in the run that finished the retrain."""

    model_config = ConfigDict(frozen=True)

    name: str
    seconds: float


class Outcome(BaseModel):
    """How a retrain ended."""

    model_config = ConfigDict(frozen=True)

    status: Status
    model_version: str | None
    stages: tuple[StageTime, ...]
    finished_at: datetime


class Held(BaseModel):
    """What a retrain that waits for a person had done when it began to wait."""

    model_config = ConfigDict(frozen=True)

    stages: tuple[StageTime, ...]
    held_at: datetime


class VariantSummary(BaseModel):
    """A variant on validation."""

    model_config = ConfigDict(frozen=True)

    name: str
    backbone: str
    task: str
    auroc: Interval
    sensitivity: Interval
    specificity: Interval
    f1: Interval
    accuracy: Interval
    ece: Interval
    threshold: float
    lesions: dict[str, LesionMetrics] | None
    seconds: float


class RetrainSummary(BaseModel):
    """All that a person or a program asks of a retrain."""

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    status: str
    """promoted, rejected, held, approved (about to be promoted), expired, superseded, unfinished, or nothing new."""
    reason: str
    """What set it off: by hand, schedule, a number of new studies, or drift."""
    dataset_version: str
    dataset: DatasetVersion
    variants: tuple[VariantSummary, ...]
    seeds: tuple[SeedSpread, ...]
    """Validation AUROC over the seeds of each backbone and task."""
    comparisons: tuple[Comparison, ...]
    """Validation AUROC of ladnn against baseline, by backbone, mean over seeds."""
    selection: Selection | None
    """Which variant became the candidate, why, and how much the choice flatters."""
    canonical_form: bool
    """Whether the network was shown the lung field in a standard form, or the pictures as they are."""
    audit: ShortcutAudit | None
    """How well the diagnosis can be predicted without the disease."""
    decision: Decision | None
    approval: Answer | None
    """What a person said of a held candidate."""
    model_version: str | None
    """Version that this retrain promoted."""
    champion: Promotion | None
    stages: tuple[StageTime, ...]
    finished_at: datetime | None

    @property
    def waits_until(self) -> datetime | None:
        """When a candidate that waits for a person expires."""
        return self.decision.expires_at if self.decision and self.status == "held" else None


def finish_retrain(
    store: ObjectStore, retrain_id: str, status: Status, model_version: str | None, stages: tuple[StageTime, ...]
) -> Outcome:
    """Record how a retrain ended; the first record holds."""
    outcome = Outcome(status=status, model_version=model_version, stages=stages, finished_at=datetime.now(UTC))
    return Outcome.model_validate(keep(store, retrain_id, "outcome", outcome.model_dump(mode="json")))


def begin_wait(store: ObjectStore, retrain_id: str, stages: tuple[StageTime, ...]) -> Held:
    """Record that all is done but what a person decides; the first record holds."""
    held = Held(stages=stages, held_at=datetime.now(UTC))
    return Held.model_validate(keep(store, retrain_id, HELD, held.model_dump(mode="json")))


def read_held(store: ObjectStore, retrain_id: str) -> Held | None:
    """Read what a retrain had done when it began to wait for a person; None where it never did."""
    document = read(store, retrain_id, HELD)
    return None if document is None else Held.model_validate(document)


def read_outcome(store: ObjectStore, retrain_id: str) -> Outcome | None:
    """Read how a retrain ended; None while it has not."""
    document = read(store, retrain_id, "outcome")
    return None if document is None else Outcome.model_validate(document)


def unfinished_before(store: ObjectStore, current: Plan) -> list[Plan]:
    """Return the plans of the same experiment on other data that newer data overtook: no outcome, and no hold."""
    return [
        plan
        for plan in plans(store)
        if plan.retrain_id != current.retrain_id
        and plan.config.digest == current.config.digest
        and read_outcome(store, plan.retrain_id) is None
        and not ((decision := read_decision(store, plan.retrain_id)) and decision.outcome == "hold")
    ]


def open_holds(store: ObjectStore) -> list[Decision]:
    """Return the held decisions whose retrain has not ended, oldest first."""
    decisions = (read_decision(store, name) for name in retrain_ids(store) if read_outcome(store, name) is None)
    held = [decision for decision in decisions if decision is not None and decision.outcome == "hold"]
    return sorted(held, key=lambda decision: decision.decided_at)


def waiting(store: ObjectStore) -> list[Decision]:
    """Return the held decisions that a person can still answer, oldest first."""
    return [decision for decision in open_holds(store) if standing(store, decision) == "held"]


def summarise(store: ObjectStore, plan: Plan, status: str | None = None) -> RetrainSummary:
    """Gather what a retrain left behind; `status` replaces the recorded one."""
    outcome, held = read_outcome(store, plan.retrain_id), read_held(store, plan.retrain_id)
    variants = tuple(v for variant in plan.config.variants if (v := _variant(store, plan, variant.name)) is not None)
    sampling = sampling_of(plan.config.evaluation, plan.config.seed)
    groups = {variant.name: variant.group for variant in plan.config.variants}
    return RetrainSummary(
        retrain_id=plan.retrain_id,
        status=status or status_of(store, plan.retrain_id),
        reason=plan.reason,
        dataset_version=plan.dataset_version,
        dataset=load_version(store, plan.dataset_version),
        variants=variants,
        seeds=tuple(spread_by_group((groups[v.name], v.auroc.value) for v in variants).values()),
        comparisons=read_comparisons(store, plan.retrain_id),
        selection=read_selection(store, plan.retrain_id),
        canonical_form=plan.config.training.canonical_form,
        audit=read_audit(store, plan.dataset_version, plan.config.audit, sampling),
        decision=read_decision(store, plan.retrain_id),
        approval=read_answer(store, plan.retrain_id),
        model_version=promoted_version(store, plan.retrain_id),
        champion=champion(store),
        stages=ended.stages if (ended := outcome or held) else (),
        finished_at=outcome.finished_at if outcome else None,
    )


def status_of(store: ObjectStore, retrain_id: str) -> str:
    """Tell where a retrain stands: how it ended, where a held one stands, or unfinished."""
    if (outcome := read_outcome(store, retrain_id)) is not None:
        return outcome.status
    decision = read_decision(store, retrain_id)
    return standing(store, decision) if decision and decision.outcome == "hold" else "unfinished"


def promoted_version(store: ObjectStore, retrain_id: str) -> str | None:
    """Return the model version that a retrain promoted, if it promoted one."""
    own = (record for record in promotions(store) if record.action == "promote" and record.retrain_id == retrain_id)
    return next((record.model_version for record in own), None)


def _variant(store: ObjectStore, plan: Plan, name: str) -> VariantSummary | None:
    validated = read_validated(store, plan.retrain_id, name)
    trained = read_trained(store, plan.retrain_id, name)
    if validated is None or trained is None:
        return None
    diagnosis = validated.scores.diagnosis
    return VariantSummary(
        name=name,
        backbone=validated.variant.backbone,
        task=validated.variant.task,
        auroc=diagnosis.auroc,
        sensitivity=diagnosis.sensitivity,
        specificity=diagnosis.specificity,
        f1=diagnosis.f1,
        accuracy=diagnosis.accuracy,
        ece=diagnosis.ece,
        threshold=validated.threshold,
        lesions=validated.scores.lesions,
        seconds=trained.seconds,
    )
