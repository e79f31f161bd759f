"""Another process's write to MLflow's database at the very moment that hurts: just before one of MLflow's own."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import event
from sqlalchemy.engine import Engine

from ladnn.registry.tracking import Tracking


def write(tracking: Tracking, statement: str) -> None:
    """Change MLflow's SQLite database over a connection of its own."""
    with closing(sqlite3.connect(tracking.uri.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(statement)


@contextmanager
def written_first(tracking: Tracking, before: str, statement: str) -> Iterator[list[str]]:
    """Write once, before the first of MLflow's statements that begins so; what that was stands in the list."""
    met: list[str] = []

    def write_once(_connection: object, _cursor: object, sent: str, *_: object) -> None:
        if sent.startswith(before) and not met:
            met.append(sent)
            write(tracking, statement)

    event.listen(Engine, "before_cursor_execute", write_once)
    try:
        yield met
    finally:
        event.remove(Engine, "before_cursor_execute", write_once)
