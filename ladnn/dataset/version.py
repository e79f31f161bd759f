"""Dataset versions: what describes a frozen version, and how it is found and read again.

A version is a manifest (Parquet) whose id is the digest of its contents; `datasets/<id>/version.json` is written last
and makes it complete. `ladnn.dataset.freezing` makes versions.
"""

import hashlib
import io
from collections.abc import Iterator
from datetime import date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.split import Split
from ladnn.errors import DatasetError, DigestMismatchError, LeakageError
from ladnn.labels import LABELS
from ladnn.store import ObjectStore, read_json

_VERSIONS = "datasets/"


class SplitCount(BaseModel):
    """Images and groups (patients) of one split; a patient with images of both kinds counts under both."""

    model_config = ConfigDict(frozen=True)

    n_images: int
    n_groups: int
    n_positive: int
    n_negative: int
    n_positive_groups: int
    n_negative_groups: int


class DatasetVersion(BaseModel):
    """What identifies and describes a frozen dataset version."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Digest of the manifest and of the cut."""
    test_version: str
    """Digest of the test part alone: the ledger counts openings of it."""
    synthetic: bool
    cut: str | None
    """Name of the cut; None where every contribution was taken."""
    after: date | None
    """Contributed later than this day (UTC)."""
    until: date | None
    """Contributed on this day (UTC) at the latest."""
    frozen_at: datetime
    """When it was frozen first; no part of the digest."""
    n_outcomes: int
    """Outcomes of intake that were there when it was frozen first; no part of the digest."""
    n_images: int
    n_groups: int
    n_left_out: int
    """Images left out because they look like an image of another split."""
    splits: dict[Split, SplitCount]


def list_versions(store: ObjectStore) -> list[DatasetVersion]:
    """Return all complete versions, oldest first."""
    versions = [load_version(store, version_id) for version_id in _version_ids(store)]
    return sorted(versions, key=lambda version: (version.frozen_at, version.id))


def find_version(store: ObjectStore, prefix: str | None = None) -> DatasetVersion:
    """Return the version whose id begins so; without a prefix the one that was frozen last.

    Raises:
        DatasetError: there is none, or several begin so; the message names those there are.
    """
    if prefix is None:
        versions = list_versions(store)
        if not versions:
            raise DatasetError(f"no dataset version has been frozen in {store.url}; run `ladnn dataset freeze`")
        return versions[-1]
    known = list(_version_ids(store))
    found = [name for name in known if name == prefix] or [name for name in known if name.startswith(prefix)]
    if len(found) == 1:
        return load_version(store, found[0])
    wrong = f"{prefix!r} begins {len(found)} dataset versions" if found else f"there is no dataset version {prefix!r}"
    there = ", ".join((found or known)[:20]) or "none yet; run `ladnn dataset freeze`"
    raise DatasetError(f"{wrong}; there are: {there}")


def load_version(store: ObjectStore, version_id: str) -> DatasetVersion:
    """Read the description of a dataset version.

    Raises:
        ObjectNotFoundError: it was never frozen.
    """
    return DatasetVersion.model_validate(read_json(store, document_key(version_id, "version.json")))


def load_manifest(store: ObjectStore, version_id: str) -> pd.DataFrame:
    """Read the records of a version, one row an image, sorted by image digest.

    Raises:
        ObjectNotFoundError: it was never frozen.
        DigestMismatchError: its contents are not those that its id states.
    """
    version, manifest = load_version(store, version_id), _read_manifest(store, version_id)
    if id_of(manifest, version.cut, version.after, version.until) != version_id:
        raise DigestMismatchError(_damaged(version_id))
    check_leakage(manifest)
    return manifest


def manifest_images(store: ObjectStore, version_id: str) -> set[str]:
    """Return the digests of a version's images, also where what describes the version is lost.

    Raises:
        ObjectNotFoundError: it was never frozen.
        DigestMismatchError: its contents are not those that were written.
    """
    return set(_read_manifest(store, version_id)["image"])


def test_patients(store: ObjectStore, version_id: str) -> pd.DataFrame:
    """Return group and image of each row of a version's test part, unchecked.

    Raises:
        ObjectNotFoundError: it was never frozen.
        DigestMismatchError: its contents are not those that were written.
    """
    return rows_of(_read_manifest(store, version_id), "test")[["group", "image"]]


test_patients.__test__ = False  # type: ignore[attr-defined]


def rows_of(manifest: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Return the rows of one split."""
    return manifest[manifest["split"] == split].reset_index(drop=True)


def label_matrix(rows: pd.DataFrame) -> NDArray[np.float32]:
    """Return the labels, float32 (N, 6) in the order of `LABELS`: 1, 0 or NaN (unknown)."""
    return rows[list(LABELS)].to_numpy(dtype=np.float32)


def check_leakage(manifest: pd.DataFrame) -> None:
    """Refuse a manifest in which a group, a patient, a study or an image stands in two splits.

    Raises:
        LeakageError: names the first offender.
    """
    for column in ("group", "patient", "study", "image"):
        n_splits = manifest.groupby(column)["split"].nunique()
        if (n_splits > 1).any():
            raise LeakageError(
                f"{column} {n_splits.idxmax()} stands in {n_splits.max()} splits; this dataset version must not be used"
            )


def id_of(manifest: pd.DataFrame, cut: str | None, after: date | None, until: date | None) -> str:
    """Return the id of a version with these records and this cut."""
    return "d-" + digest_of(manifest, "" if cut is None else f"cut {cut!r} after {after} until {until}")


def digest_of(rows: pd.DataFrame, scope: str = "") -> str:
    """Return the digest of rows and of what else they stand for, 16 hexadecimal digits."""
    lines = rows.to_json(orient="records", lines=True, double_precision=6)
    return hashlib.sha256(lines.encode() + scope.encode()).hexdigest()[:16]


def document_key(version_id: str, name: str) -> str:
    """Key of what is kept with a version, such as `card.json`."""
    return f"{_VERSIONS}{version_id}/{name}"


def _read_manifest(store: ObjectStore, version_id: str) -> pd.DataFrame:
    data = store.get(document_key(version_id, "manifest.parquet"))
    try:
        return pd.read_parquet(io.BytesIO(data))
    except (ValueError, OSError) as error:  # what Arrow raises on damaged files
        raise DigestMismatchError(_damaged(version_id)) from error


def _damaged(version_id: str) -> str:
    return f"dataset version {version_id} is damaged: its records have another digest; restore it"


def _version_ids(store: ObjectStore) -> Iterator[str]:
    for key in store.list(_VERSIONS):
        name, _, document = key.removeprefix(_VERSIONS).partition("/")
        if document == "version.json":
            yield name
