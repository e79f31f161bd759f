"""The command line, as a person and a program use it: one document on stdout, one line an error, exit codes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ladnn.labels import LESIONS
from ladnn.serving.predictor import load_champion

COMMANDS = (
    *("import", "phantoms", "intake", "retrain", "schedule", "approve", "reject", "waiting"),
    *("predict", "evaluate", "serve", "history"),
)
LADNN = Path(sys.executable).with_name("ladnn")


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LADNN_", "MLFLOW_", "PREFECT_"))}
    return kept | {"LADNN_HOME": str(home)}


def ladnn(home, *arguments, **variables):
    command = [LADNN, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(home) | variables, check=False)


def document(done):
    """Return the one JSON document on stdout."""
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def one_line_error(done, *words):
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ladnn: error: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def home(trained_platform, tmp_path_factory):
    """A platform whose bundle is champion; the commands of these tests only read it."""
    home = tmp_path_factory.mktemp("cli") / "home"
    shutil.copytree(trained_platform.home, home)
    copied = type(trained_platform)(home, trained_platform.retrain_id, trained_platform.bundle_id)
    copied.promote(copied.bundle_id, "1")
    return home


@pytest.fixture
def images(trained_platform, tmp_path):
    """A folder with two whole images and one that is none."""
    first, second = trained_platform.contributed_images()[:2]
    for name, data in {"a.png": first, "b b.png": second, "broken.png": b"no image"}.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_help_lists_every_command():
    done = ladnn("/nowhere", "--help")

    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout


def test_predictions_as_json_are_one_list_with_everything_of_each_image(home, images, trained_platform):
    done = ladnn(home, "predict", images / "a.png", images / "b b.png", "--json")

    answers = document(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert [set(answer) for answer in answers] == [{"image", "probability", "decision", "lesions", "model_version"}] * 2
    assert [answer["image"] for answer in answers] == [str(images / "a.png"), str(images / "b b.png")]
    assert [tuple(sorted(answer["lesions"])) for answer in answers] == [tuple(sorted(LESIONS))] * 2
    promoted = type(trained_platform)(home, "", "")
    expected = load_champion(promoted.store, promoted.trusted).predict(
        [(images / name).read_bytes() for name in ("a.png", "b b.png")]
    )
    for answer, prediction in zip(answers, expected, strict=True):
        assert answer["probability"] == pytest.approx(prediction.probability, abs=1e-6)
        assert (answer["decision"], answer["model_version"]) == (prediction.decision, "1")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_bad_image_among_good_ones_is_one_line_and_the_others_are_answered(home, images, form):
    names = ["a.png", "broken.png", "missing.png", "b b.png"]
    done = ladnn(home, "predict", *(images / name for name in names), *form)

    assert done.returncode == 1
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [str(images / n) for n in names[1:3]]
    if form:
        assert [Path(answer["image"]).name for answer in document(done)] == ["a.png", "b b.png"]
    else:
        assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
            str(images / n) for n in ("a.png", "b b.png")
        ]


def test_without_a_champion_each_command_says_so_in_one_line_with_a_remedy(tmp_path, images):
    table = tmp_path / "labels.csv"
    table.write_text("image,patient_id,covid\n")
    for command in (
        ("predict", images / "a.png", "--json"),
        ("evaluate", "--images", images, "--labels", table),
        ("serve", "--port", "0"),
    ):
        one_line_error(ladnn(tmp_path / "empty", *command), "ladnn retrain", "LADNN_HOME")


def test_history_of_an_empty_platform_is_empty(tmp_path):
    done = ladnn(tmp_path / "empty", "history", "--json")

    nothing = {key: [] for key in ("promotions", "drift_accepted", "retrains")}
    assert document(done) == {"champion": None, "challenger": None, "damaged": {}} | nothing
    assert (done.returncode, done.stderr) == (0, "")


def test_history_names_champion_promotions_and_retrains(home, trained_platform):
    history = document(ladnn(home, "history", "--json"))

    (promotion,) = history["promotions"]
    assert history["champion"] == promotion
    assert (promotion["number"], promotion["model_version"]) == (1, "1")
    (retrain,) = history["retrains"]
    assert (retrain["retrain_id"], retrain["status"]) == (trained_platform.retrain_id, "unfinished")

    printed = ladnn(home, "history")
    assert printed.returncode == 0
    for cell in (trained_platform.retrain_id, trained_platform.plan.dataset_version, "retrain-of-1", "needed"):
        assert cell in printed.stdout


def test_evaluation_copes_with_missing_lesions_a_broken_image_and_an_unknown_patient(home, images):
    table = images / "labels.csv"
    names = ["a.png", "b b.png", "broken.png"]
    pd.DataFrame({"image": names, "patient_id": ["P1", "", "P3"], "covid": [1, 0, 1]}).to_csv(table, index=False)

    done = ladnn(home, "evaluate", "--images", images, "--labels", table, "--json")

    assessment = document(done)
    assert done.returncode == 0
    assert (assessment["n_scored"], assessment["model_version"], assessment["n_known_to_model"]) == (2, "1", 2)
    assert [item["image"] for item in assessment["skipped"]] == ["broken.png"]
    assert assessment["scores"]["diagnosis"]["n_patients"] == 2
    assert {metrics["n_known"] for metrics in assessment["scores"]["lesions"].values()} == {0}
    assert done.stderr.splitlines() == [f"skipped: broken.png: {assessment['skipped'][0]['reason']}"]

    printed = ladnn(home, "evaluate", "--images", images, "--labels", table)
    assert printed.returncode == 0
    assert "auroc" in printed.stdout
    assert "caution: 2 of them" in printed.stdout


def test_a_table_that_is_none_is_one_line(home, images):
    (images / "other.csv").write_text("name;label\n1;2\n")
    one_line_error(ladnn(home, "evaluate", "--images", images, "--labels", images / "other.csv"), "patient_id")


@pytest.mark.slow
def test_contributing_and_taking_in_twice_changes_nothing_the_second_time(tmp_path):
    home = tmp_path / "home"
    phantoms = ("phantoms", "--patients", "2", "--slices", "1", "--json")

    contributed = [document(ladnn(home, *phantoms)) for _ in range(2)]
    taken_in = [document(ladnn(home, "intake", "--json")) for _ in range(2)]

    assert contributed[0] == {"new": 2, "known": 0, "images": 2, "missing": 0}
    assert contributed[1] == {"new": 0, "known": 2, "images": 2, "missing": 0}
    assert [counts["accepted"] for counts in taken_in] == [2, 0]
    assert [counts["already_known"] for counts in taken_in] == [0, 2]


@pytest.mark.slow
def test_an_imported_collection_names_what_is_missing(tmp_path, images):
    (tmp_path / "images").mkdir()
    shutil.move(images / "a.png", tmp_path / "images" / "a.png")
    (tmp_path / "metadata.csv").write_text("image,patient_id,covid\na.png,P1,1\ngone.png,P2,0\n")

    done = ladnn(tmp_path / "home", "import", "covid-ct", tmp_path, "--json")

    assert document(done) == {"new": 1, "known": 0, "images": 1, "missing": 1}
    assert "gone.png" in done.stderr
    one_line_error(ladnn(tmp_path / "home", "import", "covid-ct", tmp_path / "images"), "metadata.csv")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LADNN_STORE_URL": "ftp://host/x"}, ("LADNN_STORE_URL",)),
        ({"LADNN_HOME": "/dev/null/home"}, ("LADNN_HOME",)),
    ],
    ids=["unknown kind of store", "unusable home"],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path, variables, words):
    one_line_error(ladnn(tmp_path, "history", "--json", **variables), *words)


@pytest.mark.slow
def test_the_service_starts_answers_and_ends_on_a_signal(home, images):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [LADNN, "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home)
    )
    try:
        answer = _answer_within(60, process, f"http://127.0.0.1:{port}/health")
        assert answer.json() == {"status": "ok", "model_version": "1"}
        with (images / "a.png").open("rb") as file:
            answer = httpx.post(f"http://127.0.0.1:{port}/predict", files={"images": file}, trust_env=False)
        assert [item["image"] for item in answer.json()] == ["a.png"]
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert "Traceback" not in err
    assert f":{port}/predict" in err


def _answer_within(seconds, process, url):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(url, trust_env=False)
        except httpx.ConnectError:
            time.sleep(0.1)
    raise RuntimeError("the service did not start")
