"""Intake that dies, or that runs twice at once, ends as one whole run would have ended."""

import multiprocessing
import random
import shutil
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dying_intake import intake_process, take_in_together
from factories import intake, send
from s3_server import S3Server

from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.inbox import INBOX
from ladnn.store import ObjectStore, open_store

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "dying_intake", "ladnn.store.file"])


def documents(store: ObjectStore) -> dict[str, bytes]:
    """All that intake has left."""
    return {key: store.get(key) for key in store.list("") if not key.startswith(INBOX)}


@pytest.fixture
def waiting(file_store: ObjectStore, tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A store with a mixed inbox, and what an uninterrupted run leaves of it."""
    send(file_store, (0, 1), patient_id="p")
    send(file_store, (1,), study_id="a duplicate")
    send(file_store, (4,), study_id="without report", report=None)
    file_store.put(f"{INBOX}broken/study.json", b"{")
    shutil.copytree(tmp_path / "store", tmp_path / "whole")
    whole = open_store((tmp_path / "whole").as_uri())
    intake(whole)
    return tmp_path / "store", documents(whole)


def run(url: str, *arguments: Any, kill_after_s: float | None = None) -> int | None:
    process = PROCESSES.Process(target=intake_process, args=(url, *arguments))
    process.start()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        process.kill()
    process.join()
    return process.exitcode


def test_intake_that_dies_at_any_write_ends_as_if_it_had_not(
    waiting: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, expected = waiting
    n_deaths = 0
    for n_writes in range(1, 40):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        died = run(copy.as_uri(), tmp_path / f"cache-{n_writes}", n_writes) == -signal.SIGKILL
        n_deaths += died
        store = open_store(copy.as_uri())
        intake(store)
        assert documents(store) == expected
        shutil.rmtree(copy)
        if not died:
            break
    assert 5 < n_deaths < 39


def test_intake_that_is_killed_again_and_again_ends_as_if_it_had_not(
    waiting: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, expected = waiting
    moments = random.Random(1)
    for turn in range(4):
        copy, cache = tmp_path / f"copy-{turn}", tmp_path / f"cache-{turn}"
        shutil.copytree(folder, copy)
        codes = [run(copy.as_uri(), cache, kill_after_s=moments.uniform(0, 0.12)) for _ in range(4)]
        assert set(codes) <= {0, -signal.SIGKILL}
        assert run(copy.as_uri(), cache) == 0
        assert documents(open_store(copy.as_uri())) == expected


@pytest.mark.parametrize("shared_cache", [True, False])
def test_two_processes_at_once_never_accept_twice(
    store: ObjectStore, s3_server: S3Server, tmp_path: Path, shared_cache: bool
) -> None:
    n_contributions = 10
    for number in range(n_contributions):
        send(store, (number, number + 1, 100), study_id=f"s{number}")
    with ProcessPoolExecutor(2, PROCESSES) as processes:
        caches = [tmp_path / ("cache" if shared_cache else f"cache-{host}") for host in range(2)]
        running = [processes.submit(take_in_together, store.url, s3_server.options, cache) for cache in caches]
        time.sleep(0.2)
        store.put("start", b"")
        reports = [future.result() for future in running]
    assert sum(report.n_contributions for report in reports) == n_contributions
    outcomes = list(read_outcomes(store))
    images = [record.image for outcome in outcomes for record in outcome.accepted]
    assert len(images) == len(set(images)) == n_contributions + 2
    assert sum(report.n_accepted for report in reports) == len(images)
    assert len(images) + sum(len(outcome.known) for outcome in outcomes) == 3 * n_contributions
    assert intake(store).n_contributions == 0
