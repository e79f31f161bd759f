"""The MLflow model registry: a version a challenger, and aliases that follow the promotion log."""

import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ladnn.errors import BundleError
from ladnn.registry.bundle import Bundle, describe, open_bundle
from ladnn.registry.promotion import promotions
from ladnn.registry.tracking import Tracking, mlflow_errors_explained
from ladnn.store import ObjectStore

MODEL = "ladnn"
_NEEDED = ("numpy", "onnxruntime", "pandas", "pillow", "pydantic", "safetensors", "scikit-learn", "scipy")
_FOLDER = "model"
_BUNDLE_TAG = "ladnn.bundle_id"


@mlflow_errors_explained()
def register(tracking: Tracking, bundle: Bundle, run_id: str) -> str:
    """Upload a bundle as an MLflow model, verify the upload, and return its version; a repeated call finds it again.

    Raises:
        BundleError: what was uploaded is not what came back.
        TrackingError: MLflow cannot be used.
    """
    client = tracking.client
    try:
        client.create_registered_model(MODEL, description="LA-DNN: COVID-19 diagnosis and five lesions from chest CT")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.search_model_versions(f"name = '{MODEL}' and tags.`{_BUNDLE_TAG}` = '{bundle.id}'", max_results=1)
    if found:
        return str(found[0].version)
    _upload(client, bundle, run_id)
    source = f"{client.get_run(run_id).info.artifact_uri}/{_FOLDER}"
    tags = {_BUNDLE_TAG: bundle.id, "ladnn.dataset_version": bundle.manifest.dataset_version}
    return str(client.create_model_version(MODEL, source, run_id, tags=tags).version)


@mlflow_errors_explained()
def follow_log(tracking: Tracking, store: ObjectStore) -> None:
    """Make the aliases `champion` and `previous-champion` say what the promotion log says.

    Raises:
        TrackingError: MLflow cannot be used, or has no such version any more.
    """
    log = promotions(store)
    for alias, place in (("champion", 1), ("previous-champion", 2)):
        wanted = log[-place].model_version if len(log) >= place else None
        if wanted == _aliased(tracking.client, alias):
            continue
        if wanted is None:
            tracking.client.delete_registered_model_alias(MODEL, alias)
        else:
            tracking.client.set_registered_model_alias(MODEL, alias, wanted)


def _aliased(client: MlflowClient, alias: str) -> str | None:
    try:
        return str(client.get_model_version_by_alias(MODEL, alias).version)
    except MlflowException as error:
        if error.error_code not in {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}:
            raise
        return None


def _upload(client: MlflowClient, bundle: Bundle, run_id: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, model = Path(folder) / bundle.id, Path(folder) / _FOLDER
        data.mkdir()
        for name, content in bundle.files.items():
            (data / name).write_bytes(content)
        _save_as_mlflow_model(model, data, bundle)
        client.log_artifacts(run_id, str(model), _FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        returned = client.download_artifacts(run_id, f"{_FOLDER}/data/{bundle.id}", folder)
        try:
            open_bundle(Path(returned))
        except BundleError as error:
            raise BundleError(
                f"the upload of bundle {bundle.id} to MLflow is damaged; run the retrain again"
            ) from error


def _save_as_mlflow_model(folder: Path, data: Path, bundle: Bundle) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints
        from mlflow import pyfunc

        pyfunc.save_model(
            folder,
            loader_module="ladnn.serving.pyfunc",
            data_path=data,
            # ladnn itself is not named: an index could hold another project of that name
            pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
            metadata=describe(bundle),
        )
