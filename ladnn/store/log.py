"""Append-only logs: numbered JSON documents under a prefix, each created only if absent, so that writers never lose one."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from ladnn.errors import StoreError
from ladnn.store import ObjectStore, read_json, write_json_if_absent

_MOST_TRIES = 100


def append_entry(store: ObjectStore, prefix: str, make: Callable[[list[Any]], Any | None]) -> None:
    """Append a document to a log.

    Args:
        store: keeps the log.
        prefix: of its keys, with a slash at the end.
        make: makes the document from all entries before it, again where another process was first; None appends none.

    Raises:
        StoreError: the log has lost a record, or other processes kept writing first.
    """
    for _ in range(_MOST_TRIES):
        keys, number = _keys_and_next(store, prefix)
        document = make([read_json(store, key) for key in keys])
        if document is None or write_json_if_absent(store, entry_key(prefix, number), document):
            return
    raise StoreError(f"other processes kept writing to {prefix} in {store.url} at the same time; run the command again")


def read_entries(store: ObjectStore, prefix: str) -> Iterator[Any]:
    """Yield the documents of a log, in order.

    Raises:
        StoreError: the log has lost a record that was not its last.
    """
    keys, _ = _keys_and_next(store, prefix)
    for key in keys:
        yield read_json(store, key)


def entry_key(prefix: str, number: int) -> str:
    """Key of a log's entry."""
    return f"{prefix}{number:08d}.json"


def _keys_and_next(store: ObjectStore, prefix: str) -> tuple[list[str], int]:
    """Return the keys of all entries, and the number of the next one.

    Entries without a number, as the first ledger had them, come first: when numbers came, these went on from their count.
    """
    number_of = re.compile(rf"{re.escape(prefix)}(\d{{8}})\.json")
    unnumbered, numbers = [], set()
    for key in store.list(prefix):
        if found := number_of.fullmatch(key):
            numbers.add(int(found[1]))
        else:
            unnumbered.append(key)
    first = min([len(unnumbered) + 1, *numbers])
    last = max(numbers, default=len(unnumbered))
    for number in range(first, last + 1):
        # A listing may pass over one that is written meanwhile, and show the next.
        if number not in numbers and not store.exists(entry_key(prefix, number)):
            raise _lost(store, prefix, number)
    return [*unnumbered, *(entry_key(prefix, number) for number in range(first, last + 1))], last + 1


def _lost(store: ObjectStore, prefix: str, number: int) -> StoreError:
    what = f"the log {prefix} of {store.url} has lost record {number}"
    return StoreError(what, f"restore {entry_key(prefix, number)} from backup")
