"""Retrains of which a document is damaged: they are told, and what looks at all retrains goes on with the others."""

from collections.abc import Callable
from typing import Literal

from pydantic import ValidationError

from ladnn.errors import LadnnError, RetrainError, StoreAccessError, StoreError
from ladnn.governance.approval import read_answer
from ladnn.governance.decision import read_decision
from ladnn.registry.challenger_log import PREFIX as CHALLENGERS
from ladnn.registry.challenger_log import Challenger
from ladnn.registry.promotion import Promotion
from ladnn.registry.summary import read_held, read_outcome
from ladnn.registry.test_set import read_test_result
from ladnn.retrain import folder, read, required_plan, retrain_ids
from ladnn.store import ObjectStore, read_json
from ladnn.store.hiding import HidingStore
from ladnn.store.keys import CHECKPOINTS
from ladnn.training.result import read_trained

_RESTORE = "restore it from backup"

LookAt = Literal["all", "history", "open"]


def undamaged(store: ObjectStore, look_at: LookAt = "all") -> tuple[ObjectStore, dict[str, LadnnError]]:
    """Return a store without the retrains and challengers that are damaged, and what is wrong with each of these.

    Args:
        store: holds them.
        look_at: all documents of all retrains; those that the history shows; or those of retrains that have not ended.

    Raises:
        StoreAccessError: the store cannot be used.
    """
    found: dict[str, LadnnError] = {}
    hidden: list[str] = []
    for retrain_id in retrain_ids(store):
        if (error := _damage(store, retrain_id, look_at)) is not None:
            found[f"retrain {retrain_id}"] = error
            hidden += [folder(retrain_id), f"{CHECKPOINTS}{retrain_id}/"]
    for key in store.list(CHALLENGERS):
        retrain_id = key.removeprefix(CHALLENGERS).removesuffix(".json").partition("-")[2]
        if f"retrain {retrain_id}" in found:
            hidden.append(key)
        elif (error := _challenger_damage(store, key)) is not None:
            found[f"challenger {retrain_id}"] = error
            hidden.append(key)
    return (HidingStore(store, hidden), found) if hidden else (store, found)


def quoted_records(store: ObjectStore, retrain_id: str) -> list[Promotion]:
    """Return the records that a retrain's decision record quotes: its promotion, and what took its model away."""
    document = read(store, retrain_id, "record") or {}
    quoted = [document.get(name) for name in ("promotion", "withdrawal")]
    return [Promotion.model_validate(item) for item in quoted if item is not None]


def _damage(store: ObjectStore, retrain_id: str, look_at: LookAt) -> LadnnError | None:
    name = "outcome"
    try:
        has_ended = read_outcome(store, retrain_id) is not None
        for name, look in _documents(look_at, has_ended).items():  # noqa: B007 (which one it was is told)
            look(store, retrain_id)
        for variant in required_plan(store, retrain_id).config.variants if look_at == "all" else ():
            name = f"variants/{variant.name}/trained"
            read_trained(store, retrain_id, variant.name)
    except StoreAccessError:
        raise
    except StoreError as error:
        return error
    except (ValidationError, RetrainError, TypeError, AttributeError):
        what = f"document {name} of retrain {retrain_id} in {store.url} is none that this release of ladnn wrote"
        return RetrainError(what, _RESTORE)
    return None


def _documents(look_at: LookAt, has_ended: bool) -> dict[str, Callable[[ObjectStore, str], object]]:
    if look_at == "open" and has_ended:
        return {}
    shown = {"plan": required_plan, "decision": read_decision, "answer": read_answer}
    of_open = {"held": read_held, "test": read_test_result}
    return (
        shown
        | ({} if look_at == "history" and has_ended else of_open)
        | ({"record": quoted_records} if look_at == "all" else {})
    )


def _challenger_damage(store: ObjectStore, key: str) -> LadnnError | None:
    try:
        Challenger.model_validate(read_json(store, key))
    except StoreAccessError:
        raise
    except StoreError as error:
        return error
    except ValidationError:
        return RetrainError(f"{key} of {store.url} names no challenger", _RESTORE)
    return None
