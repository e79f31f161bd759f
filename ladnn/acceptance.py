"""What a person accepts by name and reason: append-only logs of acceptances, each under a prefix of the object store."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ladnn.store import ObjectStore
from ladnn.store.log import append_entry, read_entries


class Acceptance(BaseModel):
    """Who accepts something, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field(min_length=1)
    reason: str = Field(min_length=1)


Kind = TypeVar("Kind", bound=Acceptance)


def keep_acceptance(store: ObjectStore, prefix: str, acceptance: Kind) -> Kind:
    """Append an acceptance to the log under a prefix, which ends in a slash, and return it."""
    append_entry(store, prefix, lambda _: acceptance.model_dump(mode="json"))
    return acceptance


def read_acceptances(store: ObjectStore, prefix: str, kind: type[Kind]) -> list[Kind]:
    """Return the acceptances of a log, oldest first."""
    return [kind.model_validate(entry) for entry in read_entries(store, prefix)]
