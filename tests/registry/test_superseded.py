"""A retrain that newer data overtook ends as superseded; what it had already promoted stays promoted."""

from challengers import decision_for, result_against_the_champion
from decided_retrains import kept

from ladnn.registry.challenger import promote_challenger
from ladnn.registry.leftovers import supersede_unfinished
from ladnn.registry.retrain_runs import begin, begin_variant, fail
from ladnn.registry.summary import read_outcome
from ladnn.registry.tracking import Tracking
from ladnn.retrain import plan_retrain, read


def statuses(tracking, retrain_id):
    runs = tracking.client.search_runs([tracking.experiment_id], f"tags.`ladnn.retrain_id` = '{retrain_id}'")
    return {run.info.status for run in runs}


def newer(platform):
    return plan_retrain(platform.store, "d-newer", platform.plan.config, "0", force=False).plan


def test_an_overtaken_retrain_is_superseded_with_all_its_runs(platform, tracking):
    begin(tracking, platform.plan, platform.version)
    begin_variant(tracking, platform.plan, "efficientnet_lite0-ladnn")
    supersede_unfinished(platform.store, tracking, platform.trusted, newer(platform))
    assert read_outcome(platform.store, platform.retrain_id).status == "superseded"
    assert statuses(tracking, platform.retrain_id) == {"KILLED"}


def test_one_that_had_been_decided_gets_its_record(platform, tracking):
    begin(tracking, platform.plan, platform.version)
    kept(platform, "test", result_against_the_champion(platform))
    kept(platform, "decision", decision_for(platform))
    supersede_unfinished(platform.store, tracking, platform.trusted, newer(platform))
    assert read(platform.store, platform.retrain_id, "record")["ended"] == "superseded"
    assert statuses(tracking, platform.retrain_id) == {"KILLED"}


def test_one_that_damage_keeps_from_ending_stops_no_other(platform, tracking, capsys):
    kept(platform, "test", result_against_the_champion(platform))
    kept(platform, "decision", decision_for(platform))
    (platform.home / "store" / "datasets" / platform.plan.dataset_version / "version.json").unlink()
    supersede_unfinished(platform.store, tracking, platform.trusted, newer(platform))
    assert read_outcome(platform.store, platform.retrain_id) is None
    assert f"{platform.retrain_id} was broken off and stays so" in capsys.readouterr().err


def test_an_overtaken_retrain_that_had_promoted_counts_as_promoted(platform, tracking):
    begin(tracking, platform.plan, platform.version)
    decision, test = decision_for(platform), result_against_the_champion(platform)
    promote_challenger(
        platform.store, tracking, platform.trusted, decision, test, by="gates", reason="all gates passed"
    )
    begin_variant(tracking, platform.plan, "efficientnet_lite0-ladnn")
    supersede_unfinished(platform.store, tracking, platform.trusted, newer(platform))
    assert read_outcome(platform.store, platform.retrain_id).status == "promoted"
    assert statuses(tracking, platform.retrain_id) == {"FINISHED"}


def test_another_experiment_supersedes_nothing(platform, tracking):
    config = platform.plan.config.model_copy(update={"seed": 99})
    other = plan_retrain(platform.store, "d-newer", config, "0", force=False).plan
    supersede_unfinished(platform.store, tracking, platform.trusted, other)
    assert read_outcome(platform.store, platform.retrain_id) is None


def test_a_superseded_retrain_is_planned_again_without_force(platform, tracking):
    supersede_unfinished(platform.store, tracking, platform.trusted, newer(platform))
    plan = platform.plan
    found = plan_retrain(platform.store, plan.dataset_version, plan.config, "0", force=False)
    assert (found.state, found.plan.attempt) == ("new", plan.attempt + 1)


def test_a_failed_retrain_leaves_no_run_open(platform):
    tracking = Tracking(platform.settings.tracking_uri, platform.settings.artifact_root)
    begin(tracking, platform.plan, platform.version)
    begin_variant(tracking, platform.plan, "efficientnet_lite0-ladnn")
    fail(platform.settings, platform.retrain_id)
    assert statuses(tracking, platform.retrain_id) == {"FAILED"}
