"""`ladnn dataset …`: tables for people, one JSON document for programs, one line for what is wrong."""

import json
from datetime import date
from pathlib import Path

import pytest
from factories import keep_outcomes, keep_records, make_record
from typer.testing import CliRunner

from ladnn.cli.dataset import app
from ladnn.errors import ConfigError, DatasetError
from ladnn.intake.record import Link, Outcome
from ladnn.store import ObjectStore

MAY = date(2020, 5, 1)


@pytest.fixture
def home(file_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    """An installation with patients of two cuts, of whom two show the same picture."""
    monkeypatch.setenv("LADNN_HOME", str(tmp_path))
    monkeypatch.setenv("LADNN_STORE_URL", file_store.url)
    old = [make_record(f"p{n}", labels={"covid": n % 2, "GGO": 1}) for n in range(16)]
    late = [make_record(f"late{n}", labels={"covid": n % 2}, contributed_on=MAY) for n in range(16)]
    link = Link(kind="near", image=old[1].image, group="p1", known_image=old[0].image, known_group="p0")
    keep_records(file_store, old, links=[link])
    keep_outcomes(file_store, [Outcome(contribution="late", accepted=tuple(late), quarantined=())])
    return file_store


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_freeze_tells_what_was_frozen_and_keeps_the_card(home: ObjectStore) -> None:
    version = json.loads(run("freeze", "--cut", "D0", "--json"))
    assert (version["cut"], version["n_images"], version["n_groups"]) == ("D0", 16, 15)
    assert home.exists(f"datasets/{version['id']}/card.html")
    assert version["id"] in run("freeze", "--cut", "D0")
    everything = json.loads(run("freeze", "--json"))
    assert (everything["cut"], everything["n_images"]) == (None, 32)


def test_freeze_takes_its_cut_from_a_config(home: ObjectStore, tmp_path: Path) -> None:
    config = tmp_path / "experiment.toml"
    config.write_text(
        '[data]\ncut = "spring"\n[data.cuts.spring]\nafter = 2020-04-01\nuntil = 2020-05-01\n'
        '[[variants]]\nbackbone = "efficientnet_lite0"\ntask = "ladnn"\n'
    )
    version = json.loads(run("freeze", "--config", str(config), "--json"))
    assert (version["cut"], version["after"], version["n_images"]) == ("spring", "2020-04-01", 16)
    assert json.loads(run("freeze", "--config", str(config), "--cut", "D0", "--json"))["n_images"] == 16
    with pytest.raises(ConfigError, match="known cuts are D0, D0\\+D1, D1, spring"):
        run("freeze", "--config", str(config), "--cut", "autumn")


def test_list_shows_every_version(home: ObjectStore) -> None:
    assert json.loads(run("list", "--json")) == []
    ids = [json.loads(run("freeze", "--cut", cut, "--json"))["id"] for cut in ("D0", "D0+D1")]
    assert [version["id"] for version in json.loads(run("list", "--json"))] == ids
    assert all(name in run("list") for name in ids)


def test_show_and_card_take_the_last_version_or_how_its_id_begins(home: ObjectStore, tmp_path: Path) -> None:
    first = json.loads(run("freeze", "--cut", "D0", "--json"))["id"]
    last = json.loads(run("freeze", "--json"))["id"]
    shown = json.loads(run("show", "--json"))
    assert (shown["id"], shown["counts"]["all"]["positive"]) == (last, {"n_images": 16, "n_patients": 16})
    assert json.loads(run("show", first[:9], "--json"))["id"] == first
    assert first in run("show", first)
    assert "what is not known" in run("card", first)
    page = tmp_path / "card.html"
    card = json.loads(run("card", first, "--html", str(page), "--json"))
    assert card["version"]["id"] == first
    assert first in page.read_text(encoding="utf-8")


def test_diff_names_what_changed(home: ObjectStore) -> None:
    first, last = (json.loads(run("freeze", "--cut", cut, "--json"))["id"] for cut in ("D0", "D0+D1"))
    diff = json.loads(run("diff", first, last, "--json"))
    assert (len(diff["added"]), diff["removed"], diff["moves"]) == (16, [], [])
    assert "records added" in run("diff", first, last)
    assert "no record, label, split or group changed" in run("diff", first, first)


def test_duplicates_are_listed_with_what_is_for_review(home: ObjectStore) -> None:
    run("freeze", "--json")
    (pair,) = json.loads(run("duplicates", "--json"))
    assert (pair["kind"], pair["differing"]) == ("near", ["covid"])
    assert "pairs: 1, for review: 1" in run("duplicates")


def test_an_unknown_version_is_one_error_that_lists_those_there_are(home: ObjectStore) -> None:
    version = json.loads(run("freeze", "--json"))["id"]
    for arguments in (["show", "d-x"], ["card", "d-x"], ["duplicates", "d-x"], ["diff", version, "d-x"]):
        with pytest.raises(DatasetError, match=f"no dataset version 'd-x'; there are: {version}"):
            run(*arguments)
