"""Dataset versions: frozen manifests (Parquet) whose id is the digest of their contents.

`datasets/<id>/version.json` is written last and makes a version complete.
"""

import hashlib
import io
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.config import DataConfig
from ladnn.dataset.split import SPLITS, Group, Split, place_groups
from ladnn.errors import DatasetError, DigestMismatchError, EmptyInboxError, LeakageError
from ladnn.intake.process import read_outcomes
from ladnn.intake.record import Record
from ladnn.labels import DIAGNOSIS, LABELS, LESIONS
from ladnn.store import ObjectStore, read_json, write_json_if_absent


class SplitCount(BaseModel):
    """Images and groups (patients) of one split."""

    model_config = ConfigDict(frozen=True)

    n_images: int
    n_groups: int
    n_positive: int
    n_negative: int


class DatasetVersion(BaseModel):
    """What identifies and describes a frozen dataset version."""

    model_config = ConfigDict(frozen=True)

    id: str
    test_version: str
    """Digest of the test part alone: the ledger counts openings of it."""
    synthetic: bool
    n_images: int
    n_groups: int
    splits: dict[Split, SplitCount]


def freeze(store: ObjectStore, data: DataConfig) -> DatasetVersion:
    """Freeze what intake has accepted; the same records give the same version again.

    Raises:
        EmptyInboxError: intake has accepted nothing of the asked kind yet.
        LeakageError: a group or an image stands in two splits.
    """
    records = [r for o in read_outcomes(store) for r in o.accepted if r.synthetic == data.synthetic]
    if not records:
        kind = "synthetic" if data.synthetic else "real"
        raise EmptyInboxError(
            f"no {kind} image has been accepted in {store.url}; contribute some "
            "(`ladnn import covid-ct DIR` or `ladnn phantoms`), and see `ladnn intake` for what was set aside"
        )
    manifest = _manifest(records, place_groups(store, _groups(records)))
    check_leakage(manifest)
    version = _describe(manifest, data)
    buffer = io.BytesIO()
    manifest.to_parquet(buffer, index=False)
    store.put_if_absent(_manifest_key(version.id), buffer.getvalue())
    write_json_if_absent(store, _version_key(version.id), version.model_dump(mode="json"))
    return version


def load_version(store: ObjectStore, version_id: str) -> DatasetVersion:
    """Read the description of a dataset version."""
    return DatasetVersion.model_validate(read_json(store, _version_key(version_id)))


def load_manifest(store: ObjectStore, version_id: str) -> pd.DataFrame:
    """Read the records of a version, one row an image, sorted by image digest.

    Raises:
        DigestMismatchError: its contents are not those that its id states.
    """
    damaged = f"dataset version {version_id} is damaged: its records have another digest; restore it"
    data = store.get(_manifest_key(version_id))
    try:
        manifest = pd.read_parquet(io.BytesIO(data))
    except (ValueError, OSError) as error:  # what Arrow raises on damaged files
        raise DigestMismatchError(damaged) from error
    if _version_id(manifest) != version_id:
        raise DigestMismatchError(damaged)
    check_leakage(manifest)
    return manifest


def rows_of(manifest: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Return the rows of one split."""
    return manifest[manifest["split"] == split].reset_index(drop=True)


def label_matrix(rows: pd.DataFrame) -> NDArray[np.float32]:
    """Return the labels, float32 (N, 6) in the order of `LABELS`: 1, 0 or NaN (unknown)."""
    return rows[list(LABELS)].to_numpy(dtype=np.float32)


def check_leakage(manifest: pd.DataFrame) -> None:
    """Refuse a manifest in which a group or an image stands in two splits.

    Raises:
        LeakageError: names the first offender.
    """
    for column in ("group", "image"):
        n_splits = manifest.groupby(column)["split"].nunique()
        if (n_splits > 1).any():
            raise LeakageError(
                f"{column} {n_splits.idxmax()} stands in {n_splits.max()} splits; this dataset version must not be used"
            )


def _groups(records: list[Record]) -> dict[str, Group]:
    by_group: dict[str, list[Record]] = {}
    for record in records:
        by_group.setdefault(record.group, []).append(record)
    return {name: _group(name, members) for name, members in by_group.items()}


def _group(name: str, members: list[Record]) -> Group:
    diagnoses = {r.labels[DIAGNOSIS].value for r in members if DIAGNOSIS in r.labels}
    # Where contributions ask for different splits the first one counts: an error would stop every later version.
    first = min(members, key=lambda record: (record.contributed_on, record.contribution))
    lesions = {code for r in members for code in LESIONS if code in r.labels and r.labels[code].value == 1}
    negative = "negative" if 0 in diagnoses else "unknown"
    stratum = f"positive-{len(lesions)}" if 1 in diagnoses else negative
    return Group(name, stratum, first.requested_split)


def _manifest(records: list[Record], splits: dict[str, Split]) -> pd.DataFrame:
    rows = [_row(record, splits[record.group]) for record in sorted(records, key=lambda record: record.image)]
    frame = pd.DataFrame(rows)
    return frame.astype({code: "float64" for code in LABELS} | {"age_y": "float64"})


def _row(record: Record, split: Split) -> dict[str, Any]:
    row = record.model_dump(mode="json", exclude={"labels", "requested_split"})
    row |= {code: record.labels[code].value if code in record.labels else None for code in LABELS}
    provenance = {
        code: label.model_dump(mode="json", exclude={"value"}) for code, label in sorted(record.labels.items())
    }
    return row | {"label_provenance": json.dumps(provenance, sort_keys=True), "split": split}


def _version_id(manifest: pd.DataFrame) -> str:
    return "d-" + _digest(manifest)


def _digest(rows: pd.DataFrame) -> str:
    lines = rows.to_json(orient="records", lines=True, double_precision=6)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _describe(manifest: pd.DataFrame, data: DataConfig) -> DatasetVersion:
    splits = {name: _count(rows_of(manifest, name)) for name in SPLITS}
    for name in ("train", "validation"):
        if splits[name].n_positive == 0 or splits[name].n_negative == 0:
            raise DatasetError(
                f"the {name} part has {splits[name].n_positive} positive and {splits[name].n_negative} negative images; "
                "contribute more patients of the missing kind"
            )
    return DatasetVersion(
        id=_version_id(manifest),
        test_version="t-" + _digest(rows_of(manifest, "test")),
        synthetic=data.synthetic,
        n_images=len(manifest),
        n_groups=manifest["group"].nunique(),
        splits=splits,
    )


def _count(rows: pd.DataFrame) -> SplitCount:
    return SplitCount(
        n_images=len(rows),
        n_groups=rows["group"].nunique(),
        n_positive=int((rows[DIAGNOSIS] == 1).sum()),
        n_negative=int((rows[DIAGNOSIS] == 0).sum()),
    )


def _manifest_key(version_id: str) -> str:
    return f"datasets/{version_id}/manifest.parquet"


def _version_key(version_id: str) -> str:
    return f"datasets/{version_id}/version.json"
