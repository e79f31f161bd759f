"""How long work tells a person where it stands: one bar on a terminal, plain lines elsewhere, always on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Steps(Protocol):
    """Called with the number of steps done and the total."""

    def __call__(self, done: int, total: int) -> None: ...  # noqa: D102


def no_steps(done: int, total: int) -> None:
    """Ignore progress."""


def say(text: str) -> None:
    """Print one line for a person to stderr, so that stdout stays free for results."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False, emoji=False)


@contextmanager
def progress_bar(title: str) -> Iterator[Steps]:
    """Show a bar with the time left while the block runs; without a terminal nothing is drawn."""
    if not sys.stderr.isatty():
        yield no_steps
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield update
