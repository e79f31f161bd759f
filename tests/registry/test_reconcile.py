"""A reconcile mends what a crash left, says what it did, and finds nothing the second time."""

import shutil
from datetime import UTC, datetime

import pytest
from challengers import SECOND, aliases, decide
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
from ladnn.retrain import read
from ladnn.store import write_json


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


def test_where_everything_agrees_there_is_nothing_to_mend(two_promoted):
    assert mended(two_promoted) == {}


def test_on_an_empty_platform_nothing_is_made(file_store, two_promoted):
    settings = two_promoted.settings.__class__(
        home=two_promoted.home / "empty",
        store_url=file_store.url,
        weights_url=None,
        tracking_uri="sqlite:////nowhere/m.db",
    )

    assert reconcile(settings, file_store).mended == ()
    assert not settings.home.exists()


def test_aliases_follow_the_log_again(two_promoted):
    tracking = open_tracking(two_promoted.settings)
    tracking.client.set_registered_model_alias(MODEL, "champion", "1")
    tracking.client.delete_registered_model_alias(MODEL, "previous-champion")
    tracking.client.set_registered_model_alias(MODEL, "challenger", "1")

    assert mended(two_promoted) == {
        "alias champion": "set to version 2",
        "alias previous-champion": "set to version 1",
        "alias challenger": "removed",
    }
    assert aliases(tracking) == {"champion": "2", "previous-champion": "1"}


def test_after_a_rollback_that_mlflow_did_not_hear_of_it_follows(two_promoted):
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")

    assert set(mended(two_promoted)) == {"alias champion", "alias previous-champion", "papers of model version 2"}
    assert aliases(open_tracking(two_promoted.settings)) == {"champion": "1", "previous-champion": "2"}
    assert mended(two_promoted) == {}


def test_a_lost_mlflow_database_is_filled_again_from_the_store(two_promoted, migrated_database):
    from ladnn.registry.tracking import Tracking

    shutil.rmtree(two_promoted.home / "mlflow")
    settings = two_promoted.settings.__class__(
        home=two_promoted.home,
        store_url=two_promoted.settings.store_url,
        weights_url=None,
        tracking_uri=f"sqlite:///{two_promoted.home}/new.db",
    )
    shutil.copy(migrated_database, two_promoted.home / "new.db")

    first = reconcile(settings, two_promoted.store)

    tracking = Tracking(settings.tracking_uri, settings.artifact_root)
    by_bundle = {v.tags["ladnn.bundle_id"]: str(v.version) for v in tracking.client.search_model_versions()}
    assert by_bundle == {record.bundle_id: record.model_version for record in promotions(two_promoted.store)}
    assert aliases(tracking) == {"champion": "2", "previous-champion": "1"}
    assert sum("registered from the store" in item.done for item in first.mended) == 2
    assert reconcile(settings, two_promoted.store).mended == ()


def test_a_bundle_that_was_registered_twice_keeps_the_version_that_the_log_names(two_promoted):
    tracking = open_tracking(two_promoted.settings)
    named = tracking.client.get_model_version(MODEL, "2")
    tracking.client.create_model_version(MODEL, named.source, named.run_id, tags=named.tags)

    with only_one_retrain(two_promoted.settings):  # another process may be about to name it
        assert reconcile(two_promoted.settings, two_promoted.store).mended == ()
    assert mended(two_promoted) == {"model version 3": "removed; no promotion names it"}
    assert {str(v.version) for v in tracking.client.search_model_versions()} == {"1", "2"}


def test_a_retrain_that_promoted_and_died_is_ended_as_promoted(two_promoted):
    for name in ("outcome", "record"):
        (two_promoted.home / "store" / "retrains" / SECOND / f"{name}.json").unlink()
    open_tracking(two_promoted.settings).parent_run(SECOND, {"ladnn.status": ""})

    assert mended(two_promoted)[f"retrain {SECOND}"] == "ended as promoted"
    assert read_outcome(two_promoted.store, SECOND).model_version == "2"
    assert read(two_promoted.store, SECOND, "record")["ended"] == "promoted"
    assert statuses(two_promoted, SECOND) == {"FINISHED"}


@pytest.mark.parametrize(("outcome", "ended"), [("reject", "rejected"), ("promote", None)])
def test_a_retrain_that_died_after_its_decision_ends_only_if_nothing_is_left_to_do(two_promoted, outcome, ended):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4), outcome)
    open_tracking(two_promoted.settings).variant_run("r-third", VARIANT, {})

    done = mended(two_promoted)

    assert status_of(two_promoted.store, "r-third") == (ended or "unfinished")
    if ended:
        assert done["retrain r-third"] == "ended as rejected"
    else:
        assert "`ladnn promote r-third`" in done["runs of r-third"]
        assert statuses(two_promoted, "r-third") == {"KILLED"}


def test_a_candidate_that_another_champion_overtook_is_superseded(two_promoted):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4))
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")

    assert mended(two_promoted)["retrain r-third"] == "ended as superseded"
    assert read(two_promoted.store, "r-third", "record")["ended"] == "superseded"
    assert statuses(two_promoted, "r-third") == {"KILLED"}


def test_a_held_candidate_that_was_overtaken_ends_and_its_flow_run_is_not_forgotten(two_promoted):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4), "hold")
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")

    done = mended(two_promoted)["retrain r-third"]

    assert done.startswith("ended as superseded; a flow run that still waits for it is ended by the next retrain")


@pytest.mark.parametrize(("status", "expected"), [("promoted", "FINISHED"), ("superseded", "KILLED")])
def test_runs_of_ended_retrains_are_ended_as_they_did(two_promoted, status, expected):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4), "hold")
    finish_retrain(two_promoted.store, "r-third", status, None, ())
    open_tracking(two_promoted.settings).variant_run("r-third", VARIANT, {})

    assert mended(two_promoted)["runs of r-third"] == f"ended as {expected}"
    assert statuses(two_promoted, "r-third") == {expected}


def test_what_may_be_at_work_is_left_alone_here_and_on_a_server(two_promoted, monkeypatch):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4))
    open_tracking(two_promoted.settings).variant_run("r-third", VARIANT, {})
    with only_one_retrain(two_promoted.settings):
        assert [item.what for item in reconcile(two_promoted.settings, two_promoted.store).at_work] == [
            "runs of r-third"
        ]

    tracking = open_tracking(two_promoted.settings)
    tracking.has_server = True
    ((done, item),) = leftovers.end_runs(two_promoted.store, tracking, alone=True)
    assert (done, item.what) == (False, "runs of r-third")
    monkeypatch.setattr(leftovers, "_SILENT_FOR", datetime.now(UTC) - datetime.now(UTC))
    ((done, _),) = leftovers.end_runs(two_promoted.store, tracking, alone=True)
    assert done


def test_runs_of_another_store_and_of_other_tools_are_none_of_its_business(two_promoted):
    tracking = open_tracking(two_promoted.settings)
    tracking.parent_run("r-of-another-store", {})
    tracking.client.create_run(tracking.experiment_id)

    assert mended(two_promoted) == {}


def test_checkpoints_of_what_is_over_are_removed_and_others_stay(two_promoted):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4))
    name = "0000000001-a.safetensors"
    for place in (f"{SECOND}/{VARIANT}", f"r-third/{VARIANT}", "r-unknown/a"):
        two_promoted.store.put(f"checkpoints/{place}/{name}", b"state")

    assert set(mended(two_promoted)) == {f"checkpoints of {SECOND}/{VARIANT}", "checkpoints of r-unknown/a"}
    assert list(two_promoted.store.list("checkpoints/")) == [f"checkpoints/r-third/{VARIANT}/{name}"]


def test_a_challenger_keeps_its_alias_until_the_champion_changes(two_promoted):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4), "hold")
    tracking = open_tracking(two_promoted.settings)
    challenge(
        two_promoted.store,
        tracking,
        two_promoted.trusted,
        read_decision(two_promoted.store, "r-third"),
        required_test_result(two_promoted.store, "r-third"),
    )
    tracking.finish_all("r-third", "FINISHED")
    reconcile(two_promoted.settings, two_promoted.store)
    assert aliases(tracking)["challenger"] == "3" == challenger(two_promoted.store).model_version

    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")
    mended(two_promoted)
    assert "challenger" not in aliases(tracking)


def test_a_damaged_champion_needs_a_person_and_the_way_back_is_named(two_promoted):
    path = two_promoted.home / "store" / "bundles" / champion(two_promoted.store).bundle_id / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    (item,) = reconcile(two_promoted.settings, two_promoted.store).needs_a_person
    assert "version 2" in item.what
    assert "changed" in item.found
    assert "ladnn rollback" in item.done


@pytest.mark.parametrize("number", [2, 3])
def test_a_lost_record_of_the_log_is_written_again_from_a_decision_record_that_quotes_it(two_promoted, number):
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")
    reconcile(two_promoted.settings, two_promoted.store)
    before = promotions(two_promoted.store)
    (two_promoted.home / "store" / "promotions" / f"00000{number}.json").unlink()

    assert set(mended(two_promoted)) == {"promotion log"}
    assert promotions(two_promoted.store) == before


@pytest.mark.parametrize("number", [2, 3])
def test_a_lost_record_that_nothing_quotes_needs_a_person_and_nothing_follows_the_rest(two_promoted, number):
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")
    reconcile(two_promoted.settings, two_promoted.store)
    (two_promoted.home / "store" / "promotions" / f"00000{number}.json").unlink()
    (two_promoted.home / "store" / "retrains" / SECOND / "record.json").unlink()

    found = reconcile(two_promoted.settings, two_promoted.store)

    (item,) = found.needs_a_person
    assert (item.what, found.mended) == ("promotion log", ())
    assert f"lost record {number}" in item.found
    assert f"restore promotions/00000{number}.json from backup" in item.done
    assert aliases(open_tracking(two_promoted.settings))["champion"] == "1"
    with pytest.raises(PromotionLogError, match=f"lost record {number}"):
        roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site", version="2")


def test_a_lost_record_of_a_log_whose_length_was_never_noted_is_known_by_how_its_retrain_ended(two_promoted):
    for name in ("log_lengths/promotions.json", "promotions/000002.json", f"retrains/{SECOND}/record.json"):
        (two_promoted.home / "store" / name).unlink()

    found = reconcile(two_promoted.settings, two_promoted.store)

    (item,) = found.needs_a_person
    assert (item.found, found.mended) == (f"no record of model version 2, which retrain {SECOND} promoted", ())
    assert item.done == "restore promotions/000002.json from backup"


@pytest.mark.parametrize(
    ("name", "document"),
    [("plan", None), ("plan", {"variants": 1}), ("outcome", {}), ("decision", []), ("record", [1]), ("test", "none")],
)
def test_a_document_that_is_none_needs_a_person_and_the_rest_is_mended(two_promoted, name, document):
    write_json(two_promoted.store, f"retrains/{two_promoted.retrain_id}/{name}.json", document)
    open_tracking(two_promoted.settings).client.set_registered_model_alias(MODEL, "champion", "1")

    found = reconcile(two_promoted.settings, two_promoted.store)

    (item,) = found.needs_a_person
    assert item.what == f"retrain {two_promoted.retrain_id}"
    assert f"document {name} of" in item.found
    assert [mended.what for mended in found.mended] == ["alias champion"]


@pytest.mark.parametrize("name", ["plan", "outcome", "decision", "record"])
def test_a_damaged_document_of_one_retrain_needs_a_person_and_the_rest_is_mended(two_promoted, name):
    folder = two_promoted.home / "store" / "retrains" / two_promoted.retrain_id
    (folder / f"{name}.json").write_bytes(b'{"a"')
    open_tracking(two_promoted.settings).client.set_registered_model_alias(MODEL, "champion", "1")

    found = reconcile(two_promoted.settings, two_promoted.store)

    (item,) = found.needs_a_person
    assert item.what == f"retrain {two_promoted.retrain_id}"
    assert f"{name}.json" in item.found
    assert item.done == "restore it from backup"
    assert [mended.what for mended in found.mended] == ["alias champion"]


def test_a_damaged_challenger_needs_a_person_and_the_rest_is_mended(two_promoted):
    two_promoted.store.put("challengers/000002-r-other-1.json", b"{}")
    open_tracking(two_promoted.settings).client.set_registered_model_alias(MODEL, "champion", "1")

    found = reconcile(two_promoted.settings, two_promoted.store)

    assert [item.what for item in found.needs_a_person] == ["challenger r-other-1"]
    assert [mended.what for mended in found.mended] == ["alias champion"]


def test_a_damaged_record_of_the_log_is_written_again_where_a_decision_record_quotes_it(two_promoted):
    before = promotions(two_promoted.store)
    (two_promoted.home / "store" / "promotions" / "000002.json").write_bytes(b"{}")
    with pytest.raises(PromotionLogError, match="restore it from backup"):
        promotions(two_promoted.store)

    assert "promotion log" in mended(two_promoted)
    assert promotions(two_promoted.store) == before


def test_a_lost_bundle_that_a_rollback_leads_to_needs_a_person(two_promoted):
    shutil.rmtree(two_promoted.home / "store" / "bundles" / two_promoted.bundle_id)

    (item,) = reconcile(two_promoted.settings, two_promoted.store).needs_a_person

    assert item.what == "model version 1, to which `ladnn rollback` leads"


@pytest.mark.parametrize("lost", ["datasets/{version}/version.json", f"retrains/{SECOND}/test.json"])
def test_a_lost_document_of_a_withdrawn_model_needs_a_person_and_the_rest_is_mended(two_promoted, lost):
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site")
    (two_promoted.home / "store" / lost.format(version=two_promoted.plan.dataset_version)).unlink()

    found = reconcile(two_promoted.settings, two_promoted.store)

    (item,) = found.needs_a_person
    assert item.what == "papers of model version 2"
    assert [mended.what for mended in found.mended] == ["alias champion", "alias previous-champion"]


def test_a_reason_longer_than_mlflow_keeps_is_told_once(two_promoted):
    roll_back(two_promoted.store, two_promoted.trusted, by="Ada", reason="worse at one site. " * 500)

    assert "papers of model version 2" in mended(two_promoted)
    assert mended(two_promoted) == {}


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_no_file_of_the_champion_needs_a_person_and_the_rest_is_mended(two_promoted, kind, tmp_path):
    path = two_promoted.home / "store" / "bundles" / champion(two_promoted.store).bundle_id / "model.onnx"
    path.rename(tmp_path / "model.onnx")
    if kind == "link":
        path.symlink_to(tmp_path / "model.onnx")
    else:
        path.mkdir()
    open_tracking(two_promoted.settings).client.set_registered_model_alias(MODEL, "champion", "1")

    found = reconcile(two_promoted.settings, two_promoted.store)

    (item,) = found.needs_a_person
    assert item.what == "champion, model version 2"
    assert "`ladnn rollback 1` leads to a model that is whole" in item.done
    assert [mended.what for mended in found.mended] == ["alias champion"]
