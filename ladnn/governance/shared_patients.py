"""Which patients versions of the test set share: a version with other labels, or a few patients more, is no new test set."""

from collections.abc import Collection

import pandas as pd

from ladnn.dataset.version import list_versions, test_patients
from ladnn.errors import DigestMismatchError, ObjectNotFoundError
from ladnn.store import ObjectStore


class SharedPatients:
    """The patients of test-set versions, each read once, from the dataset versions that hold them."""

    def __init__(self, store: ObjectStore) -> None:
        """Find out which dataset versions there are."""
        self._store = store
        self._datasets: dict[str, list[str]] = {}
        for version in list_versions(store):
            if version.splits["test"].n_images:
                self._datasets.setdefault(version.test_version, []).append(version.id)
        self._rows: dict[str, pd.DataFrame | None] = {}

    @property
    def versions(self) -> list[str]:
        """Test-set versions that were frozen and hold patients, oldest first."""
        return list(self._datasets)

    def n_patients(self, test_version: str) -> int | None:
        """Return how many patients a version holds; None where it cannot be read."""
        rows = self._of(test_version)
        return None if rows is None else rows["group"].nunique()

    def share(self, test_version: str, others: Collection[str]) -> float:
        """Return the share of a version's patients that at least one of some other versions holds, from 0 to 1.

        A patient is known again by name or by one of the pictures, as two patients that turn out to be one change their
        name. Where either side cannot be read the share is 1: what was looked at must not be forgotten with the data.
        """
        rows = self._of(test_version)
        seen = [part for other in others if (part := self._of(other)) is not None]
        if test_version in others or rows is None or len(seen) < len(others):
            return 1.0
        known = pd.Series(False, index=rows.index)
        for part in seen:
            known |= rows["group"].isin(part["group"]) | rows["image"].isin(part["image"])
        return float(rows.loc[known, "group"].nunique() / rows["group"].nunique())

    def _of(self, test_version: str) -> pd.DataFrame | None:
        if test_version not in self._rows:
            self._rows[test_version] = self._read(test_version)
        return self._rows[test_version]

    def _read(self, test_version: str) -> pd.DataFrame | None:
        for dataset_version in self._datasets.get(test_version, []):
            try:
                return test_patients(self._store, dataset_version)
            except (ObjectNotFoundError, DigestMismatchError):  # another dataset version may have the same test part
                continue
        return None
