"""A challenger on its way to champion: every step can be repeated, whatever was killed in between."""

import pytest
from challengers import aliases, decision_for, result_against_the_champion

from ladnn.errors import PromotionConflictError, RetrainError
from ladnn.registry.challenger import check_replaceable, promote_challenger
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promotion import champion, promotions


def promote_by_gates(platform, tracking, decision, test):
    return promote_challenger(
        platform.store, tracking, platform.trusted, decision, test, by="gates", reason="all gates passed"
    )


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
