"""The candidate's bundle tried in a process in which torch cannot be imported, as in the serve image."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ladnn.errors import RetrainError
from ladnn.governance.gates.evidence import ServingFacts
from ladnn.registry.bundle import MANIFEST, PREFIX, SIGNATURE, read_manifest
from ladnn.retrain import Plan, keep, read
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore

_DOCUMENT = "serving"
_PROGRAM = "ladnn.serving.trial"
_LONGEST_S = 300
_LONGEST_PROBLEM = 300
"""Characters of an error that are kept."""


def check_serving(store: ObjectStore, plan: Plan, bundle_id: str, trusted: TrustedKeys) -> ServingFacts:
    """Try a bundle in a process of its own, or return what an earlier run found.

    Raises:
        BundleError: the bundle is damaged, or no trusted key signed it.
        RetrainError: this machine could not try it; nothing is kept, so that the same retrain tries again.
    """
    if (done := read(store, plan.retrain_id, _DOCUMENT)) is not None:
        return ServingFacts.model_validate(done)
    facts = try_bundle(store, bundle_id, trusted)
    return ServingFacts.model_validate(keep(store, plan.retrain_id, _DOCUMENT, facts.model_dump(mode="json")))


def try_bundle(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> ServingFacts:
    """Copy a bundle to a folder, load it there without torch, reproduce its golden outputs and time it.

    Raises:
        BundleError: its `bundle.json` is damaged, or no trusted key signed it.
        RetrainError: this machine could not try it: no space, no memory, killed, or too slow to answer.
    """
    manifest = read_manifest(store, bundle_id, trusted)
    keys = {name: f"{PREFIX}{bundle_id}/{name}" for name in (MANIFEST, SIGNATURE, *manifest.files)}
    files = {name: store.get(key) for name, key in keys.items() if store.exists(key)}  # the trial tells what is missing
    try:
        with TemporaryDirectory(prefix="ladnn-serving-") as temporary:
            folder = Path(temporary) / bundle_id
            folder.mkdir()
            for name, data in files.items():
                (folder / name).write_bytes(data)
            problem, latency_ms, n_timed = _run(folder, trusted)
    except OSError as error:
        raise _untried(bundle_id, str(error)) from error
    size_bytes = sum(len(data) for data in files.values())
    return ServingFacts(problem=problem, latency_ms=latency_ms, n_timed=n_timed, size_bytes=size_bytes)


def _untried(bundle_id: str, why: str) -> RetrainError:
    return RetrainError(
        f"bundle {bundle_id} could not be tried on this machine: {why}; see to its memory, temporary folder and load, then "
        "repeat the same command"
    )


def _run(folder: Path, trusted: TrustedKeys) -> tuple[str | None, float | None, int]:
    """Return what is wrong with the bundle, or its latency in ms and the number of pictures timed."""
    command = [sys.executable, "-m", _PROGRAM, str(folder), *trusted.keys]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _untried(folder.name, f"no answer within {_LONGEST_S} s") from error
    last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:_LONGEST_PROBLEM]
    if done.returncode < 0:
        raise _untried(folder.name, f"its process was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode == os.EX_TEMPFAIL:
        raise _untried(folder.name, last)
    if done.returncode:
        return last, None, 0
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return None, told["latency_ms"], told["n_timed"]
