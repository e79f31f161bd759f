"""Promotion and rollback, killed at every write: a champion always answers, and a reconcile makes all agree again."""

import shutil
from pathlib import Path

import pytest
from challengers import decision_for, result_against_the_champion
from dying import writes_of
from trained_platform import VARIANT, TrainedPlatform

from ladnn.governance.decision import read_decision
from ladnn.registry.challenger import promote_challenger
from ladnn.registry.model_versions import MODEL, follow_log
from ladnn.registry.promote_named import finish_promoted
from ladnn.registry.promotion import before_champion, champion, promotions
from ladnn.registry.reconcile import reconcile
from ladnn.registry.rollback import roll_back
from ladnn.registry.summary import status_of
from ladnn.registry.test_set import read_test_result
from ladnn.registry.tracking import Tracking, open_tracking
from ladnn.retrain import keep, keep_plan
from ladnn.serving.predictor import load_champion

pytestmark = pytest.mark.slow
SECOND = "r-second"


@pytest.fixture(scope="module")
def measured(trained_platform, migrated_database, tmp_path_factory) -> TrainedPlatform:
    """A home with a champion, and a second candidate that its gates passed; runs of both are open, as in a retrain."""
    platform = copy_of(trained_platform, tmp_path_factory.mktemp("measured") / "home")
    (platform.home / "mlflow").mkdir()
    shutil.copy(migrated_database, platform.home / "mlflow" / "mlflow.db")
    decide(platform, platform.retrain_id, platform.bundle_id)
    promote(platform, platform.retrain_id)
    keep_plan(platform.store, platform.plan.model_copy(update={"retrain_id": SECOND}))
    decide(platform, SECOND, platform.another_bundle(0.3))
    open_tracking(platform.settings).variant_run(SECOND, VARIANT, {})
    platform.store.put(f"checkpoints/{SECOND}/{VARIANT}/0000000001-a.safetensors", b"left by a killed training")
    return platform


@pytest.fixture(scope="module")
def promoted(measured, tmp_path_factory) -> TrainedPlatform:
    """The same home after the second candidate was promoted."""
    platform = copy_of(measured, tmp_path_factory.mktemp("promoted") / "home")
    promote(platform, SECOND)
    return platform


def copy_of(platform: TrainedPlatform, target: Path) -> TrainedPlatform:
    return TrainedPlatform(Path(shutil.copytree(platform.home, target)), platform.retrain_id, platform.bundle_id)


def decide(platform: TrainedPlatform, retrain_id: str, bundle_id: str) -> None:
    decision = decision_for(platform, retrain_id=retrain_id, bundle_id=bundle_id)
    test = result_against_the_champion(platform, bundle_id)
    keep(platform.store, retrain_id, "decision", decision.model_dump(mode="json"))
    keep(platform.store, retrain_id, "test", test.model_dump(mode="json"))


def promote(platform: TrainedPlatform, retrain_id: str) -> None:
    """Do what a retrain does from its decision on."""
    store, tracking = platform.store, open_tracking(platform.settings)
    decision, test = read_decision(store, retrain_id), read_test_result(store, retrain_id)
    promote_challenger(store, tracking, decision, test, by="gates", reason="all gates passed")
    finish_promoted(store, tracking, retrain_id)


def go_back(platform: TrainedPlatform) -> None:
    """Do what `ladnn rollback` does."""
    roll_back(platform.store, by="Ada", reason="worse at one site")
    follow_log(open_tracking(platform.settings), platform.store)


def aliases(tracking: Tracking) -> dict[str, str]:
    return {name: str(version) for name, version in tracking.client.get_registered_model(MODEL).aliases.items()}


def assert_consistent(platform: TrainedPlatform) -> None:
    """Log, aliases, versions, runs and checkpoints say the same, and a second reconcile finds nothing."""
    store, tracking = platform.store, open_tracking(platform.settings)
    log = promotions(store)
    before = before_champion(log)
    waiting = champion(store).number == 1 and {"challenger": "2"}  # unless it was killed before it had a version
    expected = {"champion": log[-1].model_version} | ({"previous-champion": before.model_version} if before else {})
    assert aliases(tracking) in (expected, expected | (waiting or {}))
    versions = tracking.client.search_model_versions(f"name = '{MODEL}'")
    bundles = [version.tags["ladnn.bundle_id"] for version in versions]
    assert len(bundles) == len(set(bundles))
    assert {record.bundle_id for record in log} <= set(bundles)
    runs = tracking.client.search_runs([tracking.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    assert list(store.list("checkpoints/")) == [] or status_of(store, SECOND) == "unfinished"
    again = reconcile(platform.settings, store)
    assert (again.mended, again.at_work, again.needs_a_person) == ((), (), ())


def test_a_promotion_killed_at_any_write_leaves_a_champion_and_is_reconciled(measured, tmp_path, forkserver):
    copy = copy_of(measured, tmp_path / "home")
    writes = writes_of(forkserver, tmp_path / "writes", promote, copy, SECOND)
    assert sum("put_if_absent promotions/" in write for write in writes) == 1
    assert sum(write.startswith("upload model.onnx") for write in writes) == 1
    assert sum("registered_model_aliases" in write for write in writes) >= 2

    for fatal in range(1, len(writes) + 1):
        platform = copy_of(measured, tmp_path / f"home {fatal}")
        done = writes_of(forkserver, tmp_path / "writes", promote, platform, SECOND, fatal=fatal)
        assert load_champion(platform.store).model_version in {"1", "2"}, done

        reconcile(platform.settings, platform.store)

        assert_consistent(platform)
        promoted = any("put_if_absent promotions/" in write for write in done)
        assert status_of(platform.store, SECOND) == ("promoted" if promoted else "unfinished"), done
        promote(platform, SECOND)
        assert [record.retrain_id for record in promotions(platform.store)] == [platform.retrain_id, SECOND]
        assert aliases(open_tracking(platform.settings)) == {"champion": "2", "previous-champion": "1"}


def test_a_rollback_killed_at_any_write_leaves_a_champion_and_is_reconciled(promoted, tmp_path, forkserver):
    writes = writes_of(forkserver, tmp_path / "writes", go_back, copy_of(promoted, tmp_path / "home"))
    assert writes[0] == "put_if_absent promotions/000003.json", "it holds before anything else is done"
    assert sum("registered_model_aliases" in write for write in writes) == 2

    for fatal in range(1, len(writes) + 1):
        platform = copy_of(promoted, tmp_path / f"home {fatal}")
        writes_of(forkserver, tmp_path / "writes", go_back, platform, fatal=fatal)
        expected = "2" if fatal == 1 else "1"
        assert load_champion(platform.store).model_version == expected

        result = reconcile(platform.settings, platform.store)

        assert load_champion(platform.store).model_version == expected
        assert_consistent(platform)
        assert any(item.what == "alias champion" for item in result.mended) == (fatal == 2)
