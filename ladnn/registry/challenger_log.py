"""Challengers: candidates that no gate rejects, registered, and not champion yet; the newest one has the alias.

One is recorded under the number of the champion that it was measured against. Once the promotion log moves on it can no
longer be promoted, and is challenger no more.
"""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from ladnn.governance.decision import read_decision
from ladnn.registry.holds import standing
from ladnn.registry.promotion import champion
from ladnn.retrain import read
from ladnn.store import ObjectStore, read_json, write_json_if_absent

PREFIX = "challengers/"
_OVER = {"rejected", "expired", "superseded"}


class Challenger(BaseModel):
    """A candidate on its way to champion."""

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    bundle_id: str
    model_version: str
    """Version of the registered model in MLflow."""
    against: int
    """Number of the promotion that it was measured against; 0 where there was no champion."""
    synthetic: bool
    named_at: datetime


def name_challenger(
    store: ObjectStore, retrain_id: str, bundle_id: str, model_version: str, against: int, *, synthetic: bool
) -> Challenger:
    """Record a challenger; of several records of a retrain the first one holds."""
    key = f"{PREFIX}{against:06d}-{retrain_id}.json"
    named = Challenger(
        retrain_id=retrain_id,
        bundle_id=bundle_id,
        model_version=model_version,
        against=against,
        synthetic=synthetic,
        named_at=datetime.now(UTC),
    )
    write_json_if_absent(store, key, named.model_dump(mode="json"))
    return Challenger.model_validate(read_json(store, key))


def challenger(store: ObjectStore) -> Challenger | None:
    """Return the newest candidate that can still become champion; None where there is none."""
    current = champion(store)
    keys = store.list(f"{PREFIX}{current.number if current else 0:06d}-")
    named = [Challenger.model_validate(read_json(store, key)) for key in keys]
    return max((item for item in named if not _over(store, item)), key=lambda item: item.named_at, default=None)


def named_challengers(store: ObjectStore) -> list[Challenger]:
    """Return every challenger there ever was."""
    return [Challenger.model_validate(read_json(store, key)) for key in store.list(PREFIX)]


def _over(store: ObjectStore, item: Challenger) -> bool:
    outcome = read(store, item.retrain_id, "outcome")
    if outcome is not None:
        return outcome["status"] in _OVER
    decision = read_decision(store, item.retrain_id)
    return decision is not None and decision.outcome == "hold" and standing(store, decision) in _OVER
