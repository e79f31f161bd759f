"""A reconcile mends what a crash left, says what it did, and finds nothing the second time."""

import shutil
from datetime import UTC, datetime

import pytest
from challengers import aliases, copied, decide, promote_decided
from trained_platform import VARIANT

from ladnn.errors import PromotionLogError
from ladnn.governance.decision import read_decision
from ladnn.platform import only_one_retrain
from ladnn.registry import leftovers
from ladnn.registry.challenger import challenge
from ladnn.registry.challenger_log import challenger
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promotion import champion, promotions
from ladnn.registry.reconcile import reconcile
from ladnn.registry.rollback import roll_back
from ladnn.registry.summary import finish_retrain, read_outcome, status_of
from ladnn.registry.test_set import required_test_result
from ladnn.registry.tracking import open_tracking

SECOND = "r-second"


@pytest.fixture(scope="module")
def agreeing(trained_platform, migrated_database, tmp_path_factory):
    """A platform with two promoted models, where everything agrees; to be copied."""
    platform = copied(trained_platform, tmp_path_factory.mktemp("agreeing") / "home")
    (platform.home / "mlflow").mkdir()
    shutil.copy(migrated_database, platform.home / "mlflow" / "mlflow.db")
    decide(platform, platform.retrain_id, platform.bundle_id)
    promote_decided(platform, platform.retrain_id)
    decide(platform, SECOND, platform.another_bundle(0.3))
    promote_decided(platform, SECOND)
    return platform


@pytest.fixture
def home(agreeing, tmp_path):
    """A copy that a test may change."""
    return copied(agreeing, tmp_path / "home")


def mended(platform):
    """What a reconcile says it mended, by name; a second one finds nothing."""
    first, second = (reconcile(platform.settings, platform.store) for _ in range(2))
    assert (second.mended, second.needs_a_person) == ((), first.needs_a_person)
    assert all(item.found and item.done for item in (*first.mended, *first.at_work, *first.needs_a_person))
    return {item.what: item.done for item in first.mended}


def statuses(platform, retrain_id):
    tracking = open_tracking(platform.settings)
    runs = tracking.client.search_runs([tracking.experiment_id], f"tags.`ladnn.retrain_id` = '{retrain_id}'")
    return {run.info.status for run in runs}


def test_where_everything_agrees_there_is_nothing_to_mend(home):
    assert mended(home) == {}


def test_on_an_empty_platform_nothing_is_made(file_store, home):
    settings = home.settings.__class__(
        home=home.home / "empty", store_url=file_store.url, weights_url=None, tracking_uri="sqlite:////nowhere/m.db"
    )

    assert reconcile(settings, file_store).mended == ()
    assert not settings.home.exists()


def test_aliases_follow_the_log_again(home):
    tracking = open_tracking(home.settings)
    tracking.client.set_registered_model_alias(MODEL, "champion", "1")
    tracking.client.delete_registered_model_alias(MODEL, "previous-champion")
    tracking.client.set_registered_model_alias(MODEL, "challenger", "1")

    assert mended(home) == {
        "alias champion": "set to version 2",
        "alias previous-champion": "set to version 1",
        "alias challenger": "removed",
    }
    assert aliases(tracking) == {"champion": "2", "previous-champion": "1"}


def test_after_a_rollback_that_mlflow_did_not_hear_of_it_follows(home):
    roll_back(home.store, by="Ada", reason="worse at one site")

    assert set(mended(home)) == {"alias champion", "alias previous-champion"}
    assert aliases(open_tracking(home.settings)) == {"champion": "1", "previous-champion": "2"}


def test_a_lost_mlflow_database_is_filled_again_from_the_store(home, migrated_database):
    from ladnn.registry.tracking import Tracking

    shutil.rmtree(home.home / "mlflow")
    settings = home.settings.__class__(
        home=home.home,
        store_url=home.settings.store_url,
        weights_url=None,
        tracking_uri=f"sqlite:///{home.home}/new.db",
    )
    shutil.copy(migrated_database, home.home / "new.db")

    first = reconcile(settings, home.store)

    tracking = Tracking(settings.tracking_uri, settings.artifact_root)
    by_bundle = {v.tags["ladnn.bundle_id"]: str(v.version) for v in tracking.client.search_model_versions()}
    assert set(by_bundle) == {record.bundle_id for record in promotions(home.store)}
    assert aliases(tracking)["champion"] == by_bundle[champion(home.store).bundle_id]
    assert sum("registered from the store" in item.done for item in first.mended) == 2
    assert reconcile(settings, home.store).mended == ()


def test_a_bundle_that_was_registered_twice_keeps_the_version_that_the_log_names(home):
    tracking = open_tracking(home.settings)
    named = tracking.client.get_model_version(MODEL, "2")
    tracking.client.create_model_version(MODEL, named.source, named.run_id, tags=named.tags)

    assert mended(home) == {"model version 3": "removed; no promotion names it"}
    assert {str(v.version) for v in tracking.client.search_model_versions()} == {"1", "2"}


def test_a_retrain_that_promoted_and_died_is_ended_as_promoted(home):
    (home.home / "store" / "retrains" / SECOND / "outcome.json").unlink()
    open_tracking(home.settings).parent_run(SECOND, {"ladnn.status": ""})

    assert mended(home)[f"retrain {SECOND}"] == "ended as promoted"
    assert read_outcome(home.store, SECOND).model_version == "2"
    assert statuses(home, SECOND) == {"FINISHED"}


@pytest.mark.parametrize(("outcome", "ended"), [("reject", "rejected"), ("promote", None)])
def test_a_retrain_that_died_after_its_decision_ends_only_if_nothing_is_left_to_do(home, outcome, ended):
    decide(home, "r-third", home.another_bundle(0.4), outcome)
    open_tracking(home.settings).variant_run("r-third", VARIANT, {})

    done = mended(home)

    assert status_of(home.store, "r-third") == (ended or "unfinished")
    if ended:
        assert done["retrain r-third"] == "ended as rejected"
    else:
        assert "`ladnn promote r-third`" in done["runs of r-third"]
        assert statuses(home, "r-third") == {"KILLED"}


def test_a_candidate_that_another_champion_overtook_is_superseded(home):
    decide(home, "r-third", home.another_bundle(0.4))
    roll_back(home.store, by="Ada", reason="worse at one site")

    assert mended(home)["retrain r-third"] == "ended as superseded"


@pytest.mark.parametrize(("status", "expected"), [("promoted", "FINISHED"), ("superseded", "KILLED")])
def test_runs_of_ended_retrains_are_ended_as_they_did(home, status, expected):
    decide(home, "r-third", home.another_bundle(0.4), "hold")
    finish_retrain(home.store, "r-third", status, None, ())
    open_tracking(home.settings).variant_run("r-third", VARIANT, {})

    assert mended(home)["runs of r-third"] == f"ended as {expected}"
    assert statuses(home, "r-third") == {expected}


def test_what_may_be_at_work_is_left_alone_here_and_on_a_server(home, monkeypatch):
    decide(home, "r-third", home.another_bundle(0.4))
    open_tracking(home.settings).variant_run("r-third", VARIANT, {})
    with only_one_retrain(home.settings):
        assert [item.what for item in reconcile(home.settings, home.store).at_work] == ["runs of r-third"]

    tracking = open_tracking(home.settings)
    tracking.has_server = True
    ((done, item),) = leftovers.end_runs(home.store, tracking, alone=True)
    assert (done, item.what) == (False, "runs of r-third")
    monkeypatch.setattr(leftovers, "_SILENT_FOR", datetime.now(UTC) - datetime.now(UTC))
    ((done, _),) = leftovers.end_runs(home.store, tracking, alone=True)
    assert done


def test_runs_of_another_store_and_of_other_tools_are_none_of_its_business(home):
    tracking = open_tracking(home.settings)
    tracking.parent_run("r-of-another-store", {})
    tracking.client.create_run(tracking.experiment_id)

    assert mended(home) == {}


def test_checkpoints_of_what_is_over_are_removed_and_others_stay(home):
    decide(home, "r-third", home.another_bundle(0.4))
    name = "0000000001-a.safetensors"
    for place in (f"{SECOND}/{VARIANT}", f"r-third/{VARIANT}", "r-unknown/a"):
        home.store.put(f"checkpoints/{place}/{name}", b"state")

    assert set(mended(home)) == {f"checkpoints of {SECOND}/{VARIANT}", "checkpoints of r-unknown/a"}
    assert list(home.store.list("checkpoints/")) == [f"checkpoints/r-third/{VARIANT}/{name}"]


def test_a_challenger_keeps_its_alias_until_the_champion_changes(home):
    decide(home, "r-third", home.another_bundle(0.4), "hold")
    tracking = open_tracking(home.settings)
    challenge(home.store, tracking, read_decision(home.store, "r-third"), required_test_result(home.store, "r-third"))
    tracking.finish_all("r-third", "FINISHED")
    reconcile(home.settings, home.store)
    assert aliases(tracking)["challenger"] == "3" == challenger(home.store).model_version

    roll_back(home.store, by="Ada", reason="worse at one site")
    mended(home)
    assert "challenger" not in aliases(tracking)


def test_a_damaged_champion_needs_a_person_and_the_way_back_is_named(home):
    path = home.home / "store" / "bundles" / champion(home.store).bundle_id / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    (item,) = reconcile(home.settings, home.store).needs_a_person
    assert "version 2" in item.what
    assert "changed" in item.found
    assert "ladnn rollback" in item.done


def test_a_lost_record_of_the_log_is_named(home):
    roll_back(home.store, by="Ada", reason="worse at one site")
    (home.home / "store" / "promotions" / "000002.json").unlink()

    with pytest.raises(PromotionLogError, match=r"lost record 2; restore promotions/000002\.json"):
        reconcile(home.settings, home.store)
