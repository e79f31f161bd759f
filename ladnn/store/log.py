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
        before = list(read_entries(store, prefix))
        document = make(before)
        if document is None or write_json_if_absent(store, entry_key(prefix, len(before) + 1), document):
            return
    raise StoreError(f"other processes kept writing to {prefix} in {store.url} at the same time; run the command again")


def read_entries(store: ObjectStore, prefix: str) -> Iterator[Any]:
    """Yield the documents of a log, in order.

    Raises:
        StoreError: the log has lost a record that was not its last.
    """
    for key in entry_keys(store, prefix):
        yield read_json(store, key)


def entry_keys(store: ObjectStore, prefix: str, after: int = 0) -> Iterator[str]:
    """Yield the keys of a log's entries after a number, in order.

    Raises:
        StoreError: the log has lost a record that was not its last.
    """
    number_of = re.compile(rf"{re.escape(prefix)}(\d{{8}})\.json")
    expected = after + 1
    for key in store.list(prefix, start_after=entry_key(prefix, after)):
        if (found := number_of.fullmatch(key)) is None:
            continue
        number = int(found[1])
        for passed_over in range(expected, number):
            # A listing may pass over one that is written meanwhile, and show the next.
            if not store.exists(entry_key(prefix, passed_over)):
                raise _lost(store, prefix, passed_over)
            yield entry_key(prefix, passed_over)
        yield key
        expected = number + 1


def entry_key(prefix: str, number: int) -> str:
    """Key of a log's entry."""
    return f"{prefix}{number:08d}.json"


def _lost(store: ObjectStore, prefix: str, number: int) -> StoreError:
    what = f"the log {prefix} of {store.url} has lost record {number}"
    return StoreError(what, f"restore {entry_key(prefix, number)} from backup")
