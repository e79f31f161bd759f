"""Which retrain this is: new, taken up again, or ended; and nothing is planned twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from ladnn.config import ExperimentConfig
from ladnn.config_file import parse_config
from ladnn.retrain import HELD, Found, document_key, keep, plan_retrain, read, read_plan, retrain_ids
from ladnn.store import ObjectStore

CONFIG = parse_config({"variants": [{"backbone": "a", "task": "ladnn"}]}, "of this test")
OTHER = parse_config({"variants": [{"backbone": "a", "task": "ladnn"}], "seed": 1}, "of this test")


def plan(store: ObjectStore, data: str = "d-1", config: ExperimentConfig = CONFIG, *, force: bool = False) -> Found:
    return plan_retrain(store, data, config, "1.0", force=force)


def end(store: ObjectStore, found: Found) -> None:
    keep(store, found.plan.retrain_id, "outcome", {"status": "rejected"})


def test_a_new_retrain_is_planned_and_its_plan_kept(file_store: ObjectStore) -> None:
    found = plan(file_store)
    assert (found.state, found.plan.attempt, found.plan.reason) == ("new", 1, "by hand")
    assert (found.plan.dataset_version, found.plan.config, found.plan.ladnn_version) == ("d-1", CONFIG, "1.0")
    assert found.plan.planned_at.tzinfo is not None
    assert abs((datetime.now(UTC) - found.plan.planned_at).total_seconds()) < 60
    assert read_plan(file_store, found.plan.retrain_id) == found.plan
    assert retrain_ids(file_store) == [found.plan.retrain_id]


@pytest.mark.parametrize("force", [False, True])
def test_a_retrain_that_was_broken_off_is_taken_up_again_forced_or_not(file_store: ObjectStore, force: bool) -> None:
    first = plan(file_store)
    keep(file_store, first.plan.retrain_id, "variants/a-ladnn/trained", {"epochs": 3})
    assert plan(file_store, force=force) == first.model_copy(update={"state": "broken off"})
    assert len(retrain_ids(file_store)) == 1


def test_a_retrain_that_ended_is_planned_again_only_by_force(store: ObjectStore) -> None:
    first = plan(store)
    end(store, first)
    assert plan(store) == first.model_copy(update={"state": "ended"})
    second = plan(store, force=True)
    assert (second.state, second.plan.attempt, second.plan.reason) == ("new", 2, "by hand, forced")
    assert plan(store) == second.model_copy(update={"state": "broken off"})
    end(store, second)
    assert plan(store) == second.model_copy(update={"state": "ended"})
    assert plan(store, force=True).plan.attempt == 3
    assert len(set(retrain_ids(store))) == 3


def test_other_data_or_another_experiment_is_another_retrain(file_store: ObjectStore) -> None:
    end(file_store, plan(file_store))
    found = [plan(file_store, "d-2"), plan(file_store, config=OTHER), plan(file_store, "d-2", OTHER)]
    assert [(item.state, item.plan.attempt) for item in found] == [("new", 1)] * 3
    assert len(set(retrain_ids(file_store))) == 4


def test_planners_at_once_share_one_plan(store: ObjectStore) -> None:
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: plan(store), range(6)))
    assert len({item.plan.planned_at for item in found}) == 1
    assert len(retrain_ids(store)) == 1


def test_the_first_document_of_a_name_holds(file_store: ObjectStore) -> None:
    assert read(file_store, "r-1", "test") is None
    assert keep(file_store, "r-1", "test", {"auroc": 0.9}) == {"auroc": 0.9}
    assert keep(file_store, "r-1", "test", {"auroc": 0.8}) == {"auroc": 0.9}
    assert read(file_store, "r-1", "test") == {"auroc": 0.9}
    assert file_store.exists(document_key("r-1", "test"))


def test_what_was_never_planned_is_unknown(file_store: ObjectStore) -> None:
    assert read_plan(file_store, "r-1") is None
    assert retrain_ids(file_store) == []


def test_a_retrain_that_waits_for_a_person_is_found_waiting_and_planned_again_only_by_force(
    file_store: ObjectStore,
) -> None:
    first = plan(file_store)
    keep(file_store, first.plan.retrain_id, HELD, {"stages": []})
    assert plan(file_store) == first.model_copy(update={"state": "waiting"})
    assert plan(file_store, force=True).plan.attempt == 2


def test_a_retrain_that_nobody_answered_in_time_is_planned_again_without_force(file_store: ObjectStore) -> None:
    first = plan(file_store)
    keep(file_store, first.plan.retrain_id, HELD, {"stages": []})
    keep(file_store, first.plan.retrain_id, "outcome", {"status": "expired"})
    again = plan(file_store)
    assert (again.state, again.plan.attempt) == ("new", 2)
