"""Owns processes that kill themselves at a write: to the object store, to MLflow's database, or of an artifact."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from ladnn.store.file import FileStore
from ladnn.store.s3 import S3Store


class _Writes:
    """Counts writes and notes them; kills this process just before the one it was told of."""

    def __init__(self, note: Path, fatal: int | None) -> None:
        self._note, self._fatal, self._n = note, fatal, 0

    def about_to(self, what: str) -> None:
        self._n += 1
        if self._n == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        with self._note.open("a") as note:
            note.write(f"{what}\n")


def writes_of(
    processes: ForkServerContext, note: Path, act: Callable[..., Any], *arguments: Any, fatal: int | None = None
) -> list[str]:
    """Run an act in a process of its own, killed before write number `fatal`; return the writes that it did."""
    note.write_text("")
    process = processes.Process(target=_run, args=(note, fatal, act, arguments))
    process.start()
    process.join(120)
    assert process.exitcode == (0 if fatal is None else -signal.SIGKILL), (process.exitcode, note.read_text())
    return note.read_text().splitlines()


def _run(note: Path, fatal: int | None, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    tempfile.tempdir = str(note.parent)  # a killed process leaves its temporary folders
    writes = _Writes(note, fatal)
    for kind in (FileStore, S3Store):
        for name in ("put", "put_if_absent", "discard"):
            _watch_method(writes, kind, name)
    event.listen(Engine, "before_cursor_execute", _mark_write)
    event.listen(Engine, "commit", lambda connection: _watch_commit(writes, connection))
    sys.addaudithook(lambda name, values: _watch_copy(writes, name, values))
    act(*arguments)


def _watch_method(writes: _Writes, kind: type, name: str) -> None:
    whole = getattr(kind, name)

    def watched(self: Any, key: str, *data: bytes) -> Any:
        writes.about_to(f"{name} {key}")
        return whole(self, key, *data)

    setattr(kind, name, watched)


def _mark_write(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
    if statement.split(maxsplit=1)[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
        connection.info.setdefault("tables", []).append(" ".join(statement.split()[:3]))


def _watch_commit(writes: _Writes, connection: Any) -> None:
    if tables := connection.info.pop("tables", None):
        writes.about_to(f"commit {tables}")


def _watch_copy(writes: _Writes, name: str, values: tuple[Any, ...]) -> None:
    if name == "shutil.copyfile" and "artifacts" in Path(values[1]).parts:
        writes.about_to(f"upload {Path(values[1]).name}")
