"""Owns intake as other processes run it, alive or dying; light to import, since every such process does."""

import itertools
import os
import signal
import time
from typing import Any

from ladnn.intake.process import IntakeReport, take_in
from ladnn.store import ObjectStore, S3Options, open_store

KEY = b"a secret of these tests"


class DyingStore:
    """A store whose process dies before its n-th write; never where n is 0."""

    def __init__(self, store: ObjectStore, n_writes: int) -> None:
        self.store, self.url, self.last, self.numbers = store, store.url, n_writes, itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if next(self.numbers) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.store.put_if_absent(key, data)


def intake_process(url: str, n_writes: int = 0) -> None:
    """Run intake, and perhaps die."""
    take_in(DyingStore(open_store(url), n_writes), KEY)


def take_in_together(url: str, options: S3Options) -> IntakeReport:
    """Run intake at the moment that somebody puts `start` into the store."""
    store = open_store(url, options)
    while not store.exists("start"):
        time.sleep(0.002)
    return take_in(store, KEY)
