"""A held candidate waits for a person: embedded, and suspended on a Prefect server while its worker does other things."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from held_home import Held, contribute_without_test_part
from ladnn_command import Home, write_config
from mlflow.tracking import MlflowClient
from prefect_servers import Orchestration, running_orchestration, wait_until_idle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    """A retrain that ended its work on a machine without servers; to be read only."""
    folder = tmp_path_factory.mktemp("held")
    home = Home(folder / "home")
    contribute_without_test_part(home, range(12))
    training: dict[str, object] = {"epochs": 1, "batch_size": 8}
    config = write_config(folder / "one.toml", training=training, promotion={"policy": "approval", "approval_hours": 5})
    finished = home.run("retrain", "--config", config, "--json")
    assert finished.code == 0, finished.stderr
    assert finished.document["status"] == "held"
    assert finished.document["decision"]["policy"] == "approval"
    assert any("no test set" in reason for reason in finished.document["decision"]["reasons"])
    assert [stage["name"] for stage in finished.document["stages"]][-2:] == ["evaluate", "decide"]
    return Held(home, config, finished.document["retrain_id"])


@pytest.fixture
def copy(held: Held, tmp_path: Path) -> Held:
    """A copy of it, to go on with."""
    home = tmp_path / "home"
    shutil.copytree(held.home.path, home)
    database = f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"
    return Held(Home(home, (("LADNN_TRACKING_URI", database),)), held.config, held.retrain_id)


def history(held: Held) -> Any:
    return held.home.run("history", "--json").document


def standing(held: Held) -> str:
    (shown,) = history(held)["retrains"]
    return str(shown["status"])


def test_what_waits_is_shown_and_approving_promotes_it_once(copy: Held) -> None:
    (waiting,) = copy.home.run("waiting", "--json").document
    assert (waiting["retrain_id"], "auroc_floor" in waiting["accepts"]) == (copy.retrain_id, True)
    unnamed = copy.home.run("approve", "--by", "Ada", "--reason", "which?")
    assert (unnamed.code, copy.retrain_id in unnamed.stderr) == (1, True)
    assert copy.home.run("approve", copy.retrain_id, "--by", "Ada", "--reason", " ").code == 1
    assert "waiting for approval until" in copy.home.run("history").stdout

    for by in ("Ada", "Bob"):
        approved = copy.home.run("approve", copy.retrain_id, "--by", by, "--reason", f"{by} watched it", "--json")
        assert approved.code == 0, approved.stderr
        assert (approved.document["status"], approved.document["model_version"]) == ("promoted", "1")

    shown = history(copy)
    assert [(record["by"], record["reason"]) for record in shown["promotions"]] == [("Ada", "Ada watched it")]
    assert (shown["retrains"][0]["status"], shown["retrains"][0]["approval"]["by"]) == ("promoted", "Ada")
    refused = copy.home.run("reject", copy.retrain_id, "--by", "Bob", "--reason", "too late")
    assert (refused.code, "approved by Ada" in refused.stderr) == (1, True)
    assert copy.home.run("waiting").stdout == "no candidate waits for a person\n"
    uri = f"sqlite:///{copy.home.path}/mlflow/mlflow.db"
    (run,) = MlflowClient(uri, uri).search_runs(["1"], "tags.`ladnn.answered_by` = 'Ada'")
    assert run.data.tags["ladnn.status"] == "promoted"


def test_rejecting_ends_the_retrain_for_good(copy: Held) -> None:
    rejected = copy.home.run("reject", copy.retrain_id, "--by", "Ada", "--reason", "too few patients", "--json")
    assert (rejected.code, rejected.document["status"]) == (0, "rejected")
    refused = copy.home.run("approve", copy.retrain_id, "--by", "Bob", "--reason", "I differ")
    assert (refused.code, "rejected by Ada" in refused.stderr) == (1, True)
    assert (standing(copy), history(copy)["champion"]) == ("rejected", None)


def test_an_expired_candidate_cannot_be_approved_and_says_what_to_do(copy: Held) -> None:
    copy.let_expire()
    assert standing(copy) == "expired"
    refused = copy.home.run("approve", copy.retrain_id, "--by", "Ada", "--reason", "late")
    assert (refused.code, "`ladnn retrain` again" in refused.stderr) == (1, True)
    assert json.loads((copy.documents / "outcome.json").read_text())["status"] == "expired"
    assert history(copy)["promotions"] == []


@pytest.fixture(scope="module")
def orchestration(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Prefect server and a worker with room for one run."""
    with running_orchestration(tmp_path_factory.mktemp("prefect")) as running:
        yield running


def at(copy: Held, orchestration: Orchestration) -> Held:
    """The same home, seen by a command that knows the server."""
    variables = (*copy.home.variables, ("PREFECT_API_URL", orchestration.api_url))
    return Held(Home(copy.home.path, variables), copy.config, copy.retrain_id)


def test_the_flow_frees_its_worker_and_goes_on_by_the_form_where_it_was(
    copy: Held, orchestration: Orchestration
) -> None:
    copy.forget_decision()
    deployment = orchestration.deploy(copy.home, copy.config)
    run = orchestration.start(deployment)
    orchestration.wait_for(run, "Suspended")
    wait_until_idle(orchestration.worker)

    other = orchestration.start(deployment)
    orchestration.wait_for(other, "Completed")
    assert orchestration.state(run)["name"] == "Suspended"
    contribute_without_test_part(copy.home, range(12, 14))
    for incomplete in ({}, {"decision": "approve", "by": "Ada"}, {"decision": "approve", "by": " ", "reason": "x"}):
        assert orchestration.resume(run, incomplete) == "REJECT"
    assert orchestration.resume(run, {"decision": "approve", "by": "Ada", "reason": "seen in the form"}) == "ACCEPT"
    orchestration.wait_for(run, "Completed")

    shown = history(copy)
    assert [(record["by"], record["reason"]) for record in shown["promotions"]] == [("Ada", "seen in the form")]
    assert [retrain["status"] for retrain in shown["retrains"]] == ["promoted"]
    assert len(list(copy.home.store.glob("datasets/*/version.json"))) == 1


def test_what_the_monitor_sets_off_waits_in_a_flow_run_of_its_own_and_the_command_resumes_it(
    copy: Held, orchestration: Orchestration
) -> None:
    copy.forget_decision("plan")  # nothing was planned yet; what was trained is found
    home = at(copy, orchestration).home
    with orchestration.serving(home, copy.config, 'triggers.schedule="never"', "triggers.new_studies=12") as schedule:
        orchestration.wait_for(orchestration.start(orchestration.deployment("monitor/daily")), "Completed")
        (run,) = orchestration.runs(orchestration.deployment("retrain/weekly"))
        orchestration.wait_for(run, "Suspended")
        wait_until_idle(schedule)

        approved = home.run("approve", copy.retrain_id, "--by", "Ada", "--reason", "fine", "--json")
        assert approved.code == 0, approved.stderr
        assert (approved.document["status"], approved.document["flow_run"]) == (
            "approved",
            orchestration.run(run)["name"],
        )
        orchestration.wait_for(run, "Completed")

    (retrain,) = history(copy)["retrains"]
    assert (retrain["status"], retrain["approval"]["by"]) == ("promoted", "Ada")
    assert retrain["set_off_by"] == "12 new studies since the last retrain (triggers.new_studies = 12)"
    assert orchestration.state(run)["message"] == f"retrain {copy.retrain_id}: promoted"


def test_the_flow_run_of_an_expired_candidate_ends_and_is_no_failure(copy: Held, orchestration: Orchestration) -> None:
    home = at(copy, orchestration).home
    with orchestration.serving(home, copy.config, 'triggers.schedule="never"'):
        run = orchestration.start(orchestration.deployment("retrain/weekly"))
        orchestration.wait_for(run, "Suspended")
        expire = orchestration.deployment("expire/expire")
        (at_deadline,) = orchestration.runs(expire)
        (waiting,) = home.run("waiting", "--json").document
        due = datetime.fromisoformat(orchestration.run(at_deadline)["expected_start_time"])
        assert timedelta() < due - datetime.fromisoformat(waiting["expires_at"]) <= timedelta(minutes=1)

        copy.let_expire()
        orchestration.wait_for(orchestration.start(expire), "Completed")

    assert (orchestration.state(run)["name"], orchestration.state(run)["type"]) == ("Expired", "CANCELLED")
    assert (standing(copy), history(copy)["promotions"]) == ("expired", [])
