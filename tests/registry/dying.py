"""Owns processes that stop, or die, before a write: to the object store, to MLflow's database, or of an artifact."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from ladnn.store.file import FileStore
from ladnn.store.s3 import S3Store

_WAIT_S = 120


def stopped_before_each_write(processes: ForkServerContext, act: Callable[..., Any], *arguments: Any) -> Iterator[str]:
    """Run an act in a process of its own and yield each write before it is done; the process stands still meanwhile.

    What lies on the disk at that moment is what a process that is killed there leaves.
    """
    here, there = processes.Pipe()
    process = processes.Process(target=_run_stopping, args=(there, act, arguments))
    process.start()
    there.close()
    try:
        while here.poll(_WAIT_S):
            yield here.recv()
            here.send(None)
    except EOFError:
        process.join(_WAIT_S)
    finally:
        if process.is_alive():
            process.kill()
    assert process.exitcode == 0, process.exitcode


def killed_before_write(
    processes: ForkServerContext, folder: Path, fatal: int, act: Callable[..., Any], *arguments: Any
) -> None:
    """Run an act in a process of its own that is killed before its write number `fatal`, counted from 1."""
    process = processes.Process(target=_run_dying, args=(folder, fatal, act, arguments))
    process.start()
    process.join(_WAIT_S)
    assert process.exitcode == -signal.SIGKILL, process.exitcode


def _run_stopping(there: Connection, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    def stop(what: str) -> None:
        there.send(what)
        there.recv()

    _watch(stop)
    act(*arguments)


def _run_dying(folder: Path, fatal: int, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    n = 0

    def die(_: str) -> None:
        nonlocal n
        n += 1
        if n == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    tempfile.tempdir = str(folder)  # a killed process leaves its temporary folders
    _watch(die)
    act(*arguments)


def _watch(about_to: Callable[[str], None]) -> None:
    for kind in (FileStore, S3Store):
        for name in ("put", "put_if_absent", "discard"):
            _watch_method(about_to, kind, name)
    event.listen(Engine, "before_cursor_execute", _mark_write)
    event.listen(Engine, "commit", lambda connection: _watch_commit(about_to, connection))
    sys.addaudithook(lambda name, values: _watch_artifact(about_to, name, values))


def _watch_method(about_to: Callable[[str], None], kind: type, name: str) -> None:
    whole = getattr(kind, name)

    def watched(self: Any, key: str, *data: bytes) -> Any:
        about_to(f"{name} {key}")
        return whole(self, key, *data)

    setattr(kind, name, watched)


def _mark_write(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
    if statement.split(maxsplit=1)[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
        connection.info.setdefault("tables", []).append(" ".join(statement.split()[:3]))


def _watch_commit(about_to: Callable[[str], None], connection: Any) -> None:
    if tables := connection.info.pop("tables", None):
        about_to(f"commit {tables}")


def _watch_artifact(about_to: Callable[[str], None], name: str, values: tuple[Any, ...]) -> None:
    """MLflow copies the files of a folder to their places, and moves a single file to its place once it is whole."""
    if name in {"shutil.copyfile", "os.rename"} and "artifacts" in Path(os.fsdecode(values[1])).parts:
        about_to(f"upload {Path(os.fsdecode(values[1])).name}")
