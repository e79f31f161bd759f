"""The test-set ledger: which retrain opened which version of the test set, with which bundles, and when.

Every look at a test set wears it out a little, because what is promoted depends on it. Records are only ever added.
"""

from datetime import UTC, datetime

from ladnn.store import ObjectStore, write_json_if_absent


def record_opening(store: ObjectStore, test_version: str, retrain_id: str, opened_by: tuple[str, ...]) -> int:
    """Note that a retrain opens a test set, and return how often it has been opened, this time included.

    To be called before the test set is read, so that an opening that dies half-way still counts. A retrain that runs
    again opens it once: the first record stays.

    Args:
        store: holds `ledger/<test_version>/<retrain_id>.json`.
        test_version: identifies the records of the test part.
        retrain_id: identifies the retrain.
        opened_by: ids of the bundles that are measured, the candidate and the champion.
    """
    record = {
        "test_version": test_version,
        "retrain_id": retrain_id,
        "opened_by": list(opened_by),
        "opened_at": datetime.now(UTC).isoformat(),
    }
    write_json_if_absent(store, f"{_folder(test_version)}{retrain_id}.json", record)
    return count_openings(store, test_version)


def count_openings(store: ObjectStore, test_version: str) -> int:
    """Return how many retrains have opened this version of the test set."""
    return sum(1 for _ in store.list(_folder(test_version)))


def _folder(test_version: str) -> str:
    return f"ledger/{test_version}/"
