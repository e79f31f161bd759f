"""Promotion and rollback, killed at every write: a champion always answers, and a reconcile makes all agree again."""

import shutil
from dataclasses import asdict

import pytest
from challengers import SECOND, aliases, copied, decide, promote_decided
from dying import writes_of
from s3_server import S3Server
from trained_platform import VARIANT, TrainedPlatform

from ladnn.registry.model_versions import MODEL, follow_log
from ladnn.registry.promotion import before_champion, champion, promotions
from ladnn.registry.reconcile import reconcile
from ladnn.registry.rollback import roll_back
from ladnn.registry.summary import status_of
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import read
from ladnn.serving.predictor import load_champion
from ladnn.settings import Settings
from ladnn.store import ObjectStore, S3Options, open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(trained_platform, migrated_database, tmp_path_factory) -> TrainedPlatform:
    """A home with a champion, and a second candidate that its gates passed; runs of both are open, as in a retrain."""
    platform = copied(trained_platform, tmp_path_factory.mktemp("measured") / "home")
    (platform.home / "mlflow").mkdir()
    shutil.copy(migrated_database, platform.home / "mlflow" / "mlflow.db")
    decide(platform, platform.retrain_id, platform.bundle_id)
    promote_decided(platform, platform.retrain_id)
    decide(platform, SECOND, platform.another_bundle(0.3))
    open_tracking(platform.settings).variant_run(SECOND, VARIANT, {})
    platform.store.put(f"checkpoints/{SECOND}/{VARIANT}/0000000001-a.safetensors", b"left by a killed training")
    return platform


def go_back(url: str, s3: dict[str, str | None], settings: Settings) -> None:
    """Do what `ladnn rollback` does."""
    store = open_store(url, S3Options(**s3))
    roll_back(store, settings.trusted_keys(), by="Ada", reason="worse at one site")
    follow_log(open_tracking(settings), store)


def moved(platform: TrainedPlatform, server: S3Server | None) -> tuple[str, dict[str, str | None]]:
    """Return where the objects of a platform are, after they were copied to a bucket of its own if there is a server."""
    if server is None:
        return platform.store.url, {}
    url = f"s3://{server.make_bucket()}/lab"
    target = open_store(url, server.options)
    for key in platform.store.list(""):
        if key.startswith(("promotions/", "bundles/", "retrains/", "datasets/", "challengers/")):
            target.put(key, platform.store.get(key))
    return url, asdict(server.options)


def assert_consistent(settings: Settings, store: ObjectStore) -> None:
    """Log, aliases, versions, runs and checkpoints say the same, and a second reconcile finds nothing."""
    tracking = open_tracking(settings)
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
    again = reconcile(settings, store)
    assert (again.mended, again.at_work, again.needs_a_person) == ((), (), ())


def test_a_promotion_killed_at_any_write_leaves_a_champion_and_is_reconciled(measured, tmp_path, forkserver):
    copy = copied(measured, tmp_path / "home")
    writes = writes_of(forkserver, tmp_path / "writes", promote_decided, copy, SECOND)
    assert sum("put_if_absent promotions/" in write for write in writes) == 1
    assert sum(write.startswith("upload model.onnx") for write in writes) == 1
    assert sum("registered_model_aliases" in write for write in writes) >= 2

    for fatal in range(1, len(writes) + 1):
        platform = copied(measured, tmp_path / f"home {fatal}")
        done = writes_of(forkserver, tmp_path / "writes", promote_decided, platform, SECOND, fatal=fatal)
        assert load_champion(platform.store, platform.trusted).model_version in {"1", "2"}, done

        reconcile(platform.settings, platform.store)

        assert_consistent(platform.settings, platform.store)
        promoted = any("put_if_absent promotions/" in write for write in done)
        assert status_of(platform.store, SECOND) == ("promoted" if promoted else "unfinished"), done
        if promoted:
            assert read(platform.store, SECOND, "record")["ended"] == "promoted", done
            assert platform.store.exists(f"cards/{champion(platform.store).bundle_id}/card.json"), done
        promote_decided(platform, SECOND)
        assert [record.retrain_id for record in promotions(platform.store)] == [platform.retrain_id, SECOND]
        assert aliases(open_tracking(platform.settings)) == {"champion": "2", "previous-champion": "1"}
        shutil.rmtree(platform.home)  # there are dozens


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_a_rollback_killed_at_any_write_leaves_a_champion_and_is_reconciled(
    kind, request, built_with_two_promoted, tmp_path, forkserver
):
    server = request.getfixturevalue("s3_server") if kind == "s3" else None

    def rolled_back(name, fatal=None):
        platform = copied(built_with_two_promoted, tmp_path / name)
        place = moved(platform, server)
        done = writes_of(forkserver, tmp_path / "writes", go_back, *place, platform.settings, fatal=fatal)
        return platform.settings, open_store(place[0], S3Options(**place[1])), done

    _, _, writes = rolled_back("whole")
    assert writes[0] == "put_if_absent promotions/000003.json", "it holds before anything else is done"
    assert sum("registered_model_aliases" in write for write in writes) == 2

    for fatal in range(1, len(writes) + 1):
        settings, store, _ = rolled_back(f"home {fatal}", fatal)
        expected = "2" if fatal == 1 else "1"
        assert load_champion(store, settings.trusted_keys()).model_version == expected

        result = reconcile(settings, store)

        assert load_champion(store, settings.trusted_keys()).model_version == expected
        assert_consistent(settings, store)
        assert any(item.what == "alias champion" for item in result.mended) == (fatal == 2)
        shutil.rmtree(settings.home)
