"""Owns how files outside the object store are written: whole, or not at all."""

import os
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it and rename it, so that no reader meets half of it; durable on return.

    Raises:
        OSError: it cannot be written; a file that was there is untouched.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
