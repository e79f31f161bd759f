"""The promotion log: numbered records, created only if absent. It is the truth about which model is champion.

MLflow's aliases follow it (`ladnn.registry.model_versions`); a service needs nothing but this log and the bundles.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ladnn.errors import NoChampionError, PromotionConflictError, PromotionLogError, StoreAccessError, StoreError
from ladnn.store import ObjectStore, read_json, write_json_if_absent
from ladnn.store.log import length_key, note_length, noted_length

_LOG = "promotions/"
_RESTORE = "restore it from backup"
_RECORD = re.compile(rf"{_LOG}(\d+)\.json")


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
    """Return the whole log, oldest first.

    Raises:
        PromotionLogError: a record is missing, or is none.
    """
    n_written = _n_written(store)  # before the log is listed: another process may append to it
    log = [_read(store, key) for key in _keys(store)]
    for number, record in enumerate(log, start=1):
        if record.number != number:
            raise _lost(store, number)
    if n_written > len(log):
        raise _lost(store, len(log) + 1, f"; without one delete {length_key(_LOG)}, and decide again")
    return log


def is_damaged(store: ObjectStore, number: int) -> bool:
    """Tell whether a record that is there cannot be read as one."""
    try:
        _read(store, record_key(number))
    except PromotionLogError:
        return True
    return False


def _read(store: ObjectStore, key: str) -> Promotion:
    try:
        with _damage_explained():
            return Promotion.model_validate(read_json(store, key))
    except ValidationError as error:
        what = f"{key} of {store.url} is no record of the promotion log ({error.error_count()} fields do not fit)"
        raise PromotionLogError(what, _RESTORE) from error


def _n_written(store: ObjectStore) -> int:
    with _damage_explained():
        return noted_length(store, _LOG)


@contextmanager
def _damage_explained() -> Iterator[None]:
    try:
        yield
    except StoreAccessError:
        raise
    except StoreError as error:
        raise PromotionLogError(error.problem, error.remedy or _RESTORE) from error


def _lost(store: ObjectStore, number: int, else_: str = "") -> PromotionLogError:
    what = f"the promotion log of {store.url} has lost record {number}"
    return PromotionLogError(what, f"restore {record_key(number)} from backup{else_}")


def champion(store: ObjectStore) -> Promotion | None:
    """Return the record that holds now, or None before the first promotion."""
    keys = _keys(store)
    return _read(store, keys[-1]) if keys else None


def before_champion(log: Sequence[Promotion]) -> Promotion | None:
    """Return the latest record of another model than the champion's: what answered until the champion came."""
    return next((record for record in reversed(log) if record.bundle_id != log[-1].bundle_id), None)


def way_back(log: Iterable[Promotion]) -> list[Promotion]:
    """Return the models that rollbacks lead back to, one by one, the champion last.

    A promotion adds one. A rollback takes off the model that it removes, and what came after the one that it returned to,
    so that a model from which a person rolled away comes back only by its name.
    """
    path: list[Promotion] = []
    for record in log:
        known = [place for place, earlier in enumerate(path) if earlier.bundle_id == record.bundle_id]
        if record.action == "rollback":
            removed = path[-1].bundle_id
            path = path[: known[-1]] if known else [earlier for earlier in path if earlier.bundle_id != removed]
        path.append(record)
    return path


def answering_champion(store: ObjectStore) -> tuple[Promotion, str | None]:
    """Return the record that holds now, and where the log may have had later ones, which could name another, what to know.

    Raises:
        NoChampionError: nothing has been promoted yet.
    """
    doubt = None
    try:
        n_written = _n_written(store)  # before the log is listed, as above
    except PromotionLogError as error:
        n_written, doubt = 0, str(error)
    current = required_champion(store)
    if n_written > current.number:
        doubt = (
            f"the promotion log had {n_written} records and ends at {current.number}: model version {current.model_version} "
            "answers, though a lost record may name another; run `ladnn reconcile`"
        )
    return current, doubt


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


def is_overtaken(log: Sequence[Promotion], retrain_id: str, measured: Promotion | None) -> bool:
    """Tell whether the champion changed since a candidate was measured against it, other than by its own promotion.

    Args:
        log: all of it.
        retrain_id: of the candidate.
        measured: record of the champion then, None where there was none. It may have been lost since, and its number given
            to another one.
    """
    number = measured.number if measured else 0
    if measured and (number > len(log) or log[number - 1].bundle_id != measured.bundle_id):
        return True
    since = log[number:]
    return bool(since) and not any(item.action == "promote" and item.retrain_id == retrain_id for item in since)


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
    if not 0 <= expected <= len(log):
        raise PromotionConflictError(
            f"the promotion log of {store.url} ends at {len(log)}, not at {expected}; is LADNN_STORE_URL the same?"
        )
    for record in log[expected:]:
        if proposal.action == record.action == "promote" and proposal.retrain_id == record.retrain_id:
            note_length(store, _LOG, len(log))
            return record
    record = Promotion(number=expected + 1, at=datetime.now(UTC), **proposal.model_dump())
    if write_json_if_absent(store, record_key(record.number), record.model_dump(mode="json")):
        note_length(store, _LOG, record.number)
        return record
    raise PromotionConflictError(_conflict(proposal, record.number))


def _conflict(proposal: Proposal, number: int) -> str:
    if proposal.action == "rollback":
        return (
            f"another model became champion at the same time (record {number}), nothing was rolled back; "
            "see `ladnn history`, then decide again"
        )
    return overtaken_message(proposal.retrain_id, number)


def overtaken_message(retrain_id: str, number: int) -> str:
    """Say that a candidate was measured against a model that is champion no more; `number` is the record after it."""
    return (
        f"the champion changed since retrain {retrain_id} was measured (record {number} exists); run `ladnn retrain` by "
        "the same command again to measure against the new champion, with --force if it finds nothing new"
    )


def _keys(store: ObjectStore) -> list[str]:
    return [key for key in store.list(_LOG) if _RECORD.fullmatch(key)]


def record_key(number: int) -> str:
    """Return where a record of the log stands."""
    return f"{_LOG}{number:06d}.json"
