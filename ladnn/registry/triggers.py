"""What sets off a retrain between the scheduled ones: a number of new studies, or drift."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import document_key, load_version, manifest_images
from ladnn.errors import StoreError
from ladnn.governance.drift.acceptance import acceptances_of, sites_to_ask
from ladnn.governance.drift.verdict import Action, DriftRecord
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.record import Outcome
from ladnn.progress import say
from ladnn.registry.drift import Watch
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
    """Find out whether anything sets off a retrain.

    Drift counts only where there is something new to learn from. Where a site is to be asked first, nothing sets one off
    until a person accepts what moved there.
    """
    n_new = count_new_studies(store, synthetic=config.data.synthetic)
    told = f"{n_new} new {'study' if n_new == 1 else 'studies'} since the last retrain"
    drift = watch.check
    action = drift.verdict.action if drift else Action.NONE
    if drift is not None and (asked := sites_to_ask(store, drift)):
        why = (
            f"{told}; drift {drift.id}: ask {', '.join(asked)} what changed before its images are learned from, "
            f"then `ladnn drift accept {drift.id}`"
        )
        return Trigger(retrain=False, reason=why, n_new_studies=n_new)
    wanted = config.triggers.new_studies
    if wanted is not None and n_new >= wanted:
        return Trigger(retrain=True, reason=f"{told} (triggers.new_studies = {wanted})", n_new_studies=n_new)
    if drift is None or action is not Action.RETRAIN:
        seen = _seen(store, drift) if drift else watch.problem
        return Trigger(retrain=False, reason=f"{told}; {seen}", n_new_studies=n_new)
    if not config.triggers.drift:
        return Trigger(retrain=False, reason=f"{told}; drift, but triggers.drift is off", n_new_studies=n_new)
    if n_new == 0:
        return Trigger(
            retrain=False,
            reason=f"{told}; drift, but nothing new to learn from: contribute such cases",
            n_new_studies=0,
        )
    return Trigger(retrain=True, reason=f"drift {drift.id}: {drift.verdict.reason}", n_new_studies=n_new)


def count_new_studies(store: ObjectStore, *, synthetic: bool) -> int:
    """Count studies accepted since the data of the retrain that saw most of them and ended, or waits for a person.

    One that was broken off, or overtaken by another champion, has told nothing of its data. Of a lost or damaged dataset
    version it is said what is lost, and its images tell what it saw.
    """
    outcomes = list(read_outcomes(store))
    told = [plan for plan in plans(store) if plan.config.data.synthetic == synthetic]
    seen_by = {plan.dataset_version: plan for plan in told if status_of(store, plan.retrain_id) not in _TOLD_NOTHING}
    later = outcomes[max((_n_seen(store, plan, outcomes) for plan in seen_by.values()), default=0) :]
    return len({record.study for outcome in later for record in outcome.accepted if record.synthetic == synthetic})


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
