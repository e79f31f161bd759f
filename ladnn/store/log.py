"""Append-only logs: numbered JSON documents under a prefix, each created only if absent, so that writers never lose one.

Of a lost last record the numbers show nothing, so the length is noted beside them after each record: a kill leaves the note
behind, never ahead. Older logs have none.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from ladnn.errors import ObjectNotFoundError, StoreError
from ladnn.store import ObjectStore, read_json, write_json, write_json_if_absent

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
            note_length(store, prefix, len(before) + (document is not None))
            return
    raise StoreError(f"other processes kept writing to {prefix} in {store.url} at the same time; run the command again")


def read_entries(store: ObjectStore, prefix: str) -> Iterator[Any]:
    """Yield the documents of a log, in order.

    Raises:
        StoreError: the log has lost a record.
    """
    n_noted = noted_length(store, prefix)  # before the log is listed: another process may append to it
    n_read = 0
    for key in entry_keys(store, prefix):
        yield read_json(store, key)
        n_read += 1
    if n_read < n_noted:
        raise _lost(store, prefix, n_read + 1, f"; without one delete {length_key(prefix)}")


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


def length_key(prefix: str) -> str:
    """Key of the note that says how many records a log has had."""
    return f"log_lengths/{prefix.removesuffix('/')}.json"


def note_length(store: ObjectStore, prefix: str, n_records: int) -> None:
    """Note how many records a log has, after the last of them was written, unless another writer has noted more."""
    if n_records > noted_length(store, prefix):
        write_json(store, length_key(prefix), {"n_records": n_records})


def noted_length(store: ObjectStore, prefix: str) -> int:
    """Return how many records a log has had at least; 0 without a note.

    Raises:
        StoreError: the note is none.
    """
    try:
        return int(read_json(store, length_key(prefix))["n_records"])
    except ObjectNotFoundError:
        return 0
    except (KeyError, TypeError, ValueError) as error:
        what = f"{length_key(prefix)} of {store.url} does not say how many records there are"
        raise StoreError(what, "restore it from backup, or delete it") from error


def _lost(store: ObjectStore, prefix: str, number: int, else_: str = "") -> StoreError:
    what = f"the log {prefix} of {store.url} has lost record {number}"
    return StoreError(what, f"restore {entry_key(prefix, number)} from backup{else_}")
