"""Which retrain this is: its id and plan, the documents its stages leave, and whether there is anything to do.

A retrain is (dataset version, experiment, attempt). Its documents live under `retrains/<id>/`; each is written once,
so a stage that finds its document has nothing left to do. `outcome.json` is the last and ends the retrain.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ladnn.config import ExperimentConfig, Variant
from ladnn.errors import RetrainError
from ladnn.store import ObjectStore, read_json, write_json_if_absent

PREFIX = "retrains/"
_RETRAIN = "r-"
HELD = "held"
"""Document that ends the work of a retrain whose candidate waits for a person."""
REPRODUCTIONS = "reproductions/"
REPRODUCTION = "x-"
"""How the ids of plans begin that are trained to be measured only: no retrain, no history, never a candidate."""


class Plan(BaseModel):
    """What a retrain sets out to do."""

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    attempt: int
    dataset_version: str
    config: ExperimentConfig
    ladnn_version: str
    reason: str
    """What set it off: by hand, schedule, a number of new studies, or drift."""
    planned_at: datetime

    def variant(self, name: str) -> Variant:
        """Return the variant of this name.

        Raises:
            RetrainError: there is none.
        """
        for variant in self.config.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.config.variants)
        raise RetrainError(f"retrain {self.retrain_id} has no variant {name!r}; it has {known}")


class Found(BaseModel):
    """A plan, and whether it is new, was broken off, waits for a person, or has ended before."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    state: Literal["new", "broken off", "waiting", "ended"]


BY_HAND = "by hand"
"""Why a retrain runs that a person has typed."""


def plan_retrain(
    store: ObjectStore,
    dataset_version: str,
    config: ExperimentConfig,
    ladnn_version: str,
    *,
    force: bool,
    reason: str = BY_HAND,
) -> Found:
    """Find the retrain of this data and experiment, or plan one for a reason that is kept with it.

    A retrain that was broken off is taken up again, forced or not. One that ended or waits for a person is planned again
    only by force; one that was superseded or has expired is planned again anyway: its figures are no longer good.
    """
    attempt, latest = 0, None
    while (plan := read_plan(store, _retrain_id(dataset_version, config, attempt + 1))) is not None:
        attempt, latest = attempt + 1, plan
    if latest is not None:
        outcome = read(store, latest.retrain_id, "outcome")
        waits = outcome is None and read(store, latest.retrain_id, HELD) is not None
        if outcome is None and not waits:
            return Found(plan=latest, state="broken off")
        if not force and (waits or outcome["status"] not in {"superseded", "expired"}):
            return Found(plan=latest, state="waiting" if waits else "ended")
    plan = Plan(
        retrain_id=_retrain_id(dataset_version, config, attempt + 1),
        attempt=attempt + 1,
        dataset_version=dataset_version,
        config=config,
        ladnn_version=ladnn_version,
        reason=f"{reason}, forced" if force else reason,
        planned_at=datetime.now(UTC),
    )
    return Found(plan=keep_plan(store, plan), state="new")


def keep_plan(store: ObjectStore, plan: Plan) -> Plan:
    """Write a plan once and return the one that holds: the first that was written."""
    return Plan.model_validate(keep(store, plan.retrain_id, "plan", plan.model_dump(mode="json")))


def read_plan(store: ObjectStore, retrain_id: str) -> Plan | None:
    """Read the plan of a retrain, if there is one."""
    document = read(store, retrain_id, "plan")
    return None if document is None else Plan.model_validate(document)


def required_plan(store: ObjectStore, retrain_id: str) -> Plan:
    """Read the plan of a retrain.

    Raises:
        RetrainError: there is no such retrain.
    """
    plan = read_plan(store, retrain_id)
    if plan is None:
        raise RetrainError(f"there is no retrain {retrain_id}; see `ladnn history`")
    return plan


def chosen_plan(store: ObjectStore, retrain_id: str | None) -> Plan:
    """Return the plan of a retrain; without an id of the one that was planned last.

    Raises:
        RetrainError: there is no such retrain, or none at all.
    """
    if retrain_id is not None:
        return required_plan(store, retrain_id)
    planned = plans(store)
    if not planned:
        raise RetrainError(f"nothing has been retrained in {store.url} yet; run `ladnn retrain --config FILE`")
    return max(planned, key=lambda plan: plan.planned_at)


def read(store: ObjectStore, retrain_id: str, name: str) -> Any:
    """Read a document of a retrain; None where its stage has not finished."""
    key = document_key(retrain_id, name)
    return read_json(store, key) if store.exists(key) else None


def keep(store: ObjectStore, retrain_id: str, name: str, document: Any) -> Any:
    """Write a document once and return the one that holds: the first that was written."""
    key = document_key(retrain_id, name)
    write_json_if_absent(store, key, document)
    return read_json(store, key)


def document_key(retrain_id: str, name: str) -> str:
    """Key of a document, such as `plan` or `variants/efficientnet_lite0-ladnn/trained`."""
    return f"{folder(retrain_id)}{name}.json"


def folder(retrain_id: str) -> str:
    """Prefix of all keys of a retrain, or of a plan of a reproduction."""
    return f"{REPRODUCTIONS if retrain_id.startswith(REPRODUCTION) else PREFIX}{retrain_id}/"


def plans(store: ObjectStore) -> list[Plan]:
    """Return the plans of all retrains."""
    return [required_plan(store, retrain_id) for retrain_id in retrain_ids(store)]


def retrain_ids(store: ObjectStore) -> list[str]:
    """Return the ids of all retrains that were planned."""
    return [key.split("/")[1] for key in store.list(PREFIX) if key.endswith("/plan.json")]


def is_retrain_id(name: str) -> bool:
    """Tell whether a name is formed as the id of a retrain."""
    return name.startswith(_RETRAIN)


def _retrain_id(dataset_version: str, config: ExperimentConfig, attempt: int) -> str:
    digest = hashlib.sha256(f"{dataset_version}:{config.digest}".encode()).hexdigest()[:12]
    return f"{_RETRAIN}{digest}-{attempt}"
