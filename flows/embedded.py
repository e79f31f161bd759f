"""Prefect without a server of the operator's: one is started for the time of a command, and dies with it, even by SIGKILL.

Where PREFECT_API_URL is set, that server is used and nothing is started.
"""

import ctypes
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from ladnn.errors import RetrainError

_START_WITHIN_S = 300
_OWN = "LADNN_OWN_PREFECT_SERVER"
_PR_SET_PDEATHSIG = 1  # prctl(2): signal this process when its parent dies


@contextmanager
def prefect_server(environment: MutableMapping[str, str], home: Path) -> Iterator[Callable[[], None]]:
    """Provide a Prefect API while the block runs; to be entered before Prefect is imported.

    The block gets a function that returns once the server answers, so that it can import meanwhile.

    Raises:
        RetrainError: the server does not start.
    """
    if environment.get("PREFECT_API_URL"):
        yield lambda: None
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
    environment[_OWN] = str(server.pid)
    try:
        yield lambda: _wait_until_up(server, f"http://127.0.0.1:{port}/api", log)
    finally:
        del environment["PREFECT_API_URL"], environment[_OWN]
        _stop(server)


@contextmanager
def prefect_errors_explained(home: Path) -> Iterator[None]:
    """Turn a failure of Prefect's own into one line that says what to do.

    Raises:
        RetrainError: Prefect or its server failed.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"prefect", "httpx", "httpcore"}:
            raise
        raise RetrainError(
            f"Prefect failed ({type(error).__name__}); look at the disk of {home} and at {home / 'prefect' / 'server.log'}, "
            "or at the server that PREFECT_API_URL names, then run the command again"
        ) from error


def owns_server(environment: Mapping[str, str]) -> bool:
    """Tell whether the Prefect server is one that `prefect_server` started for this installation alone."""
    return _OWN in environment


def _wait_until_up(server: "subprocess.Popen[bytes]", api_url: str, log: Path) -> None:
    give_up_s = time.monotonic() + _START_WITHIN_S
    while server.poll() is None and time.monotonic() < give_up_s:
        try:
            with urllib.request.urlopen(f"{api_url}/health", timeout=5):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.1)
    raise RetrainError(
        f"Prefect's server did not start; see {log} (a full disk, a damaged database), "
        "or set PREFECT_API_URL to a server of yours"
    )


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
