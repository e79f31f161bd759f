"""Owns dataset versions of which only the test part matters: whose pictures they hold."""

import hashlib
import io
from collections.abc import Iterable
from datetime import UTC, datetime

import pandas as pd

from ladnn.dataset.split import SPLITS
from ladnn.dataset.version import DatasetVersion, SplitCount, document_key
from ladnn.store import ObjectStore, write_json


def freeze_part(
    store: ObjectStore, test_version: str, patients: Iterable[str], pictures: Iterable[str] | None = None
) -> str:
    """Write a dataset version with one test picture a patient, named after the patient if not told; return its id."""
    names = list(patients)
    images = [f"picture of {name}" for name in names] if pictures is None else list(pictures)
    dataset_version = f"d-{hashlib.sha256(test_version.encode()).hexdigest()[:16]}"
    count = dict.fromkeys(SplitCount.model_fields, len(names))
    version = DatasetVersion(
        id=dataset_version,
        test_version=test_version,
        synthetic=True,
        cut=None,
        after=None,
        until=None,
        frozen_at=datetime.now(UTC),
        n_outcomes=1,
        n_images=len(names),
        n_groups=len(names),
        n_left_out=0,
        splits={split: SplitCount(**count) for split in SPLITS},
    )
    buffer = io.BytesIO()
    pd.DataFrame({"split": "test", "group": names, "image": images}).to_parquet(buffer, index=False)
    store.put(document_key(dataset_version, "manifest.parquet"), buffer.getvalue())
    write_json(store, document_key(dataset_version, "version.json"), version.model_dump(mode="json"))
    return dataset_version


def patients(first: int, last: int) -> list[str]:
    """Return the names of the patients from one number to before another."""
    return [f"p{number}" for number in range(first, last)]
