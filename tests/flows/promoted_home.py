"""What the tests know of the home on which one whole retrain has run."""

from dataclasses import dataclass
from pathlib import Path

from ladnn_command import Finished, Home


@dataclass(frozen=True)
class Promoted:
    """A home with a champion, the command that made it, and what its processes connected to."""

    home: Home
    config: Path
    first: Finished
    corrupted: str
    connections: Path | None
