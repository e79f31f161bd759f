"""Training of a variant on this machine: in this process, or in several that torchrun starts."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from typing import Any

from ladnn import errors
from ladnn.errors import TrainingError
from ladnn.model.weights import WeightsSource
from ladnn.platform import Platform
from ladnn.progress import say
from ladnn.retrain import Plan
from ladnn.training.devices import n_processes
from ladnn.training.fit import Progress
from ladnn.training.result import EpochRecord
from ladnn.training.step import half_of
from ladnn.training.variant import train_variant

_PR_SET_PDEATHSIG = 1  # prctl(2): signal this process when its parent dies


def train_here(platform: Platform, plan: Plan, variant_name: str, progress: Progress) -> None:
    """Train a variant of a plan in as many processes as its recipe asks for.

    Raises:
        LadnnError: what the training raised.
    """
    n = n_processes(plan.config.training)
    if n > 1:
        train_in_processes(plan.retrain_id, variant_name, n, progress)
        return
    weights, cache = WeightsSource(platform.weights), platform.settings.cache
    train_variant(platform.store, plan.retrain_id, variant_name, cache, weights, progress=progress)


def train_in_processes(retrain_id: str, variant_name: str, n_processes: int, progress: Progress) -> None:
    """Train a variant of a planned retrain; the processes find the store by the same environment variables.

    Where memory does not suffice all of them begin anew, from the last checkpoint, with half as many images at a time.

    Raises:
        LadnnError: what the training raised.
        TrainingError: a process ended without a word.
    """
    micro_batch: int | None = None
    while (tried := _run(retrain_id, variant_name, n_processes, micro_batch, progress)) is not None:
        micro_batch = half_of(tried, " in each process")


def _run(
    retrain_id: str, variant_name: str, n_processes: int, micro_batch: int | None, progress: Progress
) -> int | None:
    """Run one job to its end; return how many images at a time were too many, if memory did not suffice."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
    job = ["-m", "ladnn.training.job", retrain_id, variant_name]
    options = [] if micro_batch is None else [f"--micro-batch={micro_batch}"]
    n_threads = max(1, len(os.sched_getaffinity(0)) // n_processes)
    environment = {"OMP_NUM_THREADS": str(n_threads), **os.environ}
    told: dict[str, Any] = {}
    with subprocess.Popen(
        [*launcher, *job, *options], env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=_end_with_parent
    ) as processes:
        for line in processes.stdout or ():
            told |= _hear(line, progress)
    if processes.returncode == 0:
        return None
    if "out of memory" in told:
        return int(told["out of memory"])
    kind, message = told.get("failed", ("TrainingError", ""))
    if not message:
        message = (
            f"the processes that trained {variant_name} ended with code {processes.returncode}; see what they printed"
        )
    raise getattr(errors, kind, TrainingError)(message)


def _hear(line: str, progress: Progress) -> dict[str, Any]:
    """Pass on what the first process tells; return it, or nothing where a library printed the line."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        say(line.rstrip())
        return {}
    if "step" in told:
        progress.on_step(*told["step"])
    if "epoch" in told:
        progress.on_epoch(EpochRecord(**told["epoch"]))
    return told


def _end_with_parent() -> None:
    """Let torchrun, which ends its processes when it is asked to end, not outlive the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
