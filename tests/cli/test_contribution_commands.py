"""`ladnn contribute|intake|quarantine|schema` from the outside, in the order in which a person would type them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import Result
from dicom_files import ct_file, hounsfield
from factories import encoded, picture
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.errors import ContributionError, QuarantineError
from ladnn.intake.contribution import FORMAT

STUDY = {
    "format": FORMAT,
    "site": "clinic",
    "study_id": "ACC-1",
    "patient_id": "ROE-77",
    "consent": True,
    "contributed_on": "2026-01-05",
    "report": "Patient ROE-77: ground-glass opacities in both lungs. No consolidation.",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LADNN_STORE_URL", "LADNN_PSEUDONYM_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LADNN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USER", "ada")
    return tmp_path / "home"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def lay(folder: Path, files: dict[str, bytes], **values: Any) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "study.json").write_text(json.dumps(STUDY | values))
    return folder


def test_a_study_is_sent_without_identifiers_and_only_once(tmp_path: Path, home: Path) -> None:
    files = {"roe_1.png": encoded(picture(1)), "roe_2.dcm": ct_file(hounsfield(2), PatientName="Roe^Jane")}
    folder = lay(tmp_path / "study", files)
    assert "can be sent" in run("contribute", folder, "--check").stdout
    assert not (home / "store" / "inbox").exists()
    (sent,) = answer("contribute", folder)
    assert (sent["new"], sent["images"]) == (True, 2)
    assert answer("contribute", folder)[0] == sent | {"new": False}
    inbox = home / "store" / "inbox" / sent["contribution"]
    assert sorted(path.name for path in inbox.iterdir()) == ["0001.png", "0002.dcm", "study.json"]
    text = (inbox / "study.json").read_text()
    assert not [word for word in ("ROE-77", "ACC-1", "roe", "Jane") if word in text]
    assert "Roe" not in str(pydicom.dcmread(inbox / "0002.dcm"))
    assert answer("intake") == {"accepted": 2, "already_known": 0, "contributions": 1, "quarantined": {}}
    assert answer("intake") == {"accepted": 0, "already_known": 2, "contributions": 0, "quarantined": {}}


def test_a_pseudonym_is_the_same_however_a_study_was_sent(tmp_path: Path, home: Path) -> None:
    sent = lay(tmp_path / "sent", {"1.png": encoded(picture(1))})
    assert run("contribute", sent).exit_code == 0
    data = encoded(picture(2))
    dropped = home / "store" / "inbox" / "by-hand"
    dropped.mkdir(parents=True)
    (dropped / "1.png").write_bytes(data)
    image = {"file": "1.png", "sha256": hashlib.sha256(data).hexdigest()}
    (dropped / "study.json").write_text(json.dumps(STUDY | {"study_id": "ACC-2", "images": [image]}))
    assert answer("intake")["accepted"] == 2
    version = answer("dataset", "freeze")
    assert (version["n_images"], version["n_groups"]) == (2, 1)


def test_everything_that_is_wrong_with_a_folder_is_said_at_once(tmp_path: Path, home: Path) -> None:
    files = {"a.png": encoded(picture(1)), "b.png": b"none", "c.png": encoded(picture(3))}
    images = [
        {"file": "a.png"},
        {"file": "b.png"},
        {"file": "c.png", "sha256": "0" * 64},
        {"file": "d.png", "sha256": "0" * 64},
    ]
    folder = lay(tmp_path / "study", files, images=images, consent=False)
    with pytest.raises(ContributionError) as caught:
        run("contribute", folder)
    for problem in ("no_consent", "image 2: wrong_type", "image 3: wrong_digest", "image 4: missing_file"):
        assert problem in str(caught.value)
    assert "ROE" not in str(caught.value)
    assert not (home / "store" / "inbox").exists()


@pytest.mark.parametrize("document", [None, "{", "[]", '{"site": "Jane Roe"}'])
def test_a_folder_without_a_usable_study_is_refused_with_the_remedy(tmp_path: Path, document: str | None) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "1.png").write_bytes(encoded(picture(1)))
    if document is not None:
        (folder / "study.json").write_text(document)
    with pytest.raises(ContributionError, match=r"study\.json") as caught:
        run("contribute", folder)
    assert "Jane" not in str(caught.value)


def test_the_schema_is_printed_for_people_and_programs() -> None:
    schema = json.loads(run("schema", "contribution").stdout)
    assert {"format", "site", "study_id", "consent", "contributed_on", "images"} <= set(schema["required"])


def test_quarantine_is_listed_shown_and_left_by_name_and_reason(tmp_path: Path, home: Path) -> None:
    dropped = home / "store" / "inbox" / "by-hand"
    dropped.mkdir(parents=True)
    page = encoded(picture(1) * 0 + 255 * (picture(4) > 128).astype("uint8"))
    files = {"1.png": encoded(picture(1)), "2.png": page, "3.png": b"torn"}
    for name, data in files.items():
        (dropped / name).write_bytes(data)
    images = [{"file": name, "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()]
    (dropped / "study.json").write_text(json.dumps(STUDY | {"images": images}))
    assert answer("intake")["quarantined"] == {"not_ct": 1, "wrong_type": 1}
    listed = {case["item"]: case["finding"]["reason"] for case in answer("quarantine", "list")}
    assert listed == {"by-hand:2": "not_ct", "by-hand:3": "wrong_type"}
    assert "by-hand:2" in run("quarantine", "list").stdout
    shown = run("quarantine", "show", "by-hand:2", "--picture", tmp_path / "look.png")
    assert "ladnn quarantine release by-hand:2" in shown.stdout
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    released = answer("quarantine", "release", "by-hand:2", "--reason", "it is one")
    assert len(released["accepted"]) == 1
    with pytest.raises(QuarantineError, match="contributor must mend"):
        run("quarantine", "release", "by-hand:3", "--reason", "please")
    assert answer("quarantine", "reject", "by-hand:3", "--reason", "lost")["state"] == "rejected"
    assert answer("quarantine", "list") == []
    (rejected,) = answer("quarantine", "list", "--all")
    assert [decision["by"] for decision in rejected["decisions"]] == ["ada", "ada"]
    assert answer("quarantine", "list", "--all", "--reason", "blank") == []
