"""The clock of a flow: how long each stage took, told to a person when it begins and ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ladnn.progress import say
from ladnn.registry.summary import StageTime


class StageClock:
    """Times of the stages of one flow run, in order."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block under this name."""
        started_s = time.perf_counter()
        say(f"{name} …")
        yield
        self._seconds[name] = time.perf_counter() - started_s
        say(f"{name} done in {self._seconds[name]:.1f} s")

    def times(self) -> tuple[StageTime, ...]:
        """Return the times so far."""
        return tuple(StageTime(name=name, seconds=round(seconds, 2)) for name, seconds in self._seconds.items())
