"""What sets off a retrain between the scheduled ones: a number of new studies, or drift."""

from pydantic import BaseModel, ConfigDict

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import load_version
from ladnn.governance.drift.verdict import Action, DriftRecord
from ladnn.intake.catalogue import read_outcomes
from ladnn.registry.drift import Watch
from ladnn.registry.summary import RetrainSummary, status_of
from ladnn.retrain import plans
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

    Drift counts only where there is something new to learn from. Where a site is to be asked first, nothing sets one off.
    """
    n_new = count_new_studies(store, synthetic=config.data.synthetic)
    told = f"{n_new} new {'study' if n_new == 1 else 'studies'} since the last retrain"
    drift = watch.check
    action = drift.verdict.action if drift else Action.NONE
    if drift is not None and action is Action.INVESTIGATE:
        asked = ", ".join(drift.verdict.sites)
        why = f"{told}; drift {drift.id}: ask {asked} what changed before its images are learned from"
        return Trigger(retrain=False, reason=why, n_new_studies=n_new)
    wanted = config.triggers.new_studies
    if wanted is not None and n_new >= wanted:
        return Trigger(retrain=True, reason=f"{told} (triggers.new_studies = {wanted})", n_new_studies=n_new)
    if drift is None or action is not Action.RETRAIN:
        seen = f"drift verdict: {action}" if drift else watch.problem
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

    One that was broken off, or overtaken by another champion, has told nothing of its data.
    """
    told = [plan for plan in plans(store) if status_of(store, plan.retrain_id) not in _TOLD_NOTHING]
    versions = [load_version(store, plan.dataset_version) for plan in told]
    seen = max((version.n_outcomes for version in versions if version.synthetic == synthetic), default=0)
    later = list(read_outcomes(store))[seen:]
    return len({record.study for outcome in later for record in outcome.accepted if record.synthetic == synthetic})
