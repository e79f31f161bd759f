"""The candidate's bundle tried in a process in which torch cannot be imported, as in the serve image."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ladnn.governance.gates.evidence import ServingFacts
from ladnn.registry.bundle import PREFIX
from ladnn.retrain import Plan, keep, read
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore

_DOCUMENT = "serving"
_PROGRAM = "ladnn.serving.trial"
_LONGEST_S = 300
_LONGEST_PROBLEM = 300
"""Characters of an error that are kept."""


def check_serving(store: ObjectStore, plan: Plan, bundle_id: str, trusted: TrustedKeys) -> ServingFacts:
    """Try a bundle in a process of its own, or return what an earlier run found."""
    if (done := read(store, plan.retrain_id, _DOCUMENT)) is not None:
        return ServingFacts.model_validate(done)
    facts = try_bundle(store, bundle_id, trusted)
    return ServingFacts.model_validate(keep(store, plan.retrain_id, _DOCUMENT, facts.model_dump(mode="json")))


def try_bundle(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> ServingFacts:
    """Copy a bundle to a folder, load it there without torch, reproduce its golden outputs and time it."""
    with TemporaryDirectory(prefix="ladnn-serving-") as temporary:
        folder = Path(temporary) / bundle_id
        folder.mkdir()
        size_bytes = 0
        for key in store.list(f"{PREFIX}{bundle_id}/"):
            data = store.get(key)
            size_bytes += len(data)
            (folder / key.rpartition("/")[2]).write_bytes(data)
        problem, latency_ms, n_timed = _run(folder, trusted)
    return ServingFacts(problem=problem, latency_ms=latency_ms, n_timed=n_timed, size_bytes=size_bytes)


def _run(folder: Path, trusted: TrustedKeys) -> tuple[str | None, float | None, int]:
    command = [sys.executable, "-m", _PROGRAM, str(folder), *trusted.keys]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {_LONGEST_S} s", None, 0
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return last[:_LONGEST_PROBLEM], None, 0
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return None, told["latency_ms"], told["n_timed"]
