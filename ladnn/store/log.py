"""Append-only logs: numbered JSON documents under a prefix, each created only if absent, so that writers never lose one."""

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
        StoreError: other processes kept writing first.
    """
    for _ in range(_MOST_TRIES):
        entries = list(read_entries(store, prefix))
        document = make(entries)
        if document is None or write_json_if_absent(store, entry_key(prefix, len(entries) + 1), document):
            return
    raise StoreError(f"other processes kept writing to {prefix} in {store.url} at the same time; run the command again")


def read_entries(store: ObjectStore, prefix: str) -> Iterator[Any]:
    """Yield the documents of a log, in order."""
    for key in store.list(prefix):
        yield read_json(store, key)


def entry_key(prefix: str, number: int) -> str:
    """Key of a log's entry."""
    return f"{prefix}{number:08d}.json"
