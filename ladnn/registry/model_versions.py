"""The MLflow model registry: a version a challenger, and aliases that follow the promotion log."""

import tempfile
from pathlib import Path

import mlflow.pyfunc
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ladnn import __version__
from ladnn.errors import BundleError
from ladnn.registry.bundle import Bundle, describe, open_bundle
from ladnn.registry.promotion import promotions
from ladnn.registry.tracking import Tracking
from ladnn.store import ObjectStore

MODEL = "ladnn"
_FOLDER = "model"
_BUNDLE_TAG = "ladnn.bundle_id"


def register(tracking: Tracking, bundle: Bundle, run_id: str) -> str:
    """Upload a bundle as an MLflow model, verify the upload, and return its version; a repeated call finds it again.

    Raises:
        BundleError: what was uploaded is not what came back.
    """
    client = tracking.client
    try:
        client.create_registered_model(MODEL, description="LA-DNN: COVID-19 diagnosis and five lesions from chest CT")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{MODEL}'"):
        if version.tags.get(_BUNDLE_TAG) == bundle.id:
            return str(version.version)
    _upload(client, bundle, run_id)
    source = f"{client.get_run(run_id).info.artifact_uri}/{_FOLDER}"
    tags = {_BUNDLE_TAG: bundle.id, "ladnn.dataset_version": bundle.manifest.dataset_version}
    return str(client.create_model_version(MODEL, source, run_id, tags=tags).version)


def follow_log(tracking: Tracking, store: ObjectStore) -> None:
    """Make the aliases `champion` and `previous-champion` say what the promotion log says."""
    log = promotions(store)
    for alias, record in (("champion", log[-1:]), ("previous-champion", log[-2:-1])):
        if record and _aliased(tracking.client, alias) != record[0].model_version:
            tracking.client.set_registered_model_alias(MODEL, alias, record[0].model_version)


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
        mlflow.pyfunc.save_model(
            model,
            loader_module="ladnn.serving.pyfunc",
            data_path=data,
            pip_requirements=[f"ladnn[serve]=={__version__}"],
            metadata=describe(bundle),
        )
        client.log_artifacts(run_id, str(model), _FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        returned = Path(client.download_artifacts(run_id, f"{_FOLDER}/data/{bundle.id}", folder))
        try:
            open_bundle(bundle.id, {path.name: path.read_bytes() for path in returned.iterdir()})
        except (BundleError, KeyError) as error:
            raise BundleError(
                f"the upload of bundle {bundle.id} to MLflow is damaged; run the retrain again"
            ) from error
