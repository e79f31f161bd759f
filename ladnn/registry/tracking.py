"""MLflow tracking: one parent run a retrain, one child run a variant, found again by tag after any crash.

Only `ladnn.registry` knows MLflow. Nothing that is logged here names a patient or quotes a report.
"""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

EXPERIMENT = "ladnn"
_RETRAIN, _VARIANT = "ladnn.retrain_id", "ladnn.variant"


class Tracking:
    """Runs of one tracking server or SQLite file."""

    def __init__(self, uri: str, artifact_root: Path) -> None:
        """Open a tracking store; without a server, its file and artifact folder are made."""
        self._has_server = not uri.startswith("sqlite:")
        if not self._has_server:
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.experiment_id = self._experiment(artifact_root)

    def parent_run(self, retrain_id: str, tags: Mapping[str, str]) -> str:
        """Return the id of a retrain's run, made if there is none."""
        return self._run(retrain_id, {_RETRAIN: retrain_id, _VARIANT: ""} | dict(tags))

    def variant_run(self, retrain_id: str, variant: str, params: Mapping[str, Any]) -> str:
        """Return the id of a variant's run under its retrain's run, made if there is none."""
        parent = self.parent_run(retrain_id, {})
        run_id = self._run(variant, {_RETRAIN: retrain_id, _VARIANT: variant, MLFLOW_PARENT_RUN_ID: parent})
        self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
        return run_id

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

    def log_summary(self, run_id: str, metrics: Mapping[str, float | None], tags: Mapping[str, str]) -> None:
        """Log final values of a run once."""
        self.log_epoch(run_id, 0, metrics)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_document(self, run_id: str, document: Any, name: str) -> None:
        """Keep a JSON document with a run."""
        self.client.log_dict(run_id, document, name)

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run; FINISHED, FAILED or KILLED."""
        self.client.set_terminated(run_id, status)

    def _experiment(self, artifact_root: Path) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._has_server else artifact_root.as_uri()
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=location))

    def _run(self, name: str, tags: Mapping[str, str]) -> str:
        query = f"tags.`{_RETRAIN}` = '{tags[_RETRAIN]}' and tags.`{_VARIANT}` = '{tags[_VARIANT]}'"
        found = self.client.search_runs([self.experiment_id], query, max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            self.client.update_run(run_id, status="RUNNING")
            return run_id
        return str(self.client.create_run(self.experiment_id, tags=dict(tags) | {MLFLOW_RUN_NAME: name}).info.run_id)
