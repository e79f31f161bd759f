"""What later weeks bring: known patients, force, another experiment, and labels that are wrong."""

import io
import shutil
from datetime import date
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from ladnn_command import LENIENT, Home, write_config
from promoted_home import Promoted

from ladnn.intake.contribution import FORMAT, ContributedImage, Study
from ladnn.intake.decode import encode_canonical
from ladnn.intake.inbox import contribute
from ladnn.phantoms.study import generate_study
from ladnn.store import open_store

pytestmark = pytest.mark.slow


@pytest.fixture
def later(promoted: Promoted, tmp_path: Path) -> Home:
    """A copy of the promoted home, to go on with."""
    shutil.copytree(promoted.home.path, tmp_path / "home")
    database = tmp_path / "home" / "mlflow" / "mlflow.db"
    return Home(tmp_path / "home", (("LADNN_TRACKING_URI", f"sqlite:///{database}"),))


def manifest(home: Home, version: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO((home.store / "datasets" / version / "manifest.parquet").read_bytes()))


def contribute_swapped(home: Home, n_patients: int) -> None:
    """New patients for training with 0 and 1 of the diagnosis swapped, as a broken export would."""
    store = open_store(home.store.as_uri())
    for index in range(n_patients):
        phantom = generate_study(99, index, n_slices=2)
        files, images = {}, []
        for number, piece in enumerate(phantom.slices):
            name, data = f"{number}.png", encode_canonical(piece.pixels)
            files[name] = data
            labels = {"covid": int(not phantom.covid)}
            images.append(ContributedImage(file=name, sha256=sha256(data).hexdigest(), labels=labels))
        study = Study(
            format=FORMAT,
            consent=True,
            site="broken-export",
            study_id=phantom.patient_id,
            patient_id=phantom.patient_id,
            contributed_on=date(2026, 1, 5),
            synthetic=True,
            split="train",
            images=tuple(images),
        )
        contribute(store, study, files, date(2026, 1, 5))


def test_worse_candidate_does_not_pass_and_the_champion_stays(promoted: Promoted, later: Home) -> None:
    contribute_swapped(later, 60)
    finished = later.run("retrain", "--config", promoted.config, "--json")
    assert finished.code == 0, finished.stderr
    # On nine patients not even such a loss is shown beyond doubt: then a person decides.
    assert finished.document["status"] in {"rejected", "held"}
    gates = {gate["name"]: gate["verdict"] for gate in finished.document["decision"]["gates"]}
    assert gates["not_worse_than_champion"] != "pass"
    assert any("champion" in reason or "floor" in reason for reason in finished.document["decision"]["reasons"])
    assert finished.document["model_version"] is None
    history = later.run("history", "--json").document
    assert history["champion"]["model_version"] == "1"
    assert len(history["promotions"]) == 1


def test_new_images_of_known_patients_stay_in_their_split_and_open_no_test_set_where_new_ones_are_asked_for(
    promoted: Promoted, later: Home
) -> None:
    assert later.run("phantoms", "--patients", 36, "--slices", 3, "--seed", 3).code == 0
    one_epoch = {"training": {"epochs": 1, "batch_size": 32}, "gates": {"min_auroc": 0.5, "min_new_patients": 1}}
    finished = later.run("retrain", "--config", write_config(later.path / "one.toml", **one_epoch), "--json")
    assert finished.code == 0, finished.stderr
    before = manifest(later, promoted.first.document["dataset_version"])
    after = manifest(later, finished.document["dataset_version"])
    assert len(after) > len(before)
    places = before.groupby("group")["split"].first()
    assert (after.groupby("group")["split"].first().loc[places.index] == places).all()
    assert set(after["group"]) == set(before["group"])

    assert finished.document["status"] == "rejected"
    gates = {gate["name"]: gate["verdict"] for gate in finished.document["decision"]["gates"]}
    assert gates["new_data"] == "fail"
    assert gates["auroc_floor"] == gates["test_set_budget"] == "not evaluated"
    assert "new_data failed, so the test set is not opened" in finished.stderr
    ledger = later.run("test-set", "show", "--json").document
    assert [item["retrain_id"] for item in ledger["openings"]] == [promoted.first.document["retrain_id"]]
    # The version with more images of the same patients is as used as the one that was opened.
    assert [(item["n_openings"], item["used"]) for item in ledger["versions"]] == [(1, 1), (0, 1)]


def test_force_retrains_and_an_identical_candidate_changes_nothing(promoted: Promoted, later: Home) -> None:
    finished = later.run("retrain", "--config", promoted.config, "--force", "--json")
    assert finished.code == 0, finished.stderr
    assert "epoch 5/5" in finished.stderr
    assert finished.document["retrain_id"] != promoted.first.document["retrain_id"]
    assert finished.document["status"] == "rejected"
    assert "identical" in " ".join(finished.document["decision"]["reasons"])


def test_a_model_that_was_rolled_back_is_held_when_it_is_trained_anew(promoted: Promoted, later: Home) -> None:
    training = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-3}
    margins = {"non_inferiority_margin": 0.49, "sensitivity_margin": 0.49, "specificity_margin": 0.49}
    margins |= {"slice_margin": 0.49, "max_lesion_loss": 0.49, "max_attention_loss": 0.99}
    config = write_config(later.path / "other.toml", training=training, gates=LENIENT | margins)
    person = ("--by", "Ada", "--reason", "worse at one site")
    held = later.run("retrain", "--config", config, "--json")  # outside of what may change without a person
    assert held.document["status"] == "held", held.stderr
    assert later.run("approve", held.document["retrain_id"], *person).code == 0
    assert later.run("rollback", *person).code == 0

    again = later.run("retrain", "--config", config, "--force", "--json")

    assert again.document["status"] == "held", again.stderr
    assert again.document["decision"]["bundle_id"] != held.document["decision"]["bundle_id"]
    assert "this very model was champion and rolled back by Ada" in " ".join(again.document["decision"]["reasons"])
