"""Owns homes that are brought back to how they were at any write: only what changed is copied, back and forth."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path

from s3_server import S3Server
from trained_platform import TrainedPlatform

from ladnn.platform import open_platform
from ladnn.settings import Settings, read_settings
from ladnn.store import ObjectStore

UNPOOLED = {"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"}
_DATABASE = "mlflow"
_PREFIX = "lab/"
_NUMBERS = count()
"""Of copies and databases."""
_USED = ("promotions/", "log_lengths/", "bundles/", "retrains/", "datasets/", "challengers/", "checkpoints/", "cards/")


@dataclass(frozen=True)
class Installation(TrainedPlatform):
    """A home with variables of its own, such as those of a bucket."""

    variables: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """All that a command needs to find it."""
        return {"LADNN_HOME": str(self.home)} | dict(self.variables)

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    @property
    def store(self) -> ObjectStore:
        return _opened(self.settings)


@dataclass(frozen=True)
class State:
    """A home as it was: copies of its files by their place in it, and the digests of the objects of its bucket."""

    files: dict[Path, Path]
    objects: dict[str, str]


class RestorableHome:
    """A home whose states are kept and brought back; its objects are files, or are moved to a bucket.

    Args:
        platform: has the home.
        folder: for the copies.
        known: a state of this home that was kept before.
    """

    def __init__(self, platform: TrainedPlatform, folder: Path, known: State | None = None) -> None:
        self._platform = Installation(platform.home, platform.retrain_id, platform.bundle_id)
        self._folder, self._database = folder, f"{next(_NUMBERS)}.db"
        self._files = dict(known.files) if known else {}
        self._bucket, self._client = "", None
        self._contents: dict[str, bytes] = {}

    def move_to_bucket(self, server: S3Server) -> None:
        """Copy the objects to a bucket, where they are from now on."""
        files, options, bucket = self._platform.store, server.options, server.make_bucket()
        self._bucket, self._client = bucket, server.client()
        variables = {
            "LADNN_STORE_URL": f"s3://{bucket}/{_PREFIX}",
            "LADNN_S3_ENDPOINT_URL": options.endpoint_url,
            "AWS_ACCESS_KEY_ID": options.access_key_id,
            "AWS_SECRET_ACCESS_KEY": options.secret_access_key,
            "AWS_REGION": options.region,
            "LADNN_SIGNING_KEY": str(self._platform.home / "signing.key"),
        }
        self._platform = replace(self._platform, variables=tuple(variables.items()))
        for prefix in _USED:
            for key in files.list(prefix):
                self._platform.store.put(key, files.get(key))

    def keep(self) -> State:
        """Copy what changed since the last state that was kept."""
        folder = self._folder / str(next(_NUMBERS))
        for place, path in _files(self._platform.home):
            known = self._files.get(place)
            if known is None or _changed(path, known):
                self._files[place] = folder / place
                self._files[place].parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, self._files[place])
        there = {place for place, _ in _files(self._platform.home)}
        self._files = {place: copy for place, copy in self._files.items() if place in there}
        objects = self._objects()
        for key, digest in objects.items():
            if digest not in self._contents:
                self._contents[digest] = self._platform.store.get(key)
        return State(dict(self._files), objects)

    def restore(self, state: State) -> Installation:
        """Bring a state back. MLflow must keep no connection to the file that its database was before (`UNPOOLED`)."""
        home = self._platform.home
        wanted = {_renamed(place, self._database): copy for place, copy in state.files.items()}
        for place, path in list(_files(home)):
            if place not in wanted:
                path.unlink()
        for place, copy in wanted.items():
            if not (home / place).exists() or _changed(home / place, copy):
                (home / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(copy, home / place)
        self._restore_objects(state)
        tracking = ("LADNN_TRACKING_URI", f"sqlite:///{home / _DATABASE / self._database}")
        return replace(self._platform, variables=(*self._platform.variables, tracking))

    def _objects(self) -> dict[str, str]:
        """Return the digest (of S3's kind) of every object of the bucket, by its key."""
        if self._client is None:
            return {}
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_PREFIX)
        return {item["Key"].removeprefix(_PREFIX): item["ETag"] for page in pages for item in page.get("Contents", ())}

    def _restore_objects(self, state: State) -> None:
        found = self._objects()
        for key, digest in state.objects.items():
            if found.get(key) != digest:
                self._platform.store.put(key, self._contents[digest])
        for key in found.keys() - state.objects.keys():
            self._client.delete_object(Bucket=self._bucket, Key=f"{_PREFIX}{key}")


@cache  # a client of S3 takes a tenth of a second to make
def _opened(settings: Settings) -> ObjectStore:
    return open_platform(settings).store


def _files(home: Path) -> Iterator[tuple[Path, Path]]:
    for folder, _, names in os.walk(home):
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(home), path


def _changed(path: Path, copy: Path) -> bool:
    here, there = path.stat(), copy.stat()
    return (here.st_size, here.st_mtime_ns) != (there.st_size, there.st_mtime_ns)


def _renamed(place: Path, database: str) -> Path:
    """Return the new place of MLflow's database and of the journal of a transaction that was broken off."""
    if place.parent != Path(_DATABASE) or ".db" not in place.name:
        return place
    return place.with_name(database + place.name.partition(".db")[2])
