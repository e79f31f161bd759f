"""The promotion log: numbered records, created only if absent. It is the truth about which model is champion.

MLflow's aliases follow it (`ladnn.registry.model_versions`); a service needs nothing but this log and the bundles.
"""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.errors import NoChampionError, PromotionConflictError
from ladnn.store import ObjectStore, read_json, write_json_if_absent

_LOG = "promotions/"


class Proposal(BaseModel):
    """What is to become champion, and why."""

    model_config = ConfigDict(frozen=True)

    action: Literal["promote", "rollback"] = "promote"
    bundle_id: str
    model_version: str
    """Version of the registered model in MLflow."""
    retrain_id: str
    synthetic: bool
    by: str
    reason: str


class Promotion(Proposal):
    """One record of the log."""

    number: int
    """Place in the log, from 1."""
    at: datetime


def promotions(store: ObjectStore) -> list[Promotion]:
    """Return the whole log, oldest first."""
    return [Promotion.model_validate(read_json(store, key)) for key in store.list(_LOG)]


def champion(store: ObjectStore) -> Promotion | None:
    """Return the record that holds now, or None before the first promotion."""
    keys = list(store.list(_LOG))
    return Promotion.model_validate(read_json(store, keys[-1])) if keys else None


def required_champion(store: ObjectStore) -> Promotion:
    """Return the record that holds now.

    Raises:
        NoChampionError: nothing has been promoted yet.
    """
    current = champion(store)
    if current is None:
        raise NoChampionError(
            f"no model has been promoted in {store.url}; run `ladnn retrain` first, or set LADNN_HOME"
        )
    return current


def promote(store: ObjectStore, proposal: Proposal, expected: int) -> Promotion:
    """Append a record if the log still ends where the caller saw it end (compare-and-set).

    A repeated call for a retrain that has its record already returns that record.

    Args:
        store: holds the log.
        proposal: the new champion.
        expected: number of the record that the decision was based on; 0 for none.

    Raises:
        PromotionConflictError: somebody else promoted first, or this is another log.
    """
    log = promotions(store)
    if expected > len(log):
        raise PromotionConflictError(
            f"the promotion log of {store.url} ends at {len(log)}, not at {expected}; is LADNN_STORE_URL the same?"
        )
    for record in log[expected:]:
        if proposal.action == "promote" and record.retrain_id == proposal.retrain_id:
            return record
    record = Promotion(number=expected + 1, at=datetime.now(UTC), **proposal.model_dump())
    if write_json_if_absent(store, f"{_LOG}{record.number:06d}.json", record.model_dump(mode="json")):
        return record
    raise PromotionConflictError(
        f"the champion changed since retrain {proposal.retrain_id} was measured (record {record.number} exists); "
        "run the same command again to measure against the new champion"
    )
