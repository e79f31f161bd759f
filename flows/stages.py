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
        """Time the block under this name; repeated names add up."""
        started_s = time.perf_counter()
        say(f"{name} …")
        try:
            yield
        finally:
            seconds = time.perf_counter() - started_s
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        say(f"{name} done in {seconds:.1f} s")

    def times(self) -> tuple[StageTime, ...]:
        """Return the times so far."""
        return tuple(StageTime(name=name, seconds=round(seconds, 2)) for name, seconds in self._seconds.items())
