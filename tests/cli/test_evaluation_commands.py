"""`ladnn metrics` and `ladnn figures`, on what a retrain left so far."""

import csv
import io
import json

import matplotlib.image
import pytest
from trained_platform import VARIANT
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import RetrainError, SettingsError
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS
from ladnn.intake.record import image_key
from ladnn.labels import LESIONS
from ladnn.registry.metric_rows import as_csv, metric_rows
from ladnn.registry.test_set import open_test_set
from ladnn.statistics import Interval

BASIC = {"training_curves.png", f"validation_{VARIANT}_calibration.png", f"validation_{VARIANT}_lesion_pairs.png"} | {
    f"validation_{VARIANT.removesuffix('-ladnn')}_attention.png"
}
CURVES = {"roc.png", "precision_recall.png"}


@pytest.fixture
def tested(champion_platform):
    """A platform on which the test set was opened for a candidate and a champion."""
    platform = champion_platform
    open_test_set(
        platform.store,
        platform.plan,
        platform.version,
        platform.another_bundle(0.3),
        platform.trusted,
        platform.settings.cache,
    )
    return platform


def run(platform, *arguments):
    environment = {"LADNN_HOME": str(platform.home), "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env=environment, catch_exceptions=True)


def test_metrics_hold_every_split_model_head_and_slice(tested):
    finished = run(tested, "metrics", tested.retrain_id, "--json")

    document = json.loads(finished.stdout)
    rows = document["rows"]
    assert document["retrain_id"] == tested.retrain_id
    assert {(row["split"], row["model"]) for row in rows} == {
        ("validation", VARIANT),
        ("test", "candidate"),
        ("test", "champion"),
    }
    assert {row["head"] for row in rows} == {"diagnosis", *LESIONS}
    assert {row["by"] for row in rows} == {"all", "source", "site", "sex", "age"}
    whole = next(row for row in rows if row["split"] == "test" and row["head"] == "diagnosis")
    assert tuple(whole["metrics"]) == tuple(sorted(DIAGNOSIS_METRICS))
    assert set(document["test_auroc_difference"]) == {"bootstrap", "delong", "against_margin"}
    assert document["test_auroc_difference"]["bootstrap"]["value"] == 0  # the same weights


def test_the_table_says_what_is_not_enough(tested):
    finished = run(tested, "metrics")

    assert finished.exit_code == 0
    assert "n/a: not enough cases; a slice needs 5 patients" in finished.stdout
    assert "candidate minus champion" in finished.stdout
    assert "sex F" in finished.stdout
    assert "GGO" in finished.stdout


def test_the_csv_has_a_line_a_row_and_leaves_out_what_is_not_known(tested):
    rows = metric_rows(tested.store, tested.plan)

    table = list(csv.DictReader(io.StringIO(as_csv(rows))))

    assert len(table) == len(rows)
    for line, row in zip(table, rows, strict=True):
        none = Interval(value=None, low=None, high=None, n=0)
        value = row.metrics.get("f1", none).value
        assert line["f1"] == ("" if value is None else str(value))
        assert (line["head"], line["by"], line["value"]) == (row.head, row.by, row.value)


def test_figures_are_written_as_png(tested, tmp_path):
    finished = run(tested, "figures", "--out", str(tmp_path / "new" / "figures"))

    written = {path.name for path in (tmp_path / "new" / "figures").iterdir()}
    assert finished.exit_code == 0
    assert written >= BASIC | {f"validation_{name}" for name in CURVES}
    assert {path.read_bytes()[:4] for path in (tmp_path / "new" / "figures").iterdir()} == {b"\x89PNG"}
    assert sorted(finished.stdout.split()) == sorted(str(tmp_path / "new" / "figures" / name) for name in written)


def test_the_panel_of_attention_shows_validation_slices_of_both_classes(tested, tmp_path):
    run(tested, "figures", "--out", str(tmp_path))

    panel = matplotlib.image.imread(tmp_path / f"validation_{VARIANT.removesuffix('-ladnn')}_attention.png")
    assert panel[:, :, :3].std(axis=2).max() > 0.2  # in colours


def test_a_lost_image_is_left_out_of_the_panel_with_a_note(tested, tmp_path):
    validation = rows_of(load_manifest(tested.store, tested.plan.dataset_version), "validation")
    image = validation["image"].min()
    (tested.home / "store" / image_key(image)).unlink()

    finished = run(tested, "figures", "--out", str(tmp_path))

    assert finished.exit_code == 0
    assert "left out of the attention panels" in finished.stderr
    assert image in finished.stderr
    assert list(tmp_path.glob("*_attention.png"))


def test_a_folder_that_cannot_be_made_is_one_line(tested, tmp_path):
    (tmp_path / "taken").touch()

    for place in (tmp_path / "taken", tmp_path / "taken" / "below"):
        finished = run(tested, "figures", "--out", str(place))
        assert isinstance(finished.exception, SettingsError)
        assert str(place) in str(finished.exception)


def test_before_the_test_set_is_opened_there_is_validation_alone(trained_platform, tmp_path):
    finished = run(trained_platform, "figures", trained_platform.retrain_id, "--out", str(tmp_path))

    assert finished.exit_code == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("test")]
    assert "test: nothing was measured" in run(trained_platform, "metrics").stdout


@pytest.mark.parametrize("command", [("metrics",), ("figures", "--out", "figures")])
def test_an_unknown_retrain_is_one_line_with_a_remedy(trained_platform, command):
    name, *options = command

    finished = run(trained_platform, name, "r-unknown", *options)

    assert isinstance(finished.exception, RetrainError)
    assert "ladnn history" in str(finished.exception)


def test_without_any_retrain_it_says_what_to_run(tmp_path):
    finished = CliRunner().invoke(app, ["metrics"], env={"LADNN_HOME": str(tmp_path)})

    assert isinstance(finished.exception, RetrainError)
    assert "ladnn retrain" in str(finished.exception)
