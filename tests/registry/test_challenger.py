"""A challenger on its way to champion: every step can be repeated, whatever was killed in between."""

import multiprocessing

import numpy as np
import pytest
from challengers import decision_for, result_against_the_champion
from trained_platform import VARIANT

from ladnn.errors import NoChampionError, PromotionConflictError, RetrainError
from ladnn.registry.challenger import check_replaceable, promote_challenger, roll_back
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promotion import champion, promotions
from ladnn.registry.tracking import Tracking


def promote_by_gates(platform, tracking, decision, test):
    return promote_challenger(platform.store, tracking, decision, test, by="gates", reason="all gates passed")


def aliases(tracking):
    return {name: str(version) for name, version in tracking.client.get_registered_model(MODEL).aliases.items()}


def test_a_promoted_challenger_is_champion_in_the_log_and_in_mlflow(platform, tracking):
    decision, test = decision_for(platform), result_against_the_champion(platform)

    version = promote_by_gates(platform, tracking, decision, test)

    record = champion(platform.store)
    assert (record.number, record.bundle_id, record.model_version) == (1, platform.bundle_id, version)
    assert (record.by, record.reason, record.synthetic) == ("gates", "all gates passed", True)
    assert aliases(tracking) == {"champion": version}
    assert tracking.client.get_run(tracking.client.get_model_version(MODEL, version).run_id).info.status == "FINISHED"


def test_promoting_twice_is_promoting_once(platform, open_tracking):
    decision, test = decision_for(platform), result_against_the_champion(platform)

    versions = [promote_by_gates(platform, open_tracking(), decision, test) for _ in range(2)]

    assert versions == ["1", "1"]
    assert len(promotions(platform.store)) == 1


def test_a_challenger_measured_against_an_overtaken_champion_is_refused(platform, tracking):
    decision, test = decision_for(platform), result_against_the_champion(platform)
    platform.promote(platform.another_bundle(0.3), "7")

    with pytest.raises(PromotionConflictError, match="same command again"):
        promote_by_gates(platform, tracking, decision, test)
    assert champion(platform.store).model_version == "7"


def test_a_model_of_phantoms_does_not_replace_one_of_patients(platform, tracking):
    platform.promote(platform.another_bundle(0.3), "7", synthetic=False)
    decision, test = decision_for(platform), result_against_the_champion(platform)

    with pytest.raises(RetrainError, match="LADNN_HOME"):
        promote_by_gates(platform, tracking, decision, test)
    with pytest.raises(RetrainError, match="LADNN_HOME"):
        check_replaceable(platform.store, synthetic=True)
    check_replaceable(platform.store, synthetic=False)
    assert champion(platform.store).model_version == "7"


def test_phantoms_may_replace_phantoms_and_patients_may_replace_phantoms(champion_platform):
    check_replaceable(champion_platform.store, synthetic=True)
    check_replaceable(champion_platform.store, synthetic=False)


def _promote(platform, tracking_uri, artifact_root, decision, test):
    promote_by_gates(platform, Tracking(tracking_uri, artifact_root), decision, test)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_promotion_killed_at_any_moment_ends_right_when_it_is_repeated(
    champion_platform, open_tracking, tmp_path, seed
):
    platform, tracking = champion_platform, open_tracking()
    bundle = load_and_register_first_champion(platform, tracking)
    challenger = platform.another_bundle(0.3)
    decision = decision_for(platform, retrain_id="r-killed", bundle_id=challenger)
    test = result_against_the_champion(platform, challenger)
    arguments = (platform, f"sqlite:///{tmp_path / 'tracking' / 'mlflow.db'}", tmp_path / "tracking" / "artifacts")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ladnn.registry.challenger", "mlflow.pyfunc"])

    rng, n_killed = np.random.default_rng(seed), 0
    for _ in range(6):
        process = context.Process(target=_promote, args=(*arguments, decision, test))
        process.start()
        process.join(rng.uniform(0.05, 2.0))
        n_killed += process.is_alive()
        process.kill()
        process.join()
    _promote(*arguments, decision, test)

    log = promotions(platform.store)
    versions = tracking.client.search_model_versions(f"name = '{MODEL}'")
    assert n_killed > 0
    assert [record.bundle_id for record in log] == [bundle, challenger]
    assert sorted(version.tags["ladnn.bundle_id"] for version in versions) == sorted([bundle, challenger])
    assert aliases(tracking) == {"champion": log[1].model_version, "previous-champion": log[0].model_version}
    runs = tracking.client.search_runs([tracking.experiment_id], "tags.`ladnn.retrain_id` = 'r-killed'")
    assert sorted(run.info.run_name for run in runs) == [VARIANT, "r-killed"]


def load_and_register_first_champion(platform, tracking):
    """Give the champion of the log its model version, and return its bundle."""
    from ladnn.registry.bundle import load_bundle
    from ladnn.registry.model_versions import register

    bundle = load_bundle(platform.store, platform.bundle_id)
    assert register(tracking, bundle, tracking.variant_run(platform.retrain_id, VARIANT, {})) == "1"
    return bundle.id


def test_rolling_back_makes_the_earlier_model_champion_again(platform, tracking):
    promote_by_gates(platform, tracking, decision_for(platform), result_against_the_champion(platform))
    second = platform.another_bundle(0.3)
    decision = decision_for(platform, retrain_id="r-second", bundle_id=second)
    promote_by_gates(platform, tracking, decision, result_against_the_champion(platform, second))
    assert aliases(tracking) == {"champion": "2", "previous-champion": "1"}

    record = roll_back(platform.store, tracking, by="Ada", reason="worse at one site")

    assert (record.number, record.action, record.bundle_id) == (3, "rollback", platform.bundle_id)
    assert (record.by, record.reason) == ("Ada", "worse at one site")
    assert aliases(tracking) == {"champion": "1", "previous-champion": "2"}


def test_the_only_model_ever_promoted_cannot_be_rolled_back(platform, tracking):
    promote_by_gates(platform, tracking, decision_for(platform), result_against_the_champion(platform))
    with pytest.raises(NoChampionError, match="nothing to roll back to"):
        roll_back(platform.store, tracking, by="Ada", reason="worse at one site")
