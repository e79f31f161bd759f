"""`ladnn rollback`, `promote`, `history` and `reconcile` as an operator types them, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from challengers import SECOND, aliases, decide

from ladnn.platform import only_one_retrain
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promotion import champion
from ladnn.registry.tracking import open_tracking

WATCHED = """
import sys
from ladnn.cli import main
try:
    main()
finally:
    print("heavy:", *sorted({"torch", "prefect", "mlflow"} & set(sys.modules)), file=sys.stderr)
"""


def ladnn(platform, *arguments, code=0, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LADNN_", "MLFLOW_", "PREFECT_"))}
    environment = kept | {"LADNN_HOME": str(platform.home), "USER": "ada"} | variables
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_a_damaged_retrain_is_told_by_what_looks_at_all_and_a_rollback_holds(two_promoted):
    (two_promoted.home / "store" / "retrains" / SECOND / "outcome.json").write_bytes(b'{"a"')

    back = ladnn(two_promoted, "rollback", "--reason", "worse at one site")
    history = json.loads(ladnn(two_promoted, "history", "--json").stdout)
    shown = ladnn(two_promoted, "history").stdout
    waiting = ladnn(two_promoted, "waiting")

    assert back.stdout == "champion is model version 1 again (record 3, by ada)\n"
    assert aliases(open_tracking(two_promoted.settings))["champion"] == "1"
    assert f"whether retrain {SECOND} still waits for a person cannot be told" in back.stderr
    assert [record["number"] for record in history["promotions"]] == [1, 2, 3]
    assert [item["retrain_id"] for item in history["retrains"]] == [two_promoted.retrain_id]
    assert "restore it from backup" in history["damaged"][f"retrain {SECOND}"]
    assert f"retrain {SECOND} is not shown" in " ".join(shown.split())
    assert waiting.stdout == "no candidate waits for a person\n"
    assert f"whether retrain {SECOND} waits for a person cannot be told" in waiting.stderr


def test_a_rollback_is_one_line_in_the_name_of_the_user_and_needs_neither_torch_nor_prefect(two_promoted):
    done = ladnn(two_promoted, "rollback", "--reason", "worse at one site")

    assert done.stdout == "champion is model version 1 again (record 3, by ada)\n"
    assert done.stderr == "heavy: mlflow\n"
    tracking = open_tracking(two_promoted.settings)
    assert aliases(tracking) == {"champion": "1", "previous-champion": "2"}
    assert "It was withdrawn by ada on" in tracking.client.get_model_version(MODEL, "2").description

    (line, _) = ladnn(two_promoted, "rollback", "--reason", "again", code=1).stderr.splitlines()
    assert line == (
        "ladnn: error: there is no champion before model version 1, nothing to roll back to; "
        "`ladnn rollback 2` undoes a rollback"
    )


def test_a_running_retrain_is_not_in_the_way_of_a_rollback(two_promoted):
    with only_one_retrain(two_promoted.settings):
        done = ladnn(two_promoted, "rollback", "1", "--reason", "worse at one site", "--by", "Bob", "--json")

    record = json.loads(done.stdout)
    assert (record["action"], record["model_version"], record["by"]) == ("rollback", "1", "Bob")


def test_without_mlflow_the_rollback_holds_and_says_what_is_left_to_do(two_promoted):
    nowhere = {"LADNN_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = ladnn(two_promoted, "rollback", "--reason", "worse at one site", "--json", **nowhere)

    assert champion(two_promoted.store).model_version == "1"
    assert json.loads(done.stdout)["model_version"] == "1"
    assert "`ladnn reconcile` mends them" in done.stderr
    told = json.loads(ladnn(two_promoted, "reconcile", "--json").stdout)
    assert [item["what"] for item in told["mended"]] == [
        "alias champion",
        "alias previous-champion",
        "papers of model version 2",
    ]
    assert ladnn(two_promoted, "reconcile").stdout == "nothing to mend\n"


def test_where_mlflow_is_not_installed_the_rollback_holds_and_says_so(two_promoted, tmp_path):
    shadow = tmp_path / "without-mlflow" / "mlflow"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')")

    done = ladnn(two_promoted, "rollback", "--reason", "worse", "--json", PYTHONPATH=str(shadow.parent))

    assert json.loads(done.stdout)["model_version"] == champion(two_promoted.store).model_version == "1"
    assert "`ladnn reconcile` mends them on a host that has mlflow" in done.stderr


def test_where_papers_cannot_follow_the_rollback_holds_and_says_so(two_promoted):
    (two_promoted.home / "store" / "retrains" / SECOND / "test.json").unlink()

    done = ladnn(two_promoted, "rollback", "--reason", "worse", "--json")

    assert json.loads(done.stdout)["model_version"] == "1"
    assert "the card of model version 2 does not tell it yet" in done.stderr


def test_a_candidate_is_promoted_by_hand_and_the_history_tells_the_story(two_promoted):
    decide(two_promoted, "r-third", two_promoted.another_bundle(0.4))
    done = ladnn(two_promoted, "promote", "r-third", "--reason", "the retrain was killed")
    assert done.stdout == "champion is model version 3 (record 3, by ada)\n"
    ladnn(two_promoted, "rollback", "--reason", "worse at one site")

    done = ladnn(two_promoted, "history")
    assert done.stderr == "heavy:\n"
    lines = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert [line.split("│")[3:7] for line in lines[2:4]] == [
        [" promote  ", " 2 → 3            ", " ada   ", " the retrain was killed "],
        [" rollback ", " 3 → 2 (champion) ", " ada   ", " worse at one site      "],
    ]
    document = json.loads(ladnn(two_promoted, "history", "--json").stdout)
    assert document["promotions"][-1] == document["champion"]
    assert [record["replaced"] for record in document["promotions"]] == [None, "1", "2", "3"]
    assert document["challenger"] is None


def test_what_a_person_must_mend_is_said_and_ends_with_1(two_promoted):
    bundle = champion(two_promoted.store).bundle_id
    Path(two_promoted.home / "store" / "bundles" / bundle / "model.onnx").unlink()

    done = ladnn(two_promoted, "reconcile", code=1)

    assert done.stdout.startswith("needs a person: champion, model version 2: ")
    assert "ladnn rollback" in done.stdout
    assert SECOND not in done.stderr
