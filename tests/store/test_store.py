"""What both kinds of store promise."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladnn.errors import ObjectNotFoundError, SettingsError, StoreError
from ladnn.store import (
    ObjectStore,
    S3Options,
    canonical_json,
    open_store,
    read_json,
    write_json,
    write_json_if_absent,
)

# Neighbours of the slash in ASCII, and characters whose order differs between UTF-8 and UTF-16.
PARTS = st.text("ab-.0 +%é\uff5e\U0001f600", min_size=1, max_size=3).filter(lambda part: not part.startswith("."))
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
EXAMPLE_NUMBERS = count()


def continues_another(key: str, keys: set[str]) -> bool:
    return any(key.startswith(f"{other}/") for other in keys)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_list_yields_keys_in_byte_order_strictly_after_the_cursor(store: ObjectStore, data: st.DataObject) -> None:
    drawn = data.draw(st.sets(KEYS, max_size=8))
    folder = f"example-{next(EXAMPLE_NUMBERS)}/"
    keys = sorted((folder + key for key in drawn if not continues_another(key, drawn)), key=str.encode)
    for key in keys:
        store.put(key, b"")
    assert list(store.list(folder)) == keys
    for cursor in [*keys, folder + data.draw(KEYS)]:
        prefix = folder + data.draw(KEYS | PARTS.map("{}/".format) | st.just(""))
        for chosen in (folder, prefix, cursor, cursor[:-1]):
            wanted = [key for key in keys if key.startswith(chosen) and key.encode() > cursor.encode()]
            assert [key for key in store.list(chosen, cursor) if key.startswith(folder)] == wanted


def test_list_goes_on_past_a_page_and_after_every_key(store: ObjectStore) -> None:
    keys = [f"inbox/{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))
    assert list(store.list("")) == keys
    assert list(store.list("inbox/", keys[500])) == keys[501:]
    assert list(store.list("inbox/", keys[-1])) == []
    assert list(store.list("elsewhere/")) == []


def test_get_returns_what_was_put_last(store: ObjectStore) -> None:
    for data in (b"first", b"", bytes(range(256)) * 1000):
        store.put("a/b c/é.bin", data)
        assert store.get("a/b c/é.bin") == data
    assert store.exists("a/b c/é.bin")


def test_a_missing_key_is_reported_as_such(store: ObjectStore) -> None:
    store.put("a/b", b"")
    for key in ("missing", "a", "a/c", "a/b/c"):
        assert not store.exists(key)
        with pytest.raises(ObjectNotFoundError, match=f"no object '{key}' in .*{store.url}"):
            store.get(key)


def test_a_reader_never_sees_half_an_object(store: ObjectStore) -> None:
    versions = {b"A" * 200_000, b"B" * 150_000}
    store.put("pointer", next(iter(versions)))
    done = threading.Event()

    def overwrite() -> None:
        for _ in range(20):
            for data in versions:
                store.put("pointer", data)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(overwrite)
        n_reads = 0
        while not writing.done():
            assert store.get("pointer") in versions
            n_reads += 1
        writing.result()
    assert n_reads > 5


def test_put_if_absent_has_one_winner_among_threads(store: ObjectStore) -> None:
    for turn in range(10):
        start = threading.Barrier(16)

        def compete(number: int, key: str = f"log/{turn}", start: threading.Barrier = start) -> bool:
            start.wait()
            return store.put_if_absent(key, f"writer {number}".encode())

        with ThreadPoolExecutor(16) as pool:
            created = list(pool.map(compete, range(16)))
        assert created.count(True) == 1
        assert store.get(f"log/{turn}") == f"writer {created.index(True)}".encode()


def test_put_if_absent_leaves_an_object_untouched(store: ObjectStore) -> None:
    store.put("a", b"old")
    assert not store.put_if_absent("a", b"new")
    assert store.get("a") == b"old"


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "..", "a/../../b", "./a", ".sha256/a", "a/.hidden", "a\\..\\b", "a\0", "a\nb", "a\udc80"],
)
def test_unusable_keys_are_refused(store: ObjectStore, key: str) -> None:
    for act in (store.exists, store.get, lambda key: store.put(key, b""), lambda key: store.put_if_absent(key, b"")):
        with pytest.raises(StoreError, match="key ") as caught:
            act(key)
        assert "\n" not in str(caught.value)
    assert list(store.list("")) == []


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "a/../b", ".tmp/", "a\0"])
def test_unusable_prefixes_are_refused_at_once(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(StoreError, match="key "):
        store.list(prefix)


def test_check_access_passes_and_leaves_nothing(store: ObjectStore) -> None:
    store.check_access()
    assert list(store.list("")) == []


def test_documents_are_written_in_canonical_json(store: ObjectStore) -> None:
    write_json(store, "card.json", {"b": [1, None], "a": "é"})
    assert store.get("card.json") == '{"a":"é","b":[1,null]}'.encode()
    assert read_json(store, "card.json") == {"a": "é", "b": [1, None]}
    assert not write_json_if_absent(store, "card.json", {})
    assert write_json_if_absent(store, "other.json", {})


def test_documents_that_json_cannot_hold_are_refused(store: ObjectStore) -> None:
    for document in ({"auroc": float("nan")}, {"when": object()}):
        with pytest.raises(StoreError, match="not JSON"):
            canonical_json(document)
    store.put("report.txt", b"\xff no json")
    with pytest.raises(StoreError, match=r"'report.txt' .* is not a JSON document"):
        read_json(store, "report.txt")


@pytest.mark.parametrize(
    "url",
    [
        "/srv/ladnn",
        "https://user:hunter2@host/bucket",
        "file://srv/ladnn",
        "s3://key:hunter2@bucket",
        "s3://",
        "s3://b/../c",
    ],
)
def test_other_urls_are_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(SettingsError, match="LADNN_STORE_URL") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError, match="LADNN_WEIGHTS_URL"):
        open_store(url, variable="LADNN_WEIGHTS_URL")


def test_a_file_url_may_hold_escaped_characters(tmp_path: Path) -> None:
    open_store((tmp_path / "with space é").as_uri()).put("a", b"1")
    assert (tmp_path / "with space é" / "a").read_bytes() == b"1"


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(S3Options(secret_access_key="hunter2"))


def test_a_file_store_does_without_boto3(tmp_path: Path) -> None:
    program = (
        f"import sys, ladnn.store; ladnn.store.open_store({tmp_path.as_uri()!r}); sys.exit('boto3' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_list_passes_over_what_is_skipped(store: ObjectStore) -> None:
    keys = ["a", "b-c", "b/a", "b/c/d", "b/d", "c"]
    for key in keys:
        store.put(key, b"")
    borders = [*keys, "A", "b", "b/", "b/c", "b/c/", "bb", "z"]
    for first in borders:
        for last in borders:
            wanted = [key for key in keys if not first <= key <= last]
            assert list(store.list("", skip=(first, last))) == wanted
            inner = [key for key in wanted if key.startswith("b") and key > "b-c"]
            assert list(store.list("b", "b-c", (first, last))) == inner
