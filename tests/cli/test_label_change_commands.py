"""`ladnn labels show|override|reextract|review` from the outside."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from factories import make_record
from typer.testing import CliRunner

from ladnn.cli.label_changes import join
from ladnn.errors import LabelChangeError
from ladnn.intake.catalogue import append_batch
from ladnn.intake.record import Outcome
from ladnn.labels import Label
from ladnn.store import ObjectStore

REPORT = "Ground-glass opacities in both lungs. No consolidation. RT-PCR positive for SARS-CoV-2."
RECORD = make_record("p", report=hashlib.sha256(REPORT.encode()).hexdigest()).model_copy(
    update={
        "labels": {
            "covid": Label(value=1, source="annotation", by="dr-x"),
            "Csld": Label(value=1, source="report", by="keywords/1", span=(39, 52), uncertain=True, doubt=0.5),
        }
    }
)
IMAGE = RECORD.image


@pytest.fixture(autouse=True)
def _installation(file_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(contribution=RECORD.contribution, accepted=(RECORD,), quarantined=())
    append_batch(file_store, 1, [outcome], {str(RECORD.report): REPORT})
    monkeypatch.setenv("LADNN_HOME", str(tmp_path))
    monkeypatch.setenv("LADNN_STORE_URL", file_store.url)
    monkeypatch.setenv("USER", "dr-user")


def run(*arguments: str) -> Result:
    app = typer.Typer()
    join(app)
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_an_override_is_shown_with_who_and_why_and_can_be_withdrawn() -> None:
    changed = answer("override", IMAGE[:8], "consolidation", "0", "--by", "dr-a", "--reason", "a vessel")
    assert changed["now"] == Label(value=0, source="override", by="dr-a").model_dump(mode="json")
    shown = answer("show", f"{RECORD.contribution}:1")
    assert shown["labels"]["Csld"]["value"] == 0
    assert shown["at_intake"]["Csld"]["value"] == 1
    assert [(c["by"], c["reason"]) for c in shown["history"]] == [("dr-a", "a vessel")]
    assert answer("override", IMAGE, "Csld", "withdraw", "--reason", "was right")["now"]["by"] == "keywords/1"
    assert answer("show", IMAGE)["history"][-1]["by"] == "dr-user"


def test_a_person_sees_every_label_its_wording_and_its_history() -> None:
    run("override", IMAGE, "GGO", "unknown", "--reason", "motion blur")
    text = run("show", IMAGE).stdout
    for part in ("Csld", "39-52", "uncertain", "0.50", "dr-x", "InSepThi", "motion blur"):
        assert part in text
    assert "lungs" not in text


def test_the_same_override_again_says_that_nothing_is_new() -> None:
    arguments = ("override", IMAGE, "GGO", "1", "--reason", "seen")
    assert "nothing new" not in run(*arguments).stdout
    assert "nothing new" in run(*arguments).stdout
    assert answer(*arguments)["recorded"] == []


def test_a_wrong_value_or_image_is_an_error_of_one_line() -> None:
    with pytest.raises(LabelChangeError, match="give one of 1, 0, unknown, withdraw"):
        run("override", IMAGE, "GGO", "2", "--reason", "seen")
    with pytest.raises(LabelChangeError, match="no accepted image"):
        run("override", "zz", "GGO", "1", "--reason", "seen")


def test_reports_are_read_again_and_recorded_only_with_apply() -> None:
    before = answer("reextract")
    assert {(flip["code"], flip["before"], flip["after"]) for flip in before["flips"]} == {
        ("GGO", "not mentioned", "present"),
        ("Csld", "present", "absent"),
    }
    assert before["n_recorded"] == 0
    assert "nothing was changed" in run("reextract").stdout
    assert "lungs" not in run("reextract").stdout
    assert answer("reextract", "--apply")["n_recorded"] == 2
    assert answer("reextract", "--apply") == before | {"flips": [], "n_recorded": 0}
    assert answer("show", IMAGE)["labels"]["Csld"]["value"] == 0


def test_a_review_goes_out_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    assert answer("review", "export", str(path), "--limit", "5")["n_labels"] == 1
    header, row = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text(f"{header}\n{row[:-1]}0,a vessel\n")
    assert len(answer("review", "import", str(path), "--by", "dr-b")["changes"]) == 1
    assert answer("show", IMAGE)["labels"]["Csld"]["by"] == "dr-b"
    assert "1 were recorded before" in run("review", "import", str(path), "--by", "dr-b").stdout
