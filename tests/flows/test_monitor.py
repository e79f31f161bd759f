"""The daily monitor as a command: it looks, it sets a retrain off for a reason, and the reason is kept."""

import shutil

import pytest
from ladnn_command import Home

from ladnn.platform import only_one_retrain
from ladnn.settings import read_settings


@pytest.mark.slow
def test_the_monitor_waits_until_enough_is_new_then_retrains_and_the_history_says_why(promoted, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(promoted.home.path, home.path)
    command = ("monitor", "--config", promoted.config, "--json", "--set", "triggers.new_studies=3")

    before = home.run(*command)
    assert before.code == 0, before.stderr
    assert before.document["drift"]["verdict"]["action"] == "not enough cases"
    assert (before.document["trigger"]["retrain"], before.document["retrain"]) == (False, None)

    assert home.run("phantoms", "--patients", 3, "--slices", 2, "--seed", 99).code == 0
    with only_one_retrain(read_settings(dict(home.environment))):
        meanwhile = home.run(*command)
    assert meanwhile.code == 0, meanwhile.stderr
    assert (meanwhile.document["trigger"]["retrain"], meanwhile.document["retrain"]) == (False, None)
    assert meanwhile.document["trigger"]["reason"].startswith("a retrain is running here, so it waits")

    after = home.run(*command, "--set", "training.epochs=1")
    assert after.code == 0, after.stderr
    assert after.document["trigger"]["n_new_studies"] == 3
    assert after.document["retrain"]["reason"].startswith("3 new studies since the last retrain")

    retrains = home.run("history", "--json").document["retrains"]
    assert [item["set_off_by"] for item in retrains] == ["by hand", after.document["trigger"]["reason"]]
    shown = home.run("history").stdout
    assert "set off by" in shown
