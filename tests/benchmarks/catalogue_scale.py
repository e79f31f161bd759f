"""What 100 new images cost with 1,000,000 records behind them, against 10,000; each time in a process of its own."""

import hashlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from factories import KEY, TODAY, encoded, make_record, make_study, picture
from measured import Measured, say
from slices import study_files

from ladnn.intake.catalogue import batch_key
from ladnn.intake.catalogue_index import open_index
from ladnn.intake.inbox import INBOX, contribute
from ladnn.intake.process import Desk, take_in
from ladnn.store import ObjectStore, canonical_json, open_store

SMALL, LARGE = 10_000, 1_000_000
N_TURNS = 3
_PER_CONTRIBUTION, _PER_BATCH = 10, 100
_PAST_DAYS = 365
_MOST_BYTES = 1 << 30


def run() -> Iterator[Measured]:
    with TemporaryDirectory() as folder:
        homes = {n: Path(folder) / str(n) for n in (SMALL, LARGE)}
        for n_records, home in homes.items():
            say(f"catalogue scale: making {n_records} records …")
            _make_catalogue(_open(home), home, n_records)
            say(f"catalogue scale: their index is made anew in {_child(home, 'index')['seconds']:.1f} s")
        turns: dict[int, list[dict[str, float]]] = {n: [] for n in homes}
        for turn in range(N_TURNS + 1):
            for n_records, home in homes.items():
                _send_new(_open(home), turn)
                measured = _child(home, "intake")
                if turn:  # the first one warms the disk's cache
                    turns[n_records].append(measured)
                    say(f"catalogue scale: 100 images behind {n_records}: {measured['seconds']:.2f} s")
    small, large = (statistics.median(m["seconds"] for m in turns[n]) for n in (SMALL, LARGE))
    peak = max(measured["peak_bytes"] for measured in turns[LARGE])
    yield Measured(
        "100 new images behind 1,000,000 records against 10,000",
        f"{large:.2f} s against {small:.2f} s",
        large / small,
        at_most=1.2,
    )
    yield Measured(
        "peak memory of that intake against 1 GiB", f"{peak / 2**20:.0f} MiB", peak / _MOST_BYTES, at_most=1.0
    )


def _open(home: Path) -> ObjectStore:
    return open_store((home / "store").as_uri())


def _make_catalogue(store: ObjectStore, home: Path, n_records: int) -> None:
    """Write batches and inbox as a year of intakes would have left them, but without a sync for each."""
    template = make_record("patient").model_dump(mode="json")
    root, number = home / "store", 0
    outcomes = []
    for first in range(0, n_records, _PER_CONTRIBUTION):
        day = TODAY - timedelta(days=30 + (first // _PER_CONTRIBUTION) % _PAST_DAYS)
        contribution = f"t{day:%Y%m%d}-lab-{first:016x}"
        records = [_record(template, contribution, first + offset) for offset in range(_PER_CONTRIBUTION)]
        outcomes.append(
            {"contribution": contribution, "accepted": records, "known": [], "quarantined": [], "links": []}
        )
        folder = root / INBOX / contribution
        folder.mkdir(parents=True)
        (folder / "study.json").write_bytes(b"{}")
        if len(outcomes) * _PER_CONTRIBUTION >= _PER_BATCH:
            number += 1
            path = root / batch_key(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(canonical_json({"outcomes": outcomes}))
            outcomes = []
    (root / "intake").mkdir()
    (root / "intake" / "cursor.json").write_bytes(canonical_json({"day": f"{TODAY - timedelta(days=8):%Y%m%d}"}))


def _record(template: dict[str, object], contribution: str, number: int) -> dict[str, object]:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    patient = f"p-{number // (3 * _PER_CONTRIBUTION):020x}"
    own = {"image": digest, "fingerprint": (digest * 2)[:80], "group": patient, "study": f"s-{contribution[-20:]}"}
    return template | own | {"contribution": contribution, "position": number % _PER_CONTRIBUTION + 1}


def _send_new(store: ObjectStore, turn: int) -> None:
    for study in range(10):
        number = turn * 10 + study
        files = study_files(number)
        named = {"study_id": f"new {number}", "patient_id": f"new {number}"}
        contribute(store, make_study(files, **named), files, TODAY)


def _child(home: Path, task: str) -> dict[str, float]:
    """Run a task of this file in a process of its own; return seconds and peak memory."""
    command = [sys.executable, __file__, str(home), task]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(finished.stdout)
    return measured


def _task(home: Path, task: str) -> None:
    desk = Desk(_open(home), KEY, home / "cache", dict)
    if task == "intake":
        _load()
    started = time.perf_counter()
    if task == "index":
        with open_index(desk.store, desk.cache):
            pass
    else:
        report = take_in(desk, today=TODAY)
        if report.n_accepted != 100:
            raise RuntimeError(f"100 images were sent, {report.n_accepted} accepted: {report.lines}")
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


def _load() -> None:
    """Load what intake loads once a process, alike on both sides."""
    with TemporaryDirectory() as folder:
        store = open_store((Path(folder) / "store").as_uri())
        files = {"1.png": encoded(picture(0))}
        contribute(store, make_study(files), files, TODAY)
        take_in(Desk(store, KEY, Path(folder) / "cache", dict), today=TODAY)


if __name__ == "__main__":
    _task(Path(sys.argv[1]), sys.argv[2])
