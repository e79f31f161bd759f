"""Owns the object store in a folder: objects are plain files that an operator can look at or drop in by hand.

`.tmp` holds files that are being written: what a killed process left there for a day may be deleted. `.sha256/<key>`
notes the digest of every write of an object. The folder needs hard links and may be a network mount.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from ladnn.errors import (
    DigestMismatchError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    UnusableObjectError,
)
from ladnn.store.keys import check_discardable, check_key, check_prefix, check_size

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FileStore:
    """An `ObjectStore` in a folder, which is made by the first write."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.url = self._root.as_uri()

    def list(self, prefix: str, start_after: str = "", skip: tuple[str, str] | None = None) -> Iterator[str]:
        """See `ObjectStore.list`; reads one folder at a time, and shows neither links nor special files."""
        folder = check_prefix(prefix)
        self._check_no_link(self._root / folder)
        first, last = map(_encoded, skip or ("", ""))
        span = _Span(_encoded(prefix), _encoded(start_after), first, last)
        return _walk(self._root, _encoded(f"{folder}/" if folder else ""), span)

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        path = self._path(key)
        with _explained(path):
            return path.is_file()

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        path = self._path(key)
        with _explained(path):
            if not path.is_file():
                raise ObjectNotFoundError(
                    f"no object {key!r} in {self.url}", "check the key, or run what makes it first"
                )
            check_size(key, path.stat().st_size, max_bytes)
            data = _read(path)
            digests = self._noted_digests(key)  # read after the data: a writer notes its digest first
        if digests and hashlib.sha256(data).hexdigest() not in digests:
            raise DigestMismatchError(
                f"object {key!r} in {self.url} is damaged or was altered", "restore it from backup"
            )
        return data

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        path = self._path(key)
        with _explained(path), self._staged(key, data) as temporary:
            temporary.replace(path)
            _sync_folder(path.parent)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `ObjectStore.put_if_absent`."""
        path = self._path(key)
        with _explained(path):
            return not path.is_file() and self._link(key, data)

    def discard(self, key: str) -> None:
        """See `ObjectStore.discard`."""
        check_discardable(key)
        path = self._path(key)
        with _explained(path):
            path.unlink(missing_ok=True)
            (self._root / ".sha256" / key).unlink(missing_ok=True)

    def check_access(self) -> None:
        """See `ObjectStore.check_access`; makes the folder where it is missing. One on a read-only disk can be read."""
        try:
            with _explained(self._root), self._temporary(b""):
                pass
        except StoreAccessError as error:
            is_read_only = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EROFS
            if not (is_read_only and self._root.is_dir()):
                raise

    def _path(self, key: str) -> Path:
        check_key(key)
        path = self._root / key
        self._check_no_link(path)
        return path

    def _check_no_link(self, path: Path) -> None:
        if os.path.realpath(path) != str(path):
            raise UnusableObjectError(
                f"{path} is or lies behind a symbolic link; put the files themselves into {self._root}"
            )

    def _link(self, key: str, data: bytes) -> bool:
        path = self._root / key
        with self._staged(key, data) as temporary:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                if not path.is_file():
                    raise
                return False
            _sync_folder(path.parent)
        return True

    @contextmanager
    def _staged(self, key: str, data: bytes) -> Iterator[Path]:
        """Give a whole, durable file that only needs to be moved to the object's path."""
        with self._temporary(data) as temporary:
            _make_folder((self._root / key).parent)
            self._note_digest(key, data)
            yield temporary

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[Path]:
        folder = self._root / ".tmp"
        _make_folder(folder)
        path = folder / uuid4().hex
        try:
            _write_synced(path, data, "xb")
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _note_digest(self, key: str, data: bytes) -> None:
        """Append the digest before the data become visible, so that a crash between the two hurts no reader."""
        path = self._root / ".sha256" / key
        _make_folder(path.parent)
        # The line feed in front ends a line that a crash or a full disk tore off.
        _write_synced(path, f"\n{hashlib.sha256(data).hexdigest()}\n".encode(), "ab")
        _sync_folder(path.parent)

    def _noted_digests(self, key: str) -> set[str]:
        try:
            lines = (self._root / ".sha256" / key).read_text(encoding="ascii").split()
        except FileNotFoundError:
            return set()
        return {line for line in lines if len(line) == hashlib.sha256().digest_size * 2}


class _Span(NamedTuple):
    """Which keys are wanted: those with the prefix, after a key, and not from the first to the last that is skipped."""

    prefix: bytes
    after: bytes
    first: bytes
    last: bytes

    def holds(self, key: bytes) -> bool:
        """Tell whether a key is wanted."""
        return key.startswith(self.prefix) and key > self.after and not self.first <= key <= self.last

    def may_hold_below(self, folder: bytes) -> bool:
        """Tell whether a key below a folder, whose own ends in a slash, can be wanted."""
        if not (folder.startswith(self.prefix) or self.prefix.startswith(folder)):
            return False
        if self.first <= folder < self.last and not self.last.startswith(folder):
            return False
        return folder > self.after or self.after.startswith(folder)


def _walk(root: Path, folder: bytes, span: _Span) -> Iterator[str]:
    """Yield keys below a folder (empty, or ending in a slash), passing by folders that hold none that is wanted."""
    for key in _entries(root, folder, span):
        if key.endswith(b"/"):
            yield from _walk(root, key, span)
        else:
            yield key.decode("utf-8", "surrogateescape")


def _entries(root: Path, folder: bytes, span: _Span) -> list[bytes]:
    """Give wanted keys in their order: a folder counts with its slash, so that `a-b` comes before `a/b`."""
    keys = []
    # Of a hundred thousand folders nearly all are passed over, so each must cost little.
    passing = span.first.startswith(folder) and span.last.startswith(folder) and span.first <= span.last
    first, last = span.first[len(folder) :], span.last[len(folder) :]
    path = os.path.join(os.fsencode(root), folder)  # noqa: PTH118 - names come as bytes, since they may be no UTF-8
    with _explained(Path(os.fsdecode(path))):
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if passing and first <= name < last and not last.startswith(name):
                        continue
                    key = folder + name
                    if name.startswith(b".") or not (span.holds(key) or span.may_hold_below(key + b"/")):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if span.may_hold_below(key + b"/"):
                            keys.append(key + b"/")
                    elif span.holds(key) and entry.is_file(follow_symlinks=False):
                        keys.append(key)
        except (FileNotFoundError, NotADirectoryError):
            return []
    return sorted(keys)


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except PermissionError as error:
        raise UnusableObjectError(f"may not read {path}; give this user read permission") from error


def _write_synced(path: Path, data: bytes, mode: str) -> None:
    with path.open(mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise _explanation(path, error) from error


def _explanation(path: Path, error: OSError) -> StoreError:
    if error.errno in _FULL:
        return StoreFullError(f"no space left to write {path}; free space or move LADNN_HOME / LADNN_STORE_URL")
    if error.errno in _REFUSED:
        return StoreAccessError(
            f"may not use {path}: {error.strerror}; give this user read and write permission"
            " or set LADNN_HOME / LADNN_STORE_URL to another folder"
        )
    culprit = f" ({error.filename})" if error.filename else ""
    return StoreError(f"cannot use {path}: {error.strerror}{culprit}; check LADNN_HOME / LADNN_STORE_URL and the disk")
