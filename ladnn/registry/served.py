"""What the service has seen: append-only batches under `served/`, without pixels, file names or identifiers.

`served/2026-11-25/<time>-<random>.json` holds predictions; no batch is ever changed.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from ladnn.store import ObjectStore, read_json, write_json

PREFIX = "served/"


class ServedPrediction(BaseModel):
    """One answer of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    """UTC."""
    request: str
    """Random; what images of one request share."""
    model_version: str
    bundle_id: str
    probabilities: dict[str, float]
    """By label."""
    acquisition: dict[str, str | float | int]
    """Size, format and technical DICOM attributes."""
    intensity: dict[str, float]
    embedding: tuple[float, ...] | None
    """Principal components of the backbone's features; None before the first check for drift has fitted them."""


class ServedBatch(BaseModel):
    """Answers that were written together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ladnn-served/1"] = "ladnn-served/1"
    predictions: tuple[ServedPrediction, ...]


def append_served(store: ObjectStore, predictions: Sequence[ServedPrediction]) -> str:
    """Write a batch under a name of its own and return its key."""
    now = datetime.now(UTC)
    key = f"{PREFIX}{now:%Y-%m-%d}/{now:%H%M%S}-{uuid4().hex[:12]}.json"
    write_json(store, key, ServedBatch(predictions=tuple(predictions)).model_dump(mode="json"))
    return key


def served_keys(store: ObjectStore, days: int, now: datetime | None = None) -> list[str]:
    """Return the keys of the batches of the last days."""
    first = (now or datetime.now(UTC)) - timedelta(days=days)
    return list(store.list(PREFIX, start_after=f"{PREFIX}{first:%Y-%m-%d}"))


def read_served(store: ObjectStore, keys: Sequence[str], bundle_id: str) -> Iterator[ServedPrediction]:
    """Yield what one model answered in these batches."""
    for key in keys:
        batch = ServedBatch.model_validate(read_json(store, key))
        yield from (item for item in batch.predictions if item.bundle_id == bundle_id)
