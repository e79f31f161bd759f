"""`ladnn test-set` as an operator types it."""

import json
import re
import shlex

import pytest
from frozen_parts import freeze_part, patients
from typer.testing import CliRunner

from ladnn.cli import app, main
from ladnn.config_file import parse_config
from ladnn.errors import BudgetSpentError, GateError
from ladnn.governance.ledger import record_opening
from ladnn.platform import open_platform
from ladnn.retrain import plan_retrain


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("LADNN_HOME", str(tmp_path / "home"))
    store = open_platform().store
    freeze_part(store, "t1", patients(0, 10))
    freeze_part(store, "t2", patients(0, 20))
    return store


def run(*arguments):
    return CliRunner().invoke(app, ["test-set", *arguments], catch_exceptions=False)


def test_an_empty_ledger_says_so(store):
    assert "no test set has been opened yet" in run("show").stdout
    assert "t1: not opened yet" in run("show", "t1").stdout
    document = json.loads(run("show", "--json").stdout)
    assert (document["openings"], document["allowed"], document["budget"]) == ([], [], 20)
    assert [(item["test_version"], item["left"]) for item in document["versions"]] == [("t1", 20), ("t2", 20)]


def test_openings_and_what_was_allowed_are_shown(store):
    record_opening(store, "t1", "r-1", ("b-1", "b-0"), 20)
    record_opening(store, "t2", "r-2", ("b-2",), 20)
    accepted = run("accept", "t1", "--by", "Ada", "--reason", "no new patients till May", "--openings", "2")

    assert accepted.exit_code == 0
    shown = run("show").stdout
    for text in (
        "t1",
        "t2",
        "r-1",
        "b-1, b-0",
        "once",
        "20 + 2 allowed",
        "20 + 1 allowed",
        "Ada: no new patients till May",
    ):
        assert text in shown
    document = json.loads(run("show", "t1", "--json").stdout)
    assert [item["retrain_id"] for item in document["openings"]] == ["r-1"]
    assert [(item["by"], item["openings"]) for item in document["allowed"]] == [("Ada", 2)]
    # Both openings looked at the patients of t1; half of those of t2 were looked at twice.
    (use,) = document["versions"]
    assert (use["used"], use["allowed"], use["left"]) == (2, 2, 20)
    assert json.loads(run("show", "t2", "--json").stdout)["versions"][0]["used"] == 1.5


def test_the_budget_shown_is_that_of_the_retrain_planned_last(store):
    config = parse_config(
        {"variants": [{"backbone": "resnet18", "task": "ladnn"}], "gates": {"max_test_openings": 3}}, "of the test"
    )
    plan_retrain(store, "d-1", config, "1.0", force=False)

    assert json.loads(run("show", "t1", "--json").stdout)["versions"][0]["left"] == 3


def test_a_version_that_is_none_is_an_error_that_names_those_there_are(store):
    with pytest.raises(GateError, match="there is no test set 't-typo'; there are: t1, t2"):
        run("show", "t-typo")


def test_what_the_refusal_says_to_type_opens_the_test_set_however_far_the_budget_was_lowered(store):
    for number in range(21):
        record_opening(store, "t1", f"r-{number}", ("b-1",), 21)
    with pytest.raises(BudgetSpentError) as refused:
        record_opening(store, "t1", "r-new", ("b-1",), 1)
    (typed,) = re.findall("`ladnn test-set (.*?)`", str(refused.value))

    assert "--openings 21" in typed
    assert run(*shlex.split(typed)).exit_code == 0
    assert record_opening(store, "t1", "r-new", ("b-1",), 1).left(1) == 0


@pytest.mark.parametrize("arguments", [["show"], ["accept", "t1", "--by", "Ada", "--reason", "why"]])
def test_a_lost_record_of_the_ledger_is_one_line_that_names_it(store, tmp_path, monkeypatch, capsys, arguments):
    for number in range(3):
        record_opening(store, "t1", f"r-{number}", ("b-1",), 20)
    (lost,) = (tmp_path / "home").glob("*/ledger/00000002.json")
    lost.unlink()
    monkeypatch.setattr("sys.argv", ["ladnn", "test-set", *arguments])

    with pytest.raises(SystemExit):
        main()

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ladnn: error: the log ledger/ of file://")
    assert line.endswith("has lost record 2; restore ledger/00000002.json from backup")


def test_an_acceptance_needs_a_version_that_was_opened_and_a_reason(store):
    record_opening(store, "t1", "r-1", ("b-1",), 20)

    with pytest.raises(GateError, match="there is no test set 't9'"):
        run("accept", "t9", "--by", "Ada", "--reason", "why")
    with pytest.raises(GateError, match="--reason"):
        run("accept", "t1", "--by", "Ada", "--reason", " ")
