"""`ladnn dataset audit` and `accept`, as typed."""

import json

import pytest
import typer
from factories import keep_records, make_record
from typer.testing import CliRunner

from ladnn.cli.audit import accept, audit
from ladnn.config import DataConfig
from ladnn.dataset.freezing import freeze
from ladnn.intake.decode import canonical_digest, encode_canonical
from ladnn.intake.record import image_key
from ladnn.phantoms.study import generate_study
from ladnn.store import open_store

APP = typer.Typer()
APP.command()(audit)
APP.command()(accept)


@pytest.fixture
def version(tmp_path, monkeypatch):
    """A home whose newest version has positives as PNG and negatives as JPEG."""
    monkeypatch.setenv("LADNN_HOME", str(tmp_path))
    store = open_store((tmp_path / "store").as_uri())
    records = []
    for index in range(24):
        pixels = generate_study(7, index, n_slices=1).slices[0].pixels
        digest, data = canonical_digest(pixels), encode_canonical(pixels)
        store.put_if_absent(image_key(digest), data)
        file = {"original_format": "JPEG" if index % 2 else "PNG", "n_bytes": 90_000}
        shape = {"height_px": pixels.shape[0], "width_px": pixels.shape[1]}
        records.append(make_record(f"p{index}", labels={"covid": index % 2}, image=digest, **file, **shape))
    keep_records(store, records)
    return freeze(store, DataConfig()).id


def run(*words):
    done = CliRunner().invoke(APP, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_version_is_audited_and_its_shortcuts_are_accepted_by_name(version):
    document = json.loads(run("audit", "--json"))

    assert (document["dataset_version"], document["verdict"]) == (version, "red")
    assert {r["probe"] for r in document["results"] if r["verdict"] == "red"} == {"file_properties"}
    shown = run("audit", version[:6])
    assert f"ladnn dataset accept {version} --by NAME --reason WHY" in shown
    assert "file_properties" in shown
    accepted = json.loads(run("accept", version[:6], "--by", "Ada", "--reason", "demonstration", "--json"))
    assert (accepted["by"], accepted["accepted"]) == ("Ada", ["file_properties"])
