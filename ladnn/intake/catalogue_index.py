"""What intake must look up in the catalogue, indexed in a SQLite file that can be deleted at any time.

Reading on from the last batch it knows, it costs the same however large the catalogue is.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ladnn.errors import ObjectNotFoundError, StoreError, StoreFullError
from ladnn.intake.catalogue import batch_key, read_batches
from ladnn.intake.duplicates import fine_distance, fingerprint_words, within_coarse_reach
from ladnn.intake.record import Quarantined
from ladnn.store import ObjectStore, read_json

_FORM = 1
"""Of the tables below; another form gets another file."""
_TABLES = """
CREATE TABLE state (n_batches INTEGER NOT NULL, last_batch TEXT NOT NULL);
INSERT INTO state VALUES (0, '');
CREATE TABLE contributions (id TEXT PRIMARY KEY, n_images INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE images (number INTEGER PRIMARY KEY, digest BLOB UNIQUE NOT NULL, patient TEXT NOT NULL,
  fingerprint BLOB NOT NULL);
CREATE TABLE coarse (part INTEGER PRIMARY KEY, hashes BLOB NOT NULL);
CREATE TABLE patients (name TEXT PRIMARY KEY, sex TEXT, born INTEGER) WITHOUT ROWID;
CREATE TABLE studies (name TEXT PRIMARY KEY, patient TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE quarantine (contribution TEXT, position INTEGER, frame INTEGER, reason TEXT, detail TEXT);
CREATE INDEX quarantined ON quarantine (contribution);
"""
_WAIT_S = 120.0
_PART_BYTES = 1 << 19
_MOST_LOOKALIKES = 20
"""Nearest fingerprints that are looked up: those of the same patient are many, and no duplicates."""
_Words = NDArray[np.uint64]


class Patient(NamedTuple):
    """What is known of a patient."""

    sex: str | None
    born: int | None
    """Year, from the age at an examination; may be one off."""


class CatalogueIndex:
    """A catalogue's index, opened; for one thread."""

    def __init__(self, connection: sqlite3.Connection, store: ObjectStore) -> None:
        self._connection, self._store = connection, store
        self._coarse: _Words = np.empty(0, np.uint64)
        self._new_coarse: list[np.uint64] = []
        """Of the open transaction; image n of the table has the n-th of both."""

    @property
    def n_batches(self) -> int:
        """Batches that are indexed."""
        return int(self._one("SELECT n_batches FROM state")[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what is added in the block, unless the block raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            self._new_coarse.clear()
            raise
        self._connection.commit()

    def catch_up(self) -> None:
        """Index the batches that were committed meanwhile."""
        for number, document in read_batches(self._store, self.n_batches):
            with self.transaction():
                if number == self.n_batches + 1:  # another process may have been here first
                    for outcome in document["outcomes"]:
                        self.add(outcome)
                    self.note_batch(number, document["outcomes"])

    def note_batch(self, number: int, outcomes: Sequence[dict[str, Any]]) -> None:
        """Note that a batch with these outcomes, as their JSON documents, is indexed, and how to recognise it."""
        new = np.array(self._new_coarse, dtype=np.uint64)
        if len(new):
            self._append_coarse(new.tobytes())
        self._new_coarse.clear()
        self._connection.execute("UPDATE state SET n_batches = ?, last_batch = ?", (number, _mark(outcomes)))

    def is_stale(self) -> bool:
        """Tell whether the store no longer holds the batches that were indexed."""
        number, last = self._one("SELECT n_batches, last_batch FROM state")
        if number == 0:
            return False
        try:
            found = _mark(read_json(self._store, batch_key(number))["outcomes"])
        except ObjectNotFoundError:
            return True
        return found != str(last)

    def ended(self, contribution: str) -> int | None:
        """Return how many images of a contribution are in the catalogue; None where it has not ended."""
        found = self._one("SELECT n_images FROM contributions WHERE id = ?", contribution)
        return found[0] if found else None

    def owner(self, image: str) -> str | None:
        """Return the group of an accepted image."""
        found = self._one("SELECT patient FROM images WHERE digest = ?", bytes.fromhex(image))
        return found[0] if found else None

    def lookalikes(self, fingerprint: str) -> list[tuple[str, str]]:
        """Return image and group of the accepted images whose fingerprint is within reach, nearest first."""
        wanted, known = fingerprint_words(fingerprint), self._known_coarse()
        new = np.array(self._new_coarse, dtype=np.uint64)
        positions = within_coarse_reach(known, wanted[0])
        positions += [len(known) + position for position in within_coarse_reach(new, wanted[0])]
        found = []
        for position in positions:
            query = "SELECT digest, patient, fingerprint FROM images WHERE number = ?"
            digest, patient, words = self._one(query, position + 1)
            distance = fine_distance(wanted, np.frombuffer(words, np.uint64))
            if distance is not None:
                found.append((distance, digest.hex(), patient))
        return [(digest, patient) for _, digest, patient in sorted(found)[:_MOST_LOOKALIKES]]

    def _known_coarse(self) -> _Words:
        """Read on in the coarse hashes of committed batches, in the order of their images' numbers."""
        if len(self._coarse) < self._one("SELECT coalesce(max(number), 0) FROM images")[0] - len(self._new_coarse):
            rows = self._connection.execute("SELECT hashes FROM coarse ORDER BY part")
            self._coarse = np.frombuffer(b"".join(row[0] for row in rows), np.uint64)
        return self._coarse

    def _append_coarse(self, hashes: bytes) -> None:
        """Keep hashes in few large parts, which are read quickly whatever lies between them in the file."""
        part, size = self._one("SELECT max(part), length(hashes) FROM coarse")
        if part is None or size >= _PART_BYTES:
            self._connection.execute("INSERT INTO coarse (hashes) VALUES (?)", (hashes,))
        else:
            query = "UPDATE coarse SET hashes = CAST(hashes || ? AS BLOB) WHERE part = ?"
            self._connection.execute(query, (hashes, part))

    def patient(self, group: str) -> Patient:
        """Return what is known of a patient."""
        found = self._one("SELECT sex, born FROM patients WHERE name = ?", group)
        return Patient(*found) if found else Patient(None, None)

    def patient_of_study(self, study: str) -> str | None:
        """Return the group of a study's images."""
        found = self._one("SELECT patient FROM studies WHERE name = ?", study)
        return found[0] if found else None

    def quarantine(self) -> list[Quarantined]:
        """Return what stands in quarantine, oldest first."""
        rows = self._connection.execute("SELECT contribution, position, frame, reason, detail FROM quarantine")
        names = ("contribution", "position", "frame", "reason", "detail")
        return [Quarantined.model_validate(dict(zip(names, row, strict=True))) for row in rows]

    def add(self, outcome: dict[str, Any]) -> None:
        """Add an outcome, as its JSON document."""
        contribution, accepted = outcome["contribution"], outcome["accepted"]
        self._connection.execute(
            "INSERT INTO contributions VALUES (?, ?) ON CONFLICT DO UPDATE SET n_images = n_images + excluded.n_images",
            (contribution, len(accepted) + len(outcome["known"])),
        )
        self._settle_quarantine(contribution, outcome)
        for record in accepted:
            self._add_image(record)
        for record in [*accepted, *outcome["known"]]:
            self._add_patient(record)

    def _settle_quarantine(self, contribution: str, outcome: dict[str, Any]) -> None:
        """Replace what was known of the places that an outcome speaks of; it may come from a release."""
        execute = self._connection.execute
        taken = [(r["position"], r["frame"]) for r in [*outcome["accepted"], *outcome["known"]]]
        places = [(q["position"], q["frame"]) for q in outcome["quarantined"]]
        execute("DELETE FROM quarantine WHERE contribution = ? AND position IS NULL", (contribution,))
        for position, frame in taken + [place for place in places if place[0] is not None]:
            execute(
                "DELETE FROM quarantine WHERE contribution = ?1 AND position = ?2 "
                "AND (frame IS NULL OR ?3 IS NULL OR frame = ?3)",
                (contribution, position, frame),
            )
        for item in outcome["quarantined"]:
            execute(
                "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)",
                (contribution, item["position"], item["frame"], item["reason"], item["detail"]),
            )

    def _add_image(self, record: dict[str, Any]) -> None:
        words = fingerprint_words(record["fingerprint"])
        self._connection.execute(
            "INSERT INTO images (digest, patient, fingerprint) VALUES (?, ?, ?)",
            (bytes.fromhex(record["image"]), record["group"], words.tobytes()),
        )
        self._new_coarse.append(words[0])

    def _add_patient(self, record: dict[str, Any]) -> None:
        self._connection.execute("INSERT OR IGNORE INTO studies VALUES (?, ?)", (record["study"], record["group"]))
        if record["group_basis"] == "patient":
            examined_on = record["studied_on"] or record["contributed_on"]
            self._connection.execute(
                "INSERT INTO patients VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET sex = coalesce(sex, excluded.sex), born = coalesce(born, excluded.born)",
                (record["group"], record["sex"], birth_year(record["age_y"], date.fromisoformat(examined_on))),
            )

    def _one(self, query: str, *values: object) -> Any:
        return self._connection.execute(query, values).fetchone()


def birth_year(age_y: int | None, examined_on: date) -> int | None:
    """Return the year in which a patient was born, one off at most; None where the age is unknown."""
    return None if age_y is None else examined_on.year - age_y


@contextmanager
def open_index(store: ObjectStore, cache: Path) -> Iterator[CatalogueIndex]:
    """Open the index of a store's catalogue, up to date; a missing or foreign one is made anew."""
    cache.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(store.url.encode()).hexdigest()[:16]
    path = cache / f"catalogue-{_FORM}-{name}.sqlite"
    with _explained(path), closing(_connect(path)) as connection:
        index = CatalogueIndex(connection, store)
        if not _tables(connection) or index.is_stale():  # a mere reader does not wait for an intake to commit
            with index.transaction():
                if not _tables(connection) or index.is_stale():
                    _make_tables(connection)
        index.catch_up()
        yield index


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise StoreError("another intake of this host is committing; run the command again later") from error
        kind = StoreFullError if "full" in str(error) else StoreError
        raise kind(f"cannot use {path} ({error}); free space, or delete the file: it is made again") from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # such as no space or a lock: the file itself is sound
            raise
        path.unlink(missing_ok=True)
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA mmap_size = 4294967296")
        connection.execute(
            "PRAGMA quick_check(1)" if path.stat().st_size < 1_000_000 else "SELECT 1 FROM sqlite_master"
        )
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _make_tables(connection: sqlite3.Connection) -> None:
    for table in _tables(connection):
        connection.execute(f"DROP TABLE {table}")
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _mark(outcomes: Sequence[dict[str, Any]]) -> str:
    """Return what tells a batch from another one of its number: the digest of its contributions and images."""
    names = [name for o in outcomes for name in (o["contribution"], *(record["image"] for record in o["accepted"]))]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
