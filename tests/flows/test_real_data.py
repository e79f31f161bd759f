"""The path on real CT images, where the collection lies beside the checkout: import, one epoch, kept split, evaluate."""

from pathlib import Path

import pandas as pd
import pytest
from ladnn_command import Home

pytestmark = pytest.mark.slow

CONFIG = """
[[variants]]
backbone = "efficientnet_lite0"
task = "ladnn"
[training]
epochs = 1
"""


def test_published_split_is_kept_held_accepted_and_evaluated(real_data: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    imported = home.run("import", "covid-ct", real_data, "--keep-split", "authors_split", "--json")
    assert imported.code == 0, imported.stderr
    assert imported.document["images"] == 543
    (tmp_path / "c.toml").write_text(CONFIG)
    held = home.run("retrain", "--config", tmp_path / "c.toml", "--json")
    assert held.code == 0, held.stderr
    splits = held.document["dataset"]["splits"]
    assert (splits["train"]["n_images"], splits["validation"]["n_images"], splits["test"]["n_images"]) == (425, 118, 0)
    assert held.document["status"] == "held"
    gates = {gate["name"]: gate for gate in held.document["decision"]["gates"]}
    assert gates["shortcut_audit"]["verdict"] == "not evaluated"
    assert "file_properties, contributed: AUROC 0.9" in gates["shortcut_audit"]["reason"]
    retrain_id = held.document["retrain_id"]
    accepted = home.run("approve", retrain_id, "--by", "Ada", "--reason", "published split", "--json")
    assert accepted.code == 0, accepted.stderr
    table = pd.read_csv(real_data / "metadata.csv")
    table[table["authors_split"] == "val"].head(40)[["image", "patient_id", "covid"]].to_csv(tmp_path / "l.csv")
    scored = home.run("evaluate", "--images", real_data / "images", "--labels", tmp_path / "l.csv", "--json")
    assert scored.code == 0, scored.stderr
    assert scored.document["n_scored"] == scored.document["n_known_to_model"] == 40
    again = home.run("retrain", "--config", tmp_path / "c.toml", "--json")
    assert again.document["status"] == "nothing new"
    assert again.document["champion"]["by"] == "Ada"
