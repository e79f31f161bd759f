"""A log keeps what many writers append, and says which record it has lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ladnn.errors import StoreError
from ladnn.store import ObjectStore, write_json
from ladnn.store.log import append_entry, read_entries

LOG = "log/"


def append(store: ObjectStore, document: object) -> None:
    append_entry(store, LOG, lambda _: document)


def entries(store: ObjectStore) -> list[object]:
    return list(read_entries(store, LOG))


def lose(folder: Path, number: int) -> None:
    (folder / "store" / "log" / f"{number:08d}.json").unlink()


def test_entries_are_read_in_the_order_they_were_appended(store: ObjectStore) -> None:
    assert entries(store) == []
    for number in range(12):
        append_entry(store, LOG, lambda before, number=number: [number, len(before)])

    assert entries(store) == [[number, number] for number in range(12)]


def test_of_many_writers_none_is_lost(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(store, number), range(24)))

    assert sorted(entries(store)) == list(range(24))


@pytest.mark.parametrize("number", [1, 3])
def test_a_lost_record_is_told_by_who_reads_and_by_who_writes(
    file_store: ObjectStore, tmp_path: Path, number: int
) -> None:
    for document in range(4):
        append(file_store, document)
    lose(tmp_path, number)

    told = f"the log log/ of {file_store.url} has lost record {number}; restore log/0000000{number}.json from backup"
    for act in (lambda: entries(file_store), lambda: append(file_store, "new")):
        with pytest.raises(StoreError) as refused:
            act()
        assert str(refused.value) == told
    write_json(file_store, f"log/0000000{number}.json", number - 1)
    append(file_store, 4)
    assert entries(file_store) == list(range(5))


def test_a_record_that_a_listing_passed_over_is_not_lost(file_store: ObjectStore, monkeypatch) -> None:
    for document in range(3):
        append(file_store, document)
    listed = [key for key in file_store.list(LOG) if "2" not in key]

    def list_while_another_writes(*_: object, **__: object) -> Iterator[str]:
        return iter(listed)

    monkeypatch.setattr(file_store, "list", list_while_another_writes)
    assert entries(file_store) == [0, 1, 2]
