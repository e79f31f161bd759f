"""Owns working ahead of a reader: other threads compute what comes next, in order, a bounded number of items ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    threads: Executor, function: Callable[[Item], Result], items: Iterable[Item], n_ahead: int
) -> Iterator[Result]:
    """Yield what a function makes of each item; `Executor.map` would take all items at once."""
    ahead: deque[Future[Result]] = deque()
    for item in items:
        ahead.append(threads.submit(function, item))
        if len(ahead) > n_ahead:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()
