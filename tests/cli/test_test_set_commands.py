"""`ladnn test-set` as an operator types it."""

import json

import pytest
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.errors import GateError
from ladnn.governance.ledger import record_opening
from ladnn.platform import open_platform


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("LADNN_HOME", str(tmp_path / "home"))
    return open_platform().store


def run(*arguments):
    return CliRunner().invoke(app, ["test-set", *arguments], catch_exceptions=False)


def test_an_empty_ledger_says_so(store):
    assert "no test set has been opened yet" in run("show").stdout
    assert json.loads(run("show", "--json").stdout) == {"openings": [], "allowed": []}


def test_openings_and_what_was_allowed_are_shown(store):
    record_opening(store, "t1", "r-1", ("b-1", "b-0"))
    record_opening(store, "t2", "r-2", ("b-2",))
    accepted = run("accept", "t1", "--by", "Ada", "--reason", "no new patients till May", "--openings", "2")

    assert accepted.exit_code == 0
    shown = run("show").stdout
    for text in ("t1", "t2", "r-1", "b-1, b-0", "2 allowed beyond the budget", "Ada: no new patients till May"):
        assert text in shown
    document = json.loads(run("show", "t1", "--json").stdout)
    assert [item["retrain_id"] for item in document["openings"]] == ["r-1"]
    assert [(item["by"], item["openings"]) for item in document["allowed"]] == [("Ada", 2)]


def test_an_acceptance_needs_a_version_that_was_opened_and_a_reason(store):
    record_opening(store, "t1", "r-1", ("b-1",))

    with pytest.raises(GateError, match="never opened"):
        run("accept", "t9", "--by", "Ada", "--reason", "why")
    with pytest.raises(GateError, match="--reason"):
        run("accept", "t1", "--by", "Ada", "--reason", " ")
