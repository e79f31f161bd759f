"""`ladnn drift accept` as an operator types it, and where it is shown."""

import json

import pytest
from drift_records import check_of, keep_check
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.errors import DriftError, NoChampionError
from ladnn.governance.drift.verdict import Action
from ladnn.platform import open_platform
from ladnn.presentation_of_drift import print_drift
from ladnn.registry.promotion import Proposal, promote

MOVED = {"hospital-a": ("intensity.mean",), "hospital-b": ("acquisition.kvp", "intensity.mean")}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("LADNN_HOME", str(tmp_path / "home"))
    return open_platform().store


@pytest.fixture
def asked(store):
    """A store whose latest check asks two sites."""
    promoted(store, "b-1")
    keep_check(store, check_of(Action.NONE, check_id="k-0"))
    return keep_check(store, check_of(Action.INVESTIGATE, MOVED))


def promoted(store, bundle_id, expected=0):
    proposal = Proposal(
        bundle_id=bundle_id,
        model_version=str(expected + 1),
        retrain_id=f"r-{expected}",
        synthetic=False,
        by="gates",
        reason="all gates passed",
    )
    promote(store, proposal, expected=expected)


def run(*arguments):
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200"})


def accept(name, reason="a new scanner"):
    return run("drift", "accept", name, "--by", "Ada", "--reason", reason)


def test_a_site_is_accepted_and_the_history_and_the_check_show_it(store, asked, capsys):
    done = accept("hospital-b")
    assert done.stdout == "hospital-b: acquisition.kvp, intensity.mean accepted by Ada: a new scanner\n"

    print_drift(asked, store)
    shown = capsys.readouterr().out
    assert "hospital-b accepted by Ada on " in shown
    assert "next: ask hospital-a, then ladnn drift accept k-1" in shown
    accept("k-1", "they too")
    print_drift(asked, store)
    assert "next: ask" not in capsys.readouterr().out
    table = run("history").stdout
    for word in ("drift that persons accepted", "hospital-b: acquisition.kvp, intensity.mean", "they too", "k-1"):
        assert word in table
    document = json.loads(run("history", "--json").stdout)
    assert [(item["by"], list(item["moved"])) for item in document["drift_accepted"]] == [
        ("Ada", ["hospital-b"]),
        ("Ada", ["hospital-a"]),
    ]


def test_an_acceptance_can_be_given_to_programs(asked):
    done = run("drift", "accept", "k-1", "--by", "Ada", "--reason", "new scanners", "--json")
    assert json.loads(done.stdout)["moved"] == {site: list(names) for site, names in MOVED.items()}


def test_what_cannot_be_accepted_says_why(store):
    with pytest.raises(NoChampionError, match="ladnn retrain"):
        accept("k-1")
    promoted(store, "b-1")
    with pytest.raises(DriftError, match=r"no check for drift .* run `ladnn drift`"):
        accept("k-1")
    keep_check(store, check_of(Action.INVESTIGATE, MOVED))
    with pytest.raises(DriftError, match="does not ask hospital-c"):
        accept("hospital-c")
    promoted(store, "b-2", expected=1)
    with pytest.raises(DriftError, match="looked at model version 1, and version 2 is champion now"):
        accept("k-1")


def test_the_command_without_accept_still_looks(store):
    with pytest.raises(NoChampionError, match="ladnn retrain"):
        run("drift")
    assert "accept" in run("drift", "--help").stdout
