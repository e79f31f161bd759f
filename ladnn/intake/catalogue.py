"""The catalogue: numbered, append-only batches of outcomes. A batch, created only if absent, is what commits intake.

`catalogue/00000001.json` holds outcomes; the reports they speak of lie together in one document under `reports/`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

from ladnn.errors import ObjectNotFoundError
from ladnn.intake.record import Outcome, Record
from ladnn.prefetch import map_ahead
from ladnn.store import ObjectStore, canonical_json, read_json, write_json_if_absent
from ladnn.store.log import entry_key, entry_keys

BATCHES = "catalogue/"
_THREADS = 4


def batch_key(number: int) -> str:
    """Key of a batch, numbered from 1."""
    return entry_key(BATCHES, number)


def append_batch(store: ObjectStore, number: int, outcomes: Sequence[Outcome], reports: Mapping[str, str]) -> bool:
    """Commit outcomes as a batch; False where another process has taken the number.

    Args:
        store: holds the catalogue.
        number: one more than the batches that the outcomes took into account.
        outcomes: their records name a report by the digest of its text.
        reports: text by digest, without identifiers.
    """
    document = canonical_json(dict(reports))
    place = hashlib.sha256(document).hexdigest()[:32]
    if reports:
        store.put_if_absent(_reports_key(place), document)
    placed = [_place_reports(outcome, place) for outcome in outcomes]
    return write_json_if_absent(store, batch_key(number), {"outcomes": [o.model_dump(mode="json") for o in placed]})


def read_outcomes(store: ObjectStore) -> Iterator[Outcome]:
    """Yield every outcome, in the order in which they were committed."""
    for _, document in read_batches(store):
        for outcome in document["outcomes"]:
            yield Outcome.model_validate(outcome)


def read_batches(store: ObjectStore, after: int = 0) -> Iterator[tuple[int, Any]]:
    """Yield number and raw document of the batches after a number.

    Raises:
        StoreError: the catalogue has lost a batch that was not its last, whose contributions would be taken in again.
    """
    keys = entry_keys(store, BATCHES, after)
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from enumerate(map_ahead(threads, partial(read_json, store), keys, _THREADS), start=after + 1)


def report_digest(text: str) -> str:
    """Return the name of a report's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_report_text(store: ObjectStore, record: Record) -> str | None:
    """Read the report of a record, as it was when labels were read from it; None where it has none.

    Raises:
        ObjectNotFoundError: the report is missing from the store.
    """
    if record.report is None:
        return None
    place, _, digest = record.report.partition("/")
    reports = _reports(store, place)
    if digest not in reports:
        raise ObjectNotFoundError(f"{_reports_key(place)} in {store.url} lacks a report; restore it from backup")
    return reports[digest]


@lru_cache(maxsize=4)  # records of one batch share a document and are read one after the other
def _reports(store: ObjectStore, place: str) -> dict[str, str]:
    document: dict[str, str] = read_json(store, _reports_key(place))
    return document


def _reports_key(place: str) -> str:
    return f"reports/{place[:2]}/{place}.json"


def _place_reports(outcome: Outcome, place: str) -> Outcome:
    def placed(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(r.model_copy(update={"report": f"{place}/{r.report}"}) if r.report else r for r in records)

    return outcome.model_copy(update={"accepted": placed(outcome.accepted), "known": placed(outcome.known)})
