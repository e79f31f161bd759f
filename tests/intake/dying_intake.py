"""Owns intake as other processes run it, alive or dying; light to import, since every such process does."""

import itertools
import os
import signal
import time
from datetime import date
from pathlib import Path
from typing import Any

from ladnn.intake.process import Desk, IntakeReport, take_in
from ladnn.store import ObjectStore, S3Options, open_store

TODAY = date(2026, 11, 23)
KEY = b"a secret of these tests"


class DyingStore:
    """A store whose process dies before its n-th write; never where n is 0."""

    def __init__(self, store: ObjectStore, n_writes: int) -> None:
        self.store, self.url, self.last, self.numbers = store, store.url, n_writes, itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def put(self, key: str, data: bytes) -> None:
        self._perhaps_die()
        self.store.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._perhaps_die()
        return self.store.put_if_absent(key, data)

    def _perhaps_die(self) -> None:
        if next(self.numbers) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def intake_process(url: str, cache: Path, n_writes: int = 0) -> None:
    """Run intake, and perhaps die."""
    take_in(Desk(DyingStore(open_store(url), n_writes), KEY, cache, dict), today=TODAY)


def take_in_together(url: str, options: S3Options, cache: Path) -> IntakeReport:
    """Run intake at the moment that somebody puts `start` into the store."""
    store = open_store(url, options)
    while not store.exists("start"):
        time.sleep(0.002)
    return take_in(Desk(store, KEY, cache, dict), today=TODAY)
