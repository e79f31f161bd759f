"""What the store in a folder promises beyond the interface: crashes, damage, full and read-only disks, links."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ladnn.errors import DigestMismatchError, ObjectNotFoundError, StoreAccessError, StoreError, StoreFullError
from ladnn.store import ObjectStore, open_store

WRITE_UNTIL_KILLED = """
import itertools, sys
from ladnn.store import open_store
store = open_store(sys.argv[1])
for number in itertools.count():
    store.put(f"object/{number % 5}", bytes([number % 256]) * 100_000)
    store.put_if_absent(f"new/{sys.argv[2]}/{number}", bytes([number % 256]) * 100_000)
"""
COMPETE = """
import sys
from ladnn.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
for turn in sys.stdin:
    print(store.put_if_absent(f"log/{turn.strip()}", sys.argv[2].encode()), flush=True)
"""
CHECK_AS_NOBODY = """
import os, sys
from ladnn.errors import StoreAccessError
from ladnn.store import open_store
store = open_store(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
try:
    store.check_access()
except StoreAccessError as error:
    print(error)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def temporary_files(root: Path) -> list[Path]:
    return list((root / ".tmp").iterdir())


def test_objects_are_plain_files_and_plain_files_are_objects(file_store: ObjectStore, root: Path) -> None:
    file_store.put("inbox/a/scan.png", b"put")
    assert (root / "inbox/a/scan.png").read_bytes() == b"put"
    (root / "inbox/a/dropped.png").write_bytes(b"dropped")
    (root / "inbox/a/.DS_Store").write_bytes(b"")
    assert list(file_store.list("")) == ["inbox/a/dropped.png", "inbox/a/scan.png"]
    assert file_store.get("inbox/a/dropped.png") == b"dropped"
    assert not file_store.put_if_absent("inbox/a/dropped.png", b"other")


def test_new_files_have_the_permissions_of_the_process(file_store: ObjectStore, root: Path) -> None:
    old_mask = os.umask(0o027)
    try:
        file_store.put("a", b"")
    finally:
        os.umask(old_mask)
    assert (root / "a").stat().st_mode & 0o777 == 0o640


def test_a_dropped_file_with_an_unusable_name_is_listed_and_refused(file_store: ObjectStore, root: Path) -> None:
    root.mkdir()
    (root / "b").touch()
    Path(os.fsdecode(os.fsencode(root) + b"/a\xff")).touch()
    assert list(file_store.list("")) == ["a\udcff", "b"]
    with pytest.raises(StoreError, match="no UTF-8"):
        file_store.get("a\udcff")


def test_a_flipped_bit_is_noticed(file_store: ObjectStore, root: Path) -> None:
    file_store.put("weights", b"\x00" * 1000)
    with (root / "weights").open("r+b") as file:
        file.seek(500)
        file.write(b"\x01")
    with pytest.raises(DigestMismatchError, match=r"'weights' .* damaged"):
        file_store.get("weights")


def test_a_crash_between_digest_and_data_hurts_no_reader(file_store: ObjectStore, root: Path) -> None:
    file_store.put("a", b"old")
    with (root / ".sha256/a").open("a") as file:
        file.write(f"\n{'0' * 64}\n\n{'1' * 40}")  # one digest noted in vain, one torn off
    assert file_store.get("a") == b"old"
    file_store.put("a", b"new")
    assert file_store.get("a") == b"new"


def test_put_if_absent_has_one_winner_among_processes(file_store: ObjectStore) -> None:
    names = [f"process {number}" for number in range(8)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMPETE, file_store.url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    turns = "".join(f"{turn}\n" for turn in range(50))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(turns)
        process.stdin.flush()
    outcomes = [process.communicate()[0].split() for process in processes]
    for turn in range(50):
        created = [outcome[turn] for outcome in outcomes]
        assert created.count("True") == 1
        assert file_store.get(f"log/{turn}") == names[created.index("True")].encode()


def test_a_killed_writer_leaves_only_whole_objects(file_store: ObjectStore) -> None:
    n_written = 0
    for turn in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, file_store.url, str(turn)])
        while not list(file_store.list(f"new/{turn}/")):
            time.sleep(0.01)
        time.sleep(0.02 + 0.007 * turn)
        process.kill()
        process.wait()
        for key in file_store.list(""):
            data = file_store.get(key)
            assert data == data[:1] * 100_000
            n_written += 1
    assert n_written > 8
    file_store.put("object/0", b"still works")
    assert file_store.get("object/0") == b"still works"


@pytest.mark.parametrize("write", [ObjectStore.put, ObjectStore.put_if_absent])
def test_a_full_disk_is_reported_and_leaves_the_old_objects(
    small_disk: Path, write: Callable[[ObjectStore, str, bytes], object]
) -> None:
    store = open_store((small_disk / "store").as_uri())
    store.put("old", b"1" * 100_000)
    act = getattr(store, write.__name__)
    with pytest.raises(StoreFullError, match="free space or move LADNN_HOME / LADNN_STORE_URL") as caught:
        act("old" if write is ObjectStore.put else "new", b"2" * 2_000_000)
    assert str(small_disk) in str(caught.value)
    assert list(store.list("")) == ["old"]
    assert store.get("old") == b"1" * 100_000
    assert temporary_files(small_disk / "store") == []
    act("new", b"3" * 100_000)
    assert store.get("new") == b"3" * 100_000


def test_a_full_disk_while_the_digest_is_noted_leaves_the_old_object(small_disk: Path) -> None:
    store = open_store(small_disk.as_uri())
    store.put("a", b"1" * 1000)
    page_size = os.sysconf("SC_PAGE_SIZE")
    sidecar = small_disk / ".sha256/a"
    with sidecar.open("ab") as file:
        file.write(b"\n" * (page_size - sidecar.stat().st_size - 30))  # the next digest needs a new page
    with pytest.raises(StoreFullError):
        fill_but(small_disk, store, page_size)
    assert store.get("a") == b"1" * 1000
    (small_disk / "filler").unlink()
    store.put("a", b"2" * 1000)
    assert store.get("a") == b"2" * 1000


def fill_but(disk: Path, store: ObjectStore, n_bytes: int) -> None:
    """Fill a disk up to some bytes, then put an object that takes just these."""
    status = os.statvfs(disk)
    (disk / "filler").write_bytes(b"0" * (status.f_bavail * status.f_frsize - n_bytes))
    store.put("a", b"2" * 1000)


def test_a_read_only_disk_can_be_read_and_says_so_when_written(small_disk: Path) -> None:
    store = open_store(small_disk.as_uri())
    store.put("a", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert store.get("a") == b"1"
    store.check_access()
    for act in (lambda: store.put("a", b"2"), lambda: store.put_if_absent("b", b"2")):
        with pytest.raises(StoreAccessError, match=r"Read-only file system; give this user .* permission"):
            act()


def test_a_folder_of_somebody_else_is_reported(file_store: ObjectStore, root: Path) -> None:
    root.mkdir(mode=0o500)
    command = [sys.executable, "-c", CHECK_AS_NOBODY, file_store.url]
    message = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Permission denied; give this user read and write permission" in message


def test_check_access_reports_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot use .*file/store: File exists \(.*/file\); check LADNN_HOME"):
        open_store((tmp_path / "file/store").as_uri()).check_access()


def test_links_are_neither_listed_nor_followed(file_store: ObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    file_store.put("a", b"1")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "object").symlink_to(tmp_path / "outside/secret")
    assert list(file_store.list("")) == ["a"]
    for key in ("object", "folder/secret", "folder/new"):
        for act in (file_store.exists, file_store.get, lambda key: file_store.put(key, b""), file_store.list):
            with pytest.raises(StoreError, match="symbolic link"):
                act(key + "/" if act == file_store.list else key)
    assert (tmp_path / "outside/secret").read_bytes() == b"secret"
    assert list((tmp_path / "outside").iterdir()) == [tmp_path / "outside/secret"]


def test_special_files_are_no_objects(file_store: ObjectStore, root: Path) -> None:
    root.mkdir()
    os.mkfifo(root / "pipe")
    assert list(file_store.list("")) == []
    assert not file_store.exists("pipe")
    with pytest.raises(ObjectNotFoundError):
        file_store.get("pipe")


def test_a_key_cannot_continue_another_key(file_store: ObjectStore) -> None:
    file_store.put("a/b", b"1")
    for act in (file_store.put, file_store.put_if_absent):
        for key in ("a", "a/b/c"):
            with pytest.raises(StoreError, match="cannot use"):
                act(key, b"2")
    assert file_store.get("a/b") == b"1"


def test_the_root_may_be_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    open_store((tmp_path / "link").as_uri()).put("a", b"1")
    assert (tmp_path / "disk/a").read_bytes() == b"1"
