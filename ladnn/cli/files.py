"""Files that a person asks a command for."""

from pathlib import Path

from ladnn.errors import SettingsError
from ladnn.progress import say
from ladnn.whole_file import write_whole


def make_folder(path: Path) -> None:
    """Make a folder that a person named for files, before the work whose result goes there.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the folder {path}: {error.strerror}; name another one") from error


def write_asked(path: Path, data: bytes) -> None:
    """Write a file that a person named, and say so.

    Raises:
        SettingsError: it cannot be written there.
    """
    write_file(path, data)
    say(f"wrote {path}")


def write_file(path: Path, data: bytes) -> None:
    """Write a file that a person named, or one into a folder that a person named.

    Raises:
        SettingsError: it cannot be written there.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}; name a file in a folder of this user") from error
