"""Files that a person asks a command for."""

from pathlib import Path

from ladnn.errors import SettingsError
from ladnn.progress import say
from ladnn.whole_file import write_whole


def write_asked(path: Path, data: bytes) -> None:
    """Write a file that a person named, and say so.

    Raises:
        SettingsError: it cannot be written there.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}; name a file in a folder of this user") from error
    say(f"wrote {path}")
