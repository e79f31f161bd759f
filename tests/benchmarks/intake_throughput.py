"""Intake against a bare loop that downloads, decodes, hashes and uploads again, over a real S3 server, in turns."""

import hashlib
import io
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from factories import KEY, TODAY, make_study, picture
from measured import Measured, say
from PIL import Image
from s3_server import running_s3_server
from slices import KIND, N_SLICES, study_files

from ladnn.intake import process
from ladnn.intake.decode import encode_canonical
from ladnn.intake.duplicates import same_picture
from ladnn.intake.inbox import INBOX, contribute
from ladnn.store import ObjectStore, open_store

N_STUDIES, N_TURNS = 40, 3
REPORT = "Bilateral ground-glass opacities with interlobular septal thickening. No consolidation. COVID-19 confirmed."


def run() -> Iterator[Measured]:
    say(f"intake throughput: {KIND} slices")
    studies = [study_files(number) for number in range(N_STUDIES)]
    with running_s3_server() as server, TemporaryDirectory() as cache:
        stores = []
        for turn in range(N_TURNS):
            store = open_store(f"s3://{server.make_bucket()}", server.options)
            for number, files in enumerate(studies):
                study = make_study(files, study_id=f"study {number}", patient_id=f"patient {number}", report=REPORT)
                contribute(store, study, files, TODAY)
            stores.append(store)
            say(f"intake throughput: inbox {turn + 1} of {N_TURNS} is full")
        _warm_up(Path(cache))
        pairs = [(_bare(store), _intake(store, Path(cache))) for store in stores]
    for bare, intake in pairs:
        say(f"intake throughput: bare loop {bare:.1f} images/s, intake {intake:.1f} images/s")
    bare, intake = (statistics.median(column) for column in zip(*pairs, strict=True))
    yield Measured(
        "intake against a bare loop, images/s over S3",
        f"{intake:.1f} against {bare:.1f} ({N_STUDIES * N_SLICES} images, {process.N_THREADS} threads)",
        statistics.median(mine / theirs for theirs, mine in pairs),
        at_least=0.7,
    )


def _warm_up(folder: Path) -> None:
    """Load what intake loads once a process, so that neither side pays for it."""
    store = open_store((folder / "warm").as_uri())
    files = dict(list(study_files(N_STUDIES).items())[:2])
    contribute(store, make_study(files, report=REPORT), files, TODAY)
    same_picture(picture(0), picture(1))
    _intake(store, folder)
    _bare(store)


def _intake(store: ObjectStore, cache: Path) -> float:
    started = time.perf_counter()
    report = process.take_in(process.Desk(store, KEY, cache, dict), today=TODAY)
    if report.quarantined:
        raise RuntimeError(f"the benchmark's own images were set aside: {report.quarantined_by_reason}")
    return report.n_accepted / (time.perf_counter() - started)


def _bare(store: ObjectStore) -> float:
    def pass_on(key: str) -> None:
        data = store.get(key)
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        store.put(f"bare/{digest}.png", encode_canonical(pixels))

    started = time.perf_counter()
    keys = [key for key in store.list(INBOX) if not key.endswith(".json")]
    with ThreadPoolExecutor(process.N_THREADS) as threads:
        list(threads.map(pass_on, keys))
    return len(keys) / (time.perf_counter() - started)
