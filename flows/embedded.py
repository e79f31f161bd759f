"""Prefect without a server of the operator's: one is started for the time of a command, and dies with it, even by SIGKILL.

Where PREFECT_API_URL is set, that server is used and nothing is started.
"""

import ctypes
import fcntl
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from ladnn.errors import RetrainError

_START_WITHIN_S = 300
_PR_SET_PDEATHSIG = 1  # prctl(2): signal this process when its parent dies


@contextmanager
def prefect_server(environment: MutableMapping[str, str], home: Path) -> Iterator[None]:
    """Provide a Prefect API while the block runs; to be entered before Prefect is imported.

    The block runs while the server still starts, so that imports and start-up overlap; see `wait_for_server`.
    """
    if environment.get("PREFECT_API_URL"):
        yield
        return
    port = _free_port()
    log = home / "prefect" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    options = ("--host", "127.0.0.1", "--port", str(port), "--log-level", "error")
    command = (sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *options)
    with log.open("ab") as output:
        server = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_parent,
        )
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        yield
    finally:
        del environment["PREFECT_API_URL"]
        server.terminate()
        server.wait()


def wait_for_server(api_url: str, home: Path) -> None:
    """Return as soon as the Prefect API answers.

    Raises:
        RetrainError: it does not answer in time.
    """
    give_up_s = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < give_up_s:
        try:
            with urllib.request.urlopen(f"{api_url}/health", timeout=5):  # noqa: S310 - http by the operator's setting
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RetrainError(
        f"no Prefect server answers at {api_url} within {_START_WITHIN_S} s; see {home / 'prefect' / 'server.log'}, "
        "or set PREFECT_API_URL to a server of yours"
    )


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Keep a second retrain or approval of this installation out; a killed one leaves no lock behind.

    Raises:
        RetrainError: one is running.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "retrain.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetrainError(f"another retrain is running here (it holds {path}); wait for it to end") from error
        yield


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
