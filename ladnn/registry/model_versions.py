"""The MLflow model registry: a version a challenger, and aliases that follow the promotion log."""

import hashlib
import tempfile
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ladnn.errors import BundleError, TrackingError
from ladnn.progress import say
from ladnn.registry.bundle import Bundle, describe
from ladnn.registry.challenger_log import Challenger, challenger
from ladnn.registry.promotion import Promotion, before_champion, promotions
from ladnn.registry.tracking import Tracking, mlflow_errors_explained
from ladnn.store import ObjectStore

MODEL = "ladnn"
_CHAMPION = "champion"
_NEEDED = (
    "cryptography",
    "numpy",
    "onnxruntime",
    "pandas",
    "pillow",
    "pydantic",
    "safetensors",
    "scikit-learn",
    "scipy",
)
_FOLDER = "model"
_BUNDLE_TAG = "ladnn.bundle_id"


@dataclass(frozen=True, slots=True)
class AliasChange:
    """An alias of the registered model that was set, moved or removed."""

    alias: str
    before: str | None
    after: str | None


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
    if found := versions_of(tracking, bundle.id):
        return found[0]
    _upload(client, bundle, run_id)
    source = f"{client.get_run(run_id).info.artifact_uri}/{_folder(bundle.id)}"
    tags = {_BUNDLE_TAG: bundle.id, "ladnn.dataset_version": bundle.manifest.dataset_version}
    return str(client.create_model_version(MODEL, source, run_id, tags=tags).version)


@mlflow_errors_explained()
def versions_of(tracking: Tracking, bundle_id: str) -> list[str]:
    """Return the versions under which a bundle is registered, oldest first: one, or several after a crash.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    found = tracking.client.search_model_versions(f"name = '{MODEL}' and tags.`{_BUNDLE_TAG}` = '{bundle_id}'")
    return [str(number) for number in sorted(int(item.version) for item in found)]


@mlflow_errors_explained()
def has_no_versions(tracking: Tracking) -> bool:
    """Tell whether MLflow has no version of the registered model at all.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    return not tracking.client.search_model_versions(f"name = '{MODEL}'", max_results=1)


def version_of(tracking: Tracking, model: Promotion | Challenger) -> str | None:
    """Return the version that a record names, or else the oldest of its bundle; None where MLflow has none.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    registered = versions_of(tracking, model.bundle_id)
    return model.model_version if model.model_version in registered else next(iter(registered), None)


@mlflow_errors_explained()
def follow_log(tracking: Tracking, store: ObjectStore) -> list[AliasChange]:
    """Make `champion`, `previous-champion` and `challenger` say what the object store says; return what was changed.

    MLflow has no compare-and-set: the log is read again after each round, so that of several processes the last one to
    set an alias never leaves an old version there.

    Raises:
        TrackingError: MLflow cannot be used, or has no version of the champion; another that it lacks is said and left out.
    """
    changes: list[AliasChange] = []
    wanted = _wanted(store)
    while True:
        for alias, model in wanted.items():
            changes += _point(tracking, alias, model)
        latest = _wanted(store)
        if latest == wanted:
            return changes
        wanted = latest


@mlflow_errors_explained()
def drop_duplicates(tracking: Tracking, named: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Delete versions of a bundle that is registered twice, and return them as (bundle, version).

    Two processes at once, or a crash, can do that. Of each bundle those that are `named`, as (bundle, version), stay, or
    else the oldest. The files stay with the run.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    registered: dict[str, list[int]] = {}
    for item in tracking.client.search_model_versions(f"name = '{MODEL}'"):
        if bundle_id := item.tags.get(_BUNDLE_TAG):
            registered.setdefault(bundle_id, []).append(int(item.version))
    dropped = []
    for bundle_id, numbers in registered.items():
        every = [str(number) for number in sorted(numbers)]
        kept = {number for number in every if (bundle_id, number) in named} or {every[0]}
        dropped += [(bundle_id, number) for number in every if number not in kept]
    for _, number in dropped:
        tracking.client.delete_model_version(MODEL, number)
    return dropped


def aliased_models(store: ObjectStore) -> list[Promotion | Challenger]:
    """Return what the aliases stand for: champion, the one before, challenger; those that there are."""
    return [model for model in _wanted(store).values() if model is not None]


def _wanted(store: ObjectStore) -> dict[str, Promotion | Challenger | None]:
    log = promotions(store)
    return {
        _CHAMPION: log[-1] if log else None,
        "previous-champion": before_champion(log) if log else None,
        "challenger": challenger(store),
    }


def _point(tracking: Tracking, alias: str, model: Promotion | Challenger | None) -> list[AliasChange]:
    client, after = tracking.client, None
    if model is not None:
        after = version_of(tracking, model)
        if after is None:
            missing = (
                f"MLflow has no version of bundle {model.bundle_id}, so the alias {alias} cannot point at it; "
                "check LADNN_TRACKING_URI, then run `ladnn reconcile`, which registers it again"
            )
            if alias == _CHAMPION:
                raise TrackingError(missing)
            say(missing)
    before = _aliased(client, alias)
    while before != after:
        try:
            _move(client, alias, after)
        except MlflowException:
            # two writers at once collide in MLflow's database; that of an alias which stands as it stood has another cause
            found = _aliased(client, alias)
            if found == before:
                raise
            before = found
        else:
            return [AliasChange(alias, before, after)]
    return []


def _move(client: MlflowClient, alias: str, after: str | None) -> None:
    if after is None:
        client.delete_registered_model_alias(MODEL, alias)
    else:
        client.set_registered_model_alias(MODEL, alias, after)


def _aliased(client: MlflowClient, alias: str) -> str | None:
    try:
        return str(client.get_model_version_by_alias(MODEL, alias).version)
    except MlflowException as error:
        if error.error_code not in {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}:
            raise
        return None


def _upload(client: MlflowClient, bundle: Bundle, run_id: str) -> None:
    """Upload a bundle as an MLflow model, and compare every file that comes back, by size and digest."""
    with tempfile.TemporaryDirectory(prefix="ladnn-model-") as folder:
        data, model = Path(folder) / bundle.id, Path(folder) / _FOLDER
        data.mkdir()
        for name, content in bundle.files.items():
            (data / name).write_bytes(content)
        _save_as_mlflow_model(model, data, bundle)
        client.log_artifacts(run_id, str(model), _folder(bundle.id))
        sent = _fingerprints(model)
    with tempfile.TemporaryDirectory(prefix="ladnn-model-") as folder:
        returned = _fingerprints(Path(client.download_artifacts(run_id, _folder(bundle.id), folder)))
    if damaged := sorted(name for name in sent if returned.get(name) != sent[name]):
        raise BundleError(
            f"the upload of bundle {bundle.id} to MLflow is damaged ({', '.join(damaged)}: other size or SHA-256), "
            "so it was not registered; check MLflow's artifact store, then run the same command again"
        )


def _fingerprints(folder: Path) -> dict[str, tuple[int, str]]:
    """Return size in bytes and SHA-256 of every file below a folder, by its path from there."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def _folder(bundle_id: str) -> str:
    """Return where a run keeps the model of a bundle; two bundles of one run must not share their files."""
    return f"{_FOLDER}/{bundle_id}"


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
