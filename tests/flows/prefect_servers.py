"""Runs a real Prefect server and a real process worker, and speaks to them as the UI does, over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from ladnn_command import Home

from ladnn.config_file import load_config

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
DEPLOY = """
import json, sys
from prefect import flow
source, name, parameters, variables = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
retrain = flow.from_source(source=source, entrypoint="flows/retrain.py:retrain")
deployment = retrain.deploy(name=name, work_pool_name="one-at-a-time", parameters=parameters,
                            job_variables={"env": variables}, concurrency_limit=1, print_next_steps=False,
                            ignore_warnings=True)
print("deployment", deployment)
"""


@dataclass(frozen=True)
class Orchestration:
    """A server and a worker that runs one flow at a time."""

    api_url: str
    environment: dict[str, str]
    worker: "subprocess.Popen[bytes]"
    logs: Path

    def deploy(self, home: Home, config: Path) -> str:
        """Deploy the retrain of a home to the worker; return the deployment's id."""
        variables = {name: value for name, value in home.environment.items() if name.startswith(("LADNN_", "OMP_"))}
        parameters = json.dumps({"experiment": load_config(config).model_dump(mode="json"), "force": False})
        command = [sys.executable, "-c", DEPLOY, str(ROOT), home.path.parent.name, parameters, json.dumps(variables)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.rpartition("deployment ")[2].strip()

    def start(self, deployment: str) -> str:
        """Start a run; return its id."""
        return str(self._post(f"deployments/{deployment}/create_flow_run", {})["id"])

    def resume(self, run: str, form: dict[str, str]) -> str:
        """Send the form of a suspended run; return what the server says of it."""
        return str(self._post(f"flow_runs/{run}/resume", {"run_input": form})["status"])

    def state(self, run: str) -> dict[str, Any]:
        return dict(self._run(run)["state"])

    def name(self, run: str) -> str:
        return str(self._run(run)["name"])

    def wait_for(self, run: str, name: str) -> None:
        """Wait until a run is in a state of this name."""
        give_up = time.monotonic() + 400
        while (state := self.state(run))["name"] != name:
            assert time.monotonic() < give_up, state
            assert state["name"] not in {"Failed", "Crashed", "Completed", "Suspended"}, self._story(state)
            time.sleep(1)

    def wait_until_idle(self) -> None:
        """Wait until no process of a flow run is left under the worker."""
        give_up = time.monotonic() + 60
        while children := psutil.Process(self.worker.pid).children(recursive=True):
            assert time.monotonic() < give_up, children
            time.sleep(0.5)

    def _run(self, run: str) -> dict[str, Any]:
        response = httpx.get(f"{self.api_url}/flow_runs/{run}", timeout=60)
        response.raise_for_status()
        return dict(response.json())

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = httpx.post(f"{self.api_url}/{path}", json=body, timeout=60)
        response.raise_for_status()
        return dict(response.json())

    def _story(self, state: dict[str, Any]) -> str:
        return f"{state}\n{(self.logs / 'worker.log').read_text()[-5000:]}"


@contextmanager
def running_orchestration(folder: Path) -> Iterator[Orchestration]:
    """Provide a server and a worker while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api_url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PYTHONPATH": str(ROOT),
    }
    server = _start(folder / "server.log", environment, "server", "start", "--host", "127.0.0.1", "--port", str(port))
    workers = []
    try:
        _wait_until_up(server, f"{api_url}/health", folder / "server.log")
        pool = [PREFECT, "work-pool", "create", "one-at-a-time", "--type", "process"]
        subprocess.run(pool, env=environment, check=True, stdout=subprocess.DEVNULL)
        options = ("--pool", "one-at-a-time", "--limit", "1")
        workers.append(_start(folder / "worker.log", environment, "worker", "start", *options))
        yield Orchestration(api_url, environment, workers[0], folder)
    finally:
        for process in (*workers, server):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # nothing of theirs is kept
            process.wait()


def _start(log: Path, environment: dict[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        command = [PREFECT, *arguments]
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)


def _wait_until_up(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    give_up = time.monotonic() + 240
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5).is_success:
                return
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.5)
