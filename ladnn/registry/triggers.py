"""What sets off a retrain between the scheduled ones: a number of new studies, or drift."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import document_key, load_version, manifest_images
from ladnn.errors import StoreError
from ladnn.governance.drift.acceptance import acceptances_of, sites_to_ask
from ladnn.governance.drift.comparison import Stream
from ladnn.governance.drift.sample import Family, family_of
from ladnn.governance.drift.verdict import Action, DriftRecord
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.record import Outcome
from ladnn.progress import say
from ladnn.registry.drift import Watch, checks
from ladnn.registry.summary import RetrainSummary, status_of
from ladnn.retrain import Plan, plans
from ladnn.store import ObjectStore

_TOLD_NOTHING = {"unfinished", "superseded"}


class Trigger(BaseModel):
    """Whether to retrain, and why."""

    model_config = ConfigDict(frozen=True)

    retrain: bool
    reason: str
    n_new_studies: int
    """Accepted since the data of the last retrain that ended or waits for a person."""


class Monitored(BaseModel):
    """What one run of the monitor came to."""

    model_config = ConfigDict(frozen=True)

    drift: DriftRecord | None
    drift_problem: str | None
    """Why there is no check for drift, such as that there is no champion."""
    trigger: Trigger
    retrain: RetrainSummary | None
    """What the retrain came to that was set off; None without one, or where a deployment of its own runs it."""


def find_trigger(store: ObjectStore, config: ExperimentConfig, watch: Watch) -> Trigger:
    """Find out whether anything sets off a retrain; the reason names all that does.

    Drift counts only where there is something new to learn from, and once: see `_why_drift_waits`. Where a site is to be
    asked first, nothing sets one off until a person accepts what moved there.
    """
    n_new = count_new_studies(store, synthetic=config.data.synthetic)
    told = f"{n_new} new {'study' if n_new == 1 else 'studies'} since the last retrain"
    drift, wanted = watch.check, config.triggers.new_studies
    if drift is not None and (asked := sites_to_ask(store, drift)):
        why = (
            f"{told}; drift {drift.id}: ask {', '.join(asked)} what changed before its images are learned from, "
            f"then `ladnn drift accept {drift.id}`"
        )
        return Trigger(retrain=False, reason=why, n_new_studies=n_new)
    enough = wanted is not None and n_new >= wanted
    if drift is None or drift.verdict.action is not Action.RETRAIN:
        waits = _seen(store, drift) if drift else watch.problem
    else:
        waits = _why_drift_waits(store, config, drift, n_new)
    by_drift = f"drift {drift.id}: {drift.verdict.reason}" if drift and waits is None else None
    by_number = f"{told} (triggers.new_studies = {wanted})" if enough else None
    if set_off_by := [reason for reason in (by_number, by_drift) if reason]:
        return Trigger(retrain=True, reason="; ".join(set_off_by), n_new_studies=n_new)
    return Trigger(retrain=False, reason=f"{told}; {waits}", n_new_studies=n_new)


def _why_drift_waits(store: ObjectStore, config: ExperimentConfig, drift: DriftRecord, n_new: int) -> str | None:
    """Tell why a verdict `retrain` sets nothing off now; None where it does.

    A retrain that was planned when the same had moved already, and came to something, has answered it: while the champion
    stays, a few more studies of the same kind would give the same answer. What is new is another family of
    properties, or as many studies as a comparison needs.
    """
    if not config.triggers.drift:
        return "drift, but triggers.drift is off"
    if n_new == 0:
        return "drift, but nothing new to learn from: contribute such cases"
    last = max(_told_plans(store, synthetic=config.data.synthetic), key=lambda plan: plan.planned_at, default=None)
    least = drift.config.min_patients
    if last is not None and n_new < least and _had_moved(store, drift, last.planned_at):
        return (
            f"drift {drift.id}, but retrain {last.retrain_id} has answered it: waits until something else moves, or for "
            f"{least} new studies (drift.min_patients)"
        )
    return None


def _had_moved(store: ObjectStore, drift: DriftRecord, before: datetime) -> bool:
    """Tell whether checks of the same champion before a time said to retrain for all that moves now."""
    earlier = (item for item in checks(store) if item.bundle_id == drift.bundle_id and item.checked_at < before)
    known = [_moved(item) for item in earlier if item.verdict.action is Action.RETRAIN]
    return bool(known) and _moved(drift) <= set().union(*known)


def _moved(record: DriftRecord) -> set[tuple[Stream, Family]]:
    """Return what moved, by stream and family."""
    return {(item.stream, family_of(moved.name)) for item in record.comparisons for moved in item.moved}


def count_new_studies(store: ObjectStore, *, synthetic: bool) -> int:
    """Count studies accepted since the data of the retrain that saw most of them and ended, or waits for a person.

    One that was broken off, or overtaken by another champion, has told nothing of its data. Of a lost or damaged dataset
    version it is said what is lost, and its images tell what it saw.
    """
    outcomes = list(read_outcomes(store))
    seen_by = {plan.dataset_version: plan for plan in _told_plans(store, synthetic=synthetic)}
    later = outcomes[max((_n_seen(store, plan, outcomes) for plan in seen_by.values()), default=0) :]
    return len({record.study for outcome in later for record in outcome.accepted if record.synthetic == synthetic})


def _told_plans(store: ObjectStore, *, synthetic: bool) -> list[Plan]:
    """Return the plans of the retrains that ended with an answer, or wait for a person."""
    of_kind = (plan for plan in plans(store) if plan.config.data.synthetic == synthetic)
    return [plan for plan in of_kind if status_of(store, plan.retrain_id) not in _TOLD_NOTHING]


def _n_seen(store: ObjectStore, plan: Plan, outcomes: Sequence[Outcome]) -> int:
    """Return how many outcomes of intake there were when the data of a retrain were frozen."""
    version_id = plan.dataset_version
    try:
        return load_version(store, version_id).n_outcomes
    except StoreError as error:
        lost = f"dataset version {version_id} of retrain {plan.retrain_id} cannot be read: {error}"
    try:
        images = manifest_images(store, version_id)
    except StoreError as error:
        images = set()
        lost += f"; nor its manifest, so what that retrain saw counts as new unless a later one saw it: {error}"
    say(f"  {lost}; restore {document_key(version_id, '')} from backup")
    holding = (n for n, outcome in enumerate(outcomes, 1) if any(record.image in images for record in outcome.accepted))
    return max(holding, default=0)


def _seen(store: ObjectStore, drift: DriftRecord) -> str:
    accepted = [
        f"{', '.join(item.moved)} accepted by {item.by}: {item.reason}" for item in acceptances_of(store, drift)
    ]
    return "; ".join([f"drift verdict: {drift.verdict.action}", *accepted])
