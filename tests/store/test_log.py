"""A log keeps what many writers append, and says which record it has lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ladnn.errors import StoreError
from ladnn.store import ObjectStore, write_json
from ladnn.store.log import append_entry, noted_length, read_entries

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


def test_the_last_record_is_missed_too_until_the_note_of_the_length_is_deleted(
    file_store: ObjectStore, tmp_path: Path
) -> None:
    append(file_store, "first")
    append(file_store, "second")
    lose(tmp_path, 2)

    told = "has lost record 2; restore log/00000002.json from backup; without one delete log_lengths/log.json"
    for act in (lambda: entries(file_store), lambda: append(file_store, "new")):
        with pytest.raises(StoreError, match=told):
            act()
    (tmp_path / "store" / "log_lengths" / "log.json").unlink()
    append(file_store, "new")
    assert entries(file_store) == ["first", "new"]


@pytest.mark.parametrize("note", [{}, [], {"n_records": "many"}])
def test_a_note_of_the_length_that_says_nothing_is_told(file_store: ObjectStore, note: object) -> None:
    append(file_store, "first")
    write_json(file_store, "log_lengths/log.json", note)

    with pytest.raises(StoreError, match=r"log_lengths/log.json of .* does not say how many records there are"):
        entries(file_store)


def test_a_writer_that_was_killed_before_its_note_makes_up_for_it_when_it_finds_its_record(
    file_store: ObjectStore, tmp_path: Path
) -> None:
    append(file_store, "first")
    (tmp_path / "store" / "log_lengths" / "log.json").unlink()

    append_entry(file_store, LOG, lambda before: None if "first" in before else "first")

    assert noted_length(file_store, LOG) == 1


def test_a_log_of_before_lengths_were_noted_is_read_and_noted_with_its_next_record(file_store: ObjectStore) -> None:
    write_json(file_store, "log/00000001.json", "first")

    append(file_store, "second")

    assert entries(file_store) == ["first", "second"]
    assert noted_length(file_store, LOG) == 2


def test_a_record_that_a_listing_passed_over_is_not_lost(file_store: ObjectStore, monkeypatch) -> None:
    for document in range(3):
        append(file_store, document)
    listed = [key for key in file_store.list(LOG) if "2" not in key]

    def list_while_another_writes(*_: object, **__: object) -> Iterator[str]:
        return iter(listed)

    monkeypatch.setattr(file_store, "list", list_while_another_writes)
    assert entries(file_store) == [0, 1, 2]
