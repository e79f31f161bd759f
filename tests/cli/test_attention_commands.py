"""`ladnn attention` on the trained platform."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from trained_platform import VARIANT, TrainedPlatform
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.cli.attention import _with_head
from ladnn.errors import BundleError, DatasetError, NoChampionError, RetrainError, SettingsError
from ladnn.evaluation.pointing import ALL_LESIONS
from ladnn.labels import LABELS


def _run(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["attention", *arguments], env={"LADNN_HOME": str(home)}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_pointing_of_a_retrain_and_of_the_champion(champion_platform: TrainedPlatform) -> None:
    few = ("--patients", "4", "--slices", "1")
    document = json.loads(_run(champion_platform.home, "pointing", champion_platform.retrain_id, *few, "--json"))
    measured = document["models"][VARIANT]["labels"]
    assert set(measured) <= {*LABELS, ALL_LESIONS}
    assert {"covid", ALL_LESIONS} <= set(measured)
    assert 0 < measured["covid"]["chance"]["value"] < 0.5
    assert document["models"][VARIANT]["tolerance_px"] == 15
    assert measured["covid"]["pointing"]["value"] <= measured["covid"]["near"]["value"]

    table = _run(champion_platform.home, "pointing", *few, "--tolerance-px", "20", "--fineness", "1")
    assert "champion" in table
    assert "within 20 px" in table


def test_a_panel_of_files_and_phantoms(champion_platform: TrainedPlatform, tmp_path: Path) -> None:
    picture, out = tmp_path / "slice.png", tmp_path / "figures" / "panel.png"
    picture.write_bytes(champion_platform.contributed_images()[0])
    variant = f"{champion_platform.retrain_id}/{VARIANT}"
    _run(
        champion_platform.home,
        *("panel", str(picture), "--phantoms", "1", "--against", variant, "--label", "GGO", "--out", str(out)),
    )
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_no_picture_and_a_folder_that_cannot_be_made_are_named(
    trained_platform: TrainedPlatform, tmp_path: Path
) -> None:
    (table := tmp_path / "labels.csv").write_text("image\n")
    panel = ("panel", "--model", trained_platform.retrain_id, "--out")
    with pytest.raises(DatasetError, match=r"labels\.csv"):
        _run(trained_platform.home, *panel, str(tmp_path / "x.png"), str(table))
    with pytest.raises(SettingsError, match=r"labels\.csv"):
        _run(trained_platform.home, *panel, str(table / "x.png"), "--phantoms", "1")


def test_a_plain_map_differs_from_one_sampled_between_its_cells(
    trained_platform: TrainedPlatform, tmp_path: Path
) -> None:
    drawn = []
    for fineness in ("1", "4"):
        out = tmp_path / f"{fineness}.png"
        panel = ("panel", "--model", trained_platform.retrain_id, "--phantoms", "1", "--fineness", fineness)
        _run(trained_platform.home, *panel, "--out", str(out))
        drawn.append(out.read_bytes())
    assert drawn[0] != drawn[1]


def test_a_model_without_the_head_is_left_out_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    ladnn, baseline = (SimpleNamespace(labels=labels) for labels in (LABELS, LABELS[:1]))
    both = {"a-ladnn": ladnn, "a-baseline": baseline}
    assert _with_head(both, "covid") == both
    assert _with_head(both, "GGO") == {"a-ladnn": ladnn}
    assert "a-baseline has no head for GGO and is left out" in capsys.readouterr().err
    assert _with_head(both, "cough") == both


def test_the_same_maps_from_the_bundle_and_from_the_trained_variant(champion_platform: TrainedPlatform) -> None:
    arguments = ("pointing", champion_platform.bundle_id, champion_platform.retrain_id)
    document = json.loads(_run(champion_platform.home, *arguments, "--patients", "3", "--slices", "1", "--json"))
    ((_, difference),) = document["diagnosis_differences"].items()
    assert difference["pointing"]["value"] == difference["energy"]["value"] == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("pointing", "champion"), NoChampionError),
        (("pointing", "r-unknown-1"), RetrainError),
        (("pointing", "b-unknown"), BundleError),
        (("pointing", "{retrain}/no-such-variant"), RetrainError),
        (("panel", "no-such-file.png", "--model", "{retrain}", "--out", "x.png"), DatasetError),
        (("panel", "--model", "{retrain}", "--out", "x.png"), DatasetError),
        (("panel", "--phantoms", "1", "--label", "cough", "--model", "{retrain}", "--out", "x.png"), BundleError),
    ],
)
def test_what_is_not_there_is_named(
    trained_platform: TrainedPlatform, arguments: tuple[str, ...], error: type[Exception], tmp_path: Path
) -> None:
    named = [item.format(retrain=trained_platform.retrain_id) for item in arguments]
    with pytest.raises(error):
        _run(trained_platform.home, *(str(tmp_path / item) if item == "x.png" else item for item in named))
