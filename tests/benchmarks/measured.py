"""What a benchmark found."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A ratio with what it is made of and what is wanted of it."""

    name: str
    measured: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def wanted(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"

    @property
    def holds(self) -> bool:
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return self.at_most is not None and self.ratio <= self.at_most


def say(text: str) -> None:
    """Tell where a long benchmark stands."""
    print(text, file=sys.stderr, flush=True)
