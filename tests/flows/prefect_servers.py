"""Runs a real Prefect server, a process worker and `ladnn schedule`, and speaks to them as the UI does, over HTTP."""

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
from ladnn_command import LADNN, Home

from ladnn.config_file import load_config

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
SERVED = ("retrain/weekly", "monitor/daily", "expire/expire")
"""Deployments of `ladnn schedule`."""
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

    @contextmanager
    def serving(self, home: Home, config: Path, *overrides: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Let `ladnn schedule` serve a home while the block runs."""
        log, options = self.logs / "schedule.log", [part for override in overrides for part in ("--set", override)]
        environment = home.environment | {"PREFECT_API_URL": self.api_url, "PREFECT_RUNNER_POLL_FREQUENCY": "2"}
        process = _start(log, environment, LADNN, "schedule", "--config", str(config), *options)
        try:
            give_up = time.monotonic() + 240
            while any(self._get(f"deployments/name/{name}").is_error for name in SERVED):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.5)
            yield process
        finally:
            _kill(process)
            for name in SERVED:
                httpx.delete(f"{self.api_url}/deployments/{self.deployment(name)}", timeout=60).raise_for_status()

    def deployment(self, name: str) -> str:
        """Return the id of a deployment, such as `monitor/daily`."""
        return str(self._found(f"deployments/name/{name}")["id"])

    def runs(self, deployment: str) -> set[str]:
        """Return the ids of all runs of a deployment."""
        asked = {"deployments": {"id": {"any_": [deployment]}}}
        return {str(run["id"]) for run in self._post("flow_runs/filter", asked)}

    def start(self, deployment: str) -> str:
        """Start a run; return its id."""
        return str(self._post(f"deployments/{deployment}/create_flow_run", {})["id"])

    def resume(self, run: str, form: dict[str, str]) -> str:
        """Send the form of a suspended run; return what the server says of it."""
        return str(self._post(f"flow_runs/{run}/resume", {"run_input": form})["status"])

    def state(self, run: str) -> dict[str, Any]:
        return dict(self.run(run)["state"])

    def run(self, run: str) -> dict[str, Any]:
        return self._found(f"flow_runs/{run}")

    def wait_for(self, run: str, name: str) -> None:
        """Wait until a run is in a state of this name."""
        give_up = time.monotonic() + 400
        while (state := self.state(run))["name"] != name:
            assert time.monotonic() < give_up, state
            assert state["name"] not in {"Failed", "Crashed", "Completed", "Suspended"}, self._story(state)
            time.sleep(1)

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.api_url}/{path}", timeout=60)

    def _found(self, path: str) -> dict[str, Any]:
        return dict(self._get(path).raise_for_status().json())

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Post as a person would, who tries again where a busy server's database was locked (503)."""
        give_up = time.monotonic() + 120
        while True:
            answer = httpx.post(f"{self.api_url}/{path}", json=body, timeout=60)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > give_up:
                return answer.raise_for_status().json()
            time.sleep(1)

    def _story(self, state: dict[str, Any]) -> str:
        logs = (log.read_text()[-5000:] for log in self.logs.glob("[sw][co]*.log"))
        return "\n".join((str(state), *logs))


def wait_until_idle(server_of_runs: "subprocess.Popen[bytes]") -> None:
    """Wait until no process of a flow run is left under a worker or `ladnn schedule`."""
    give_up = time.monotonic() + 60
    while children := psutil.Process(server_of_runs.pid).children(recursive=True):
        assert time.monotonic() < give_up, children
        time.sleep(0.5)


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
    options = ("--host", "127.0.0.1", "--port", str(port))
    server = _start(folder / "server.log", environment, PREFECT, "server", "start", *options)
    workers = []
    try:
        _wait_until_up(server, f"{api_url}/health", folder / "server.log")
        pool = [PREFECT, "work-pool", "create", "one-at-a-time", "--type", "process"]
        subprocess.run(pool, env=environment, check=True, stdout=subprocess.DEVNULL)
        options = ("--pool", "one-at-a-time", "--limit", "1")
        workers.append(_start(folder / "worker.log", environment, PREFECT, "worker", "start", *options))
        yield Orchestration(api_url, environment, workers[0], folder)
    finally:
        for process in (*workers, server):
            _kill(process)


def _start(log: Path, environment: dict[str, str], *command: str | Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and those that it started; nothing of theirs is kept."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_until_up(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    give_up = time.monotonic() + 240
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5).is_success:
                return
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.5)
