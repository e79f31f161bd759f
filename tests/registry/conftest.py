"""Owns the MLflow stores of the registry's tests."""

import multiprocessing
import os
import shutil
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from trained_platform import TrainedPlatform

from ladnn.settings import silence_services

silence_services(os.environ)  # before any test module imports MLflow


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: its migrations take seconds, copying it does not."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def open_tracking(migrated_database: Path, tmp_path: Path) -> Callable[..., "Tracking"]:  # noqa: F821
    """Return what opens the test's own MLflow store, the same one each time."""
    from ladnn.registry.tracking import Tracking

    database = tmp_path / "tracking" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(migrated_database, database)
    return lambda: Tracking(f"sqlite:///{database}", database.parent / "artifacts")


@pytest.fixture
def tracking(open_tracking: Callable[..., "Tracking"]) -> "Tracking":  # noqa: F821
    """An MLflow store of its own."""
    return open_tracking()


@pytest.fixture(scope="session")
def forkserver() -> ForkServerContext:
    """Makes processes that have everything heavy imported; one server for all, as a process can have only one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ladnn.registry.reconcile", "ladnn.store.s3", "mlflow.pyfunc"])
    return context


@pytest.fixture(scope="session")
def built_with_two_promoted(
    trained_platform: TrainedPlatform, migrated_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainedPlatform:
    """A platform with two promoted models, versions 1 and 2, where log, MLflow and documents agree; to be copied."""
    from challengers import SECOND, copied, decide, promote_decided

    platform = copied(trained_platform, tmp_path_factory.mktemp("two-promoted") / "home")
    (platform.home / "mlflow").mkdir()
    shutil.copy(migrated_database, platform.home / "mlflow" / "mlflow.db")
    decide(platform, platform.retrain_id, platform.bundle_id)
    promote_decided(platform, platform.retrain_id)
    decide(platform, SECOND, platform.another_bundle(0.3))
    promote_decided(platform, SECOND)
    return platform


@pytest.fixture
def two_promoted(built_with_two_promoted: TrainedPlatform, tmp_path: Path) -> TrainedPlatform:
    """A copy of it that a test may change."""
    from challengers import copied

    return copied(built_with_two_promoted, tmp_path / "home")
