"""Results for programs: one JSON document on stdout, and nothing else there, whatever a library prints."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ladnn.store import canonical_json


@contextmanager
def results_only_on_stdout() -> Iterator[None]:
    """Send what libraries print to stdout to stderr while the block runs."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def emit(result: BaseModel | Any) -> None:
    """Print one document to stdout; missing numbers are null."""
    sys.stdout.buffer.write(canonical_json(to_jsonable_python(result)) + b"\n")
    sys.stdout.flush()
