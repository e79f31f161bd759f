"""MLflow tracking: one parent run a retrain, one child run a variant, found again by tag after any crash.

Only `ladnn.registry` knows MLflow. Nothing that is logged here names a patient or quotes a report.
"""

import fcntl
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from sqlalchemy.exc import SQLAlchemyError

from ladnn.errors import TrackingError
from ladnn.settings import Settings

EXPERIMENT, MONITORING = "ladnn", "ladnn-monitoring"
STATUS = "ladnn.status"
"""Tag of a retrain's run that says how it ended."""
_RETRAIN, _VARIANT, _CHECK = "ladnn.retrain_id", "ladnn.variant", "ladnn.check_id"
_LONGEST_CAUSE = 300
"""Characters of an MLflow error that are shown: a database error repeats its whole statement."""
_BRIEF = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""Seconds that a server may be silent, and how often it is asked again. MLflow reads these at each request."""


@contextmanager
def mlflow_errors_explained() -> Iterator[None]:
    """Turn what MLflow, its database or its server raise into one error that says what to do."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        cause = " ".join(str(error).split())[:_LONGEST_CAUSE]
        without_password = re.sub(r"//[^/@\s]*@", "//", cause)
        raise TrackingError(
            f"MLflow cannot be used: {without_password}",
            "check LADNN_TRACKING_URI and the server it names, or without a server the disk of LADNN_HOME, then run the "
            "command again",
        ) from error


@contextmanager
def brief_requests() -> Iterator[None]:
    """Ask an MLflow server once and for seconds only, where what matters is done and a reconcile can do the rest."""
    before = {name: os.environ.get(name) for name in _BRIEF}
    os.environ.update(_BRIEF)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def open_tracking(settings: Settings) -> "Tracking":
    """Open the tracking store of an installation.

    Raises:
        TrackingError: it cannot be reached or made.
    """
    return Tracking(settings.tracking_uri, settings.artifact_root)


@contextmanager
def _opened_by_one(database: Path) -> Iterator[None]:
    """Let one process at a time open a database: the first makes its tables, which two at once would break."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Tracking:
    """Runs of one tracking server or SQLite file; every method may raise `TrackingError`."""

    @mlflow_errors_explained()
    def __init__(self, uri: str, artifact_root: Path) -> None:
        """Open a tracking store; without a server, its file and artifact folder are made.

        Raises:
            TrackingError: it cannot be reached or made.
        """
        self.uri = uri
        self.has_server = not uri.startswith("sqlite:")
        self._artifact_root = artifact_root
        with nullcontext() if self.has_server else _opened_by_one(Path(uri.removeprefix("sqlite:///"))):
            self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self.experiment_id = self._experiment(EXPERIMENT)

    @mlflow_errors_explained()
    def parent_run(self, retrain_id: str, tags: Mapping[str, str]) -> str:
        """Return the id of a retrain's run, made if there is none, and running again if it had ended."""
        run = self._found_or_made(retrain_id, {_RETRAIN: retrain_id, _VARIANT: ""} | dict(tags))
        return self._running(run)

    @mlflow_errors_explained()
    def variant_run(self, retrain_id: str, variant: str, params: Mapping[str, Any]) -> str:
        """Return the id of a variant's run under its retrain's run, made if there is none, and running again."""
        parent = self._found_or_made(retrain_id, {_RETRAIN: retrain_id, _VARIANT: ""})
        tags = {_RETRAIN: retrain_id, _VARIANT: variant, MLFLOW_PARENT_RUN_ID: str(parent.info.run_id)}
        run_id = self._running(self._found_or_made(variant, tags))
        self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
        return run_id

    @mlflow_errors_explained()
    def check_run(self, check_id: str, name: str) -> str:
        """Return the id of the run of a check between retrains, made if there is none; in an experiment of its own."""
        experiment_id = self._experiment(MONITORING)
        found = self.client.search_runs([experiment_id], f"tags.`{_CHECK}` = '{check_id}'", max_results=1)
        tags = {_CHECK: check_id, MLFLOW_RUN_NAME: name}
        return self._running(found[0] if found else self.client.create_run(experiment_id, tags=tags))

    @mlflow_errors_explained()
    def log_epoch(self, run_id: str, epoch: int, values: Mapping[str, float | None]) -> None:
        """Log an epoch's metrics in one request, unless an earlier run of the same epoch did."""
        numbers = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
        if not numbers:
            return
        logged = self.client.get_metric_history(run_id, next(iter(numbers)))
        if any(metric.step == epoch for metric in logged):
            return
        now_ms = int(time.time() * 1000)
        self.client.log_batch(run_id, metrics=[Metric(key, value, now_ms, epoch) for key, value in numbers.items()])

    @mlflow_errors_explained()
    def log_summary(self, run_id: str, metrics: Mapping[str, float | None], tags: Mapping[str, str]) -> None:
        """Log final values of a run once."""
        self.log_epoch(run_id, 0, metrics)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    @mlflow_errors_explained()
    def log_document(self, run_id: str, document: Any, name: str) -> None:
        """Keep a JSON document with a run."""
        self.client.log_dict(run_id, document, name)

    @mlflow_errors_explained()
    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Keep a text file, such as a table in CSV, with a run."""
        self.client.log_text(run_id, text, name)

    @mlflow_errors_explained()
    def log_files(self, run_id: str, files: Mapping[str, bytes], folder: str) -> None:
        """Keep files by name in a folder with a run."""
        with TemporaryDirectory(prefix="ladnn-files-") as temporary:
            for name, data in files.items():
                (Path(temporary) / name).write_bytes(data)
            self.client.log_artifacts(run_id, temporary, folder)

    @mlflow_errors_explained()
    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run; FINISHED, FAILED or KILLED."""
        self.client.set_terminated(run_id, status)

    @mlflow_errors_explained()
    def finish_all(self, retrain_id: str, status: str) -> None:
        """End every run of a retrain that is still running, its variants' too."""
        query = f"tags.`{_RETRAIN}` = '{retrain_id}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self.experiment_id], query):
            self.client.set_terminated(run.info.run_id, status)

    @mlflow_errors_explained()
    def running(self) -> dict[str, datetime]:
        """Return the retrains that have a run which is running in MLflow, and when each was last heard of."""
        heard: dict[str, datetime] = {}
        for run in self._search("attributes.status = 'RUNNING'"):
            retrain_id = run.data.tags.get(_RETRAIN)
            if retrain_id is not None:
                heard[retrain_id] = max(self._heard_at(run), heard.get(retrain_id, datetime.min.replace(tzinfo=UTC)))
        return heard

    @mlflow_errors_explained()
    def tags_of_retrains(self, name: str) -> dict[str, str | None]:
        """Return a tag of every retrain's run, such as `STATUS`, how it ended; None where it has none."""
        parents = self._search(f"tags.`{_VARIANT}` = ''")
        return {run.data.tags[_RETRAIN]: run.data.tags.get(name) for run in parents if _RETRAIN in run.data.tags}

    def _search(self, query: str) -> Iterator[Run]:
        token: str | None = ""
        while token is not None:
            page = self.client.search_runs([self.experiment_id], query, page_token=token or None)
            yield from page
            token = page.token or None

    def _heard_at(self, run: Run) -> datetime:
        histories = (self.client.get_metric_history(run.info.run_id, name) for name in run.data.metrics)
        times = [run.info.start_time, *(metric.timestamp for history in histories for metric in history)]
        return datetime.fromtimestamp(max(times) / 1000, UTC)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None if self.has_server else self._artifact_root.as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was first
                raise
        return self._experiment(name)

    def _found_or_made(self, name: str, tags: Mapping[str, str]) -> Run:
        query = f"tags.`{_RETRAIN}` = '{tags[_RETRAIN]}' and tags.`{_VARIANT}` = '{tags[_VARIANT]}'"
        found = self.client.search_runs([self.experiment_id], query, max_results=1)
        return found[0] if found else self.client.create_run(self.experiment_id, tags={**tags, MLFLOW_RUN_NAME: name})

    def _running(self, run: Run) -> str:
        run_id = str(run.info.run_id)
        if run.info.status != "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        return run_id
