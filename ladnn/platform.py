"""One installation, opened: its settings and its object store, checked before any work begins."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ladnn.errors import RetrainError, SettingsError, StoreFullError
from ladnn.settings import Settings, read_settings
from ladnn.store import ObjectStore, S3Options, open_store

LEAST_FREE_BYTES = 500_000_000
"""Free space a retrain starts with at least: databases, pixel cache, weights and graphs of a few variants."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What every command needs."""

    settings: Settings
    store: ObjectStore
    weights: ObjectStore | None = None
    """Folder of the operator's own ImageNet weights."""


def open_platform(settings: Settings | None = None) -> Platform:
    """Open the installation that the environment describes.

    Raises:
        SettingsError: a variable is wrong.
        StoreAccessError: the store refuses the credentials or cannot be reached.
    """
    settings = settings or read_settings()
    options = S3Options(
        endpoint_url=settings.s3_endpoint_url,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        region=settings.s3_region,
    )
    store = open_store(settings.store_url, options)
    store.check_access()
    url = settings.weights_url
    return Platform(settings, store, open_store(url, options, "LADNN_WEIGHTS_URL") if url else None)


def check_free_space(settings: Settings) -> None:
    """Refuse to begin what a full disk would break off.

    Raises:
        StoreFullError: less than `LEAST_FREE_BYTES` are free under LADNN_HOME.
        SettingsError: LADNN_HOME cannot be made.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(settings.home).free
    except OSError as error:
        raise SettingsError(f"LADNN_HOME is {settings.home}: {error.strerror}; name a folder of this user") from error
    if free < LEAST_FREE_BYTES:
        raise StoreFullError(
            f"only {free / 1e6:.0f} MB are free under {settings.home}, a retrain needs {LEAST_FREE_BYTES / 1e6:.0f} MB; "
            "free space or set LADNN_HOME to a larger disk"
        )


@contextmanager
def only_one_retrain(settings: Settings) -> Iterator[None]:
    """Keep a second retrain or rollback of this LADNN_HOME out; a killed one leaves no lock behind.

    Raises:
        RetrainError: one is running.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    path = settings.home / "retrain.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetrainError(f"another retrain is running here (it holds {path}); wait for it to end") from error
        yield


def is_retraining(settings: Settings) -> bool:
    """Tell whether a retrain of this LADNN_HOME is running."""
    try:
        with only_one_retrain(settings):
            return False
    except RetrainError:
        return True
