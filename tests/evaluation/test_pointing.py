"""The pointing game on maps whose answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladnn.errors import DatasetError
from ladnn.evaluation.figures.attention_panel import PanelRow, attention_panel, panel_title
from ladnn.evaluation.outlined import OutlinedSlice, outlined_phantoms
from ladnn.evaluation.pointing import (
    ALL_LESIONS,
    Look,
    diagnosis_difference,
    diagnosis_differences,
    look,
    summarise_pointing,
)
from ladnn.statistics import Bootstrap

SAMPLING = Bootstrap(n_replicates=200, confidence=0.95, seed=1)


def _mask(rows: slice, columns: slice, side: int = 8) -> np.ndarray:
    mask = np.zeros((side, side), dtype=bool)
    mask[rows, columns] = True
    return mask


def _peak(row: int, column: int, side: int = 8) -> np.ndarray:
    map_ = np.full((side, side), 0.5, dtype=np.float32)
    map_[row, column] = 1
    return map_


class _Source:
    """Points where it is told, for the labels it has."""

    def __init__(self, maps: dict[str, np.ndarray]) -> None:
        self.maps, self.labels = maps, tuple(maps)

    def on_picture(self, pixels: np.ndarray, labels: tuple[str, ...], fineness: int) -> np.ndarray:
        return np.stack([self.maps[label] for label in labels])


def test_a_peak_in_the_outline_is_a_hit_and_one_beside_it_only_within_the_tolerance() -> None:
    mask = _mask(slice(2, 4), slice(2, 4))

    def pointed(column: int, tolerance_px: float) -> tuple[float, float]:
        item = Look.at("GGO", "p", _peak(3, column), mask, mask, tolerance_px)
        return item.hit, item.near

    assert pointed(3, 0) == pointed(3, 3) == (1, 1)
    assert pointed(6, 3) == (0, 1)
    assert pointed(6, 2) == (0, 0)
    item = Look.at("GGO", "p", _peak(3, 3), mask, _mask(slice(0, 8), slice(0, 4)), 1)
    assert (item.chance, item.chance_any, item.chance_near) == (4 / 64, 32 / 64, 12 / 64)


def test_tied_peaks_count_by_their_share_in_the_outline() -> None:
    map_ = np.zeros((8, 8), dtype=np.float32)
    map_[2, 2] = map_[7, 7] = map_[7, 6] = map_[7, 5] = 1
    assert Look.at("GGO", "p", map_, mask := _mask(slice(0, 4), slice(0, 4)), mask, 0).hit == 0.25


def test_an_empty_map_points_nowhere() -> None:
    mask = _mask(slice(0, 4), slice(0, 8))
    item = Look.at("GGO", "p", np.zeros((8, 8), dtype=np.float32), mask, mask, 0)
    assert (item.hit, item.in_any, item.near, item.energy, item.chance) == (0, 0, 0, 0, 0.5)


@given(st.integers(0, 2**32 - 1))
def test_energy_of_outline_and_its_complement_add_up_and_a_flat_map_has_that_of_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    map_, mask = rng.random((6, 6)).astype(np.float32), rng.random((6, 6)) < 0.4
    inside, outside = (Look.at("GGO", "p", map_, part, part, 0).energy for part in (mask, ~mask))
    assert inside + outside == pytest.approx(1)
    flat = Look.at("GGO", "p", np.ones((6, 6), dtype=np.float32), mask, mask, 0)
    assert flat.energy == pytest.approx(flat.chance) == pytest.approx(flat.hit)


def test_the_diagnosis_may_point_at_any_lesion_and_absent_lesions_are_left_out() -> None:
    left, right = _mask(slice(0, 8), slice(0, 2)), _mask(slice(0, 8), slice(6, 8))
    slices = [OutlinedSlice(np.zeros((8, 8), np.uint8), {"GGO": left, "Csld": right}, f"p{i}") for i in range(4)]
    slices.append(OutlinedSlice(np.zeros((8, 8), np.uint8), {}, "healthy"))
    source = _Source({"covid": _peak(1, 7), "GGO": _peak(1, 7), "Csld": _peak(1, 7), "CrPa": _peak(1, 7)})

    result = summarise_pointing(look(source, slices), SAMPLING)

    shares = {label: item.pointing.value for label, item in result.labels.items()}
    assert shares == {"covid": 1, "GGO": 0, "Csld": 1, ALL_LESIONS: 0.5}
    in_any = {label: item.in_any.value for label, item in result.labels.items()}
    assert in_any == {
        "covid": 1,
        "GGO": 1,
        "Csld": 1,
        ALL_LESIONS: 1,
    }  # a sign in the other lesion is still in a lesion
    assert result.labels["GGO"].chance_any.value == 2 * result.labels["GGO"].chance.value
    assert result.labels["covid"].pointing.n == 4
    assert result.labels["covid"].chance.value == 0.5


def test_intervals_are_over_patients() -> None:
    """Ten slices of one patient say no more than one: with one patient there are no bounds at all."""
    one = [Look("covid", "p", hit, hit, hit, 0.5, 0.1, 0.1, 0.2) for hit in (0.0, 1.0) * 5]
    assert summarise_pointing(one, SAMPLING).labels["covid"].pointing.low is None
    many = [Look("covid", f"p{i}", i % 2, i % 2, 1, 0.5, 0.1, 0.1, 0.2) for i in range(10)]
    interval = summarise_pointing(many, SAMPLING).labels["covid"].pointing
    assert interval.low < 0.5 < interval.high


def test_models_are_compared_on_the_same_slices() -> None:
    ours = [Look("covid", f"p{i}", 1, 1, 1, 0.5, 0.1, 0.1, 0.2) for i in range(6)]
    ours.append(Look("GGO", "p0", 1, 1, 1, 0.5, 0.1, 0.1, 0.2))
    theirs = [Look("covid", f"p{i}", i % 2, i % 2, 1, 0.25, 0.1, 0.1, 0.2) for i in range(6)]
    difference = diagnosis_difference(ours, theirs, SAMPLING)
    assert (difference.pointing.value, difference.near.value, difference.energy.value) == (0.5, 0, 0.25)
    with pytest.raises(DatasetError, match="same ones"):
        diagnosis_difference(ours, theirs[1:], SAMPLING)
    with pytest.raises(DatasetError, match="nothing to point at"):
        summarise_pointing([], SAMPLING)


def test_maps_that_all_point_right_leave_room_for_other_patients() -> None:
    right = [Look("GGO", f"p{i}", 1, 1, 1, 0.5, 0.1, 0.1, 0.2) for i in range(30)]
    measured = summarise_pointing(right, SAMPLING).labels["GGO"]
    assert (measured.pointing.value, measured.pointing.high) == (1, 1)
    assert measured.pointing.low == pytest.approx(0.8865, abs=1e-4)  # Wilson's bound: 1 / (1 + 1.96^2 / 30)
    assert measured.energy.low is None
    assert "resamplings of patients agree" in str(measured.energy)


def test_each_ladnn_is_compared_with_the_baseline_of_its_backbone_and_seed() -> None:
    def looks(*hits: int) -> list[Look]:
        return [Look("covid", f"p{i}", hit, hit, hit, 0.5, 0.1, 0.1, 0.2) for i, hit in enumerate(hits)]

    models = {
        "lite0-ladnn": looks(1, 1, 0, 0), "lite0-ladnn-seed2": looks(1, 1, 1, 0), "resnet-ladnn": looks(0, 0, 0, 1),
        "lite0-baseline-seed2": looks(0, 0, 0, 0), "lite0-baseline": looks(1, 0, 0, 0),
        "resnet-baseline": looks(1, 0, 1, 1),
    }  # fmt: skip
    found = diagnosis_differences(models, SAMPLING)
    assert list(found) == ["lite0: ladnn - baseline, mean of 2 seeds", "resnet: ladnn - baseline"]
    assert [item.pointing.value for item in found.values()] == [0.5, -0.5]
    alone = diagnosis_differences({"champion": looks(1, 0), "b-1": looks(0, 0)}, SAMPLING)
    assert list(alone) == ["champion - b-1"]


def test_outlined_phantoms_show_what_their_masks_say() -> None:
    shown = list(outlined_phantoms(9000, 2, 1))
    assert [piece.patient for piece in shown] == ["phantom-9000-00000", "phantom-9000-00001"]
    for piece in shown:
        target = piece.target("covid")
        assert target is not None and all((target >= mask).all() for mask in piece.masks.values())  # noqa: PT018


def test_the_panel_is_a_picture_with_two_columns_a_model() -> None:
    (piece,) = outlined_phantoms(9000, 1, 1)
    map_ = np.linspace(0, 1, piece.pixels.size, dtype=np.float32).reshape(piece.pixels.shape)
    rows = [PanelRow(name, piece.pixels, {"baseline": map_, "ladnn": map_}, masks=piece.masks) for name in "ab"]
    wide, narrow = attention_panel(rows, "maps"), attention_panel(rows[:1], "maps")
    assert wide.startswith(b"\x89PNG") and len(wide) > len(narrow)  # noqa: PT018
    assert wide == attention_panel(rows, "maps")
    with pytest.raises(DatasetError, match="no slice"):
        attention_panel([], "maps")


def test_the_title_of_a_panel_says_in_what_a_plain_map_differs() -> None:
    average, statistics = (SimpleNamespace(heads=SimpleNamespace(of_statistics=value)) for value in (False, True))
    assert panel_title([average], "covid", fineness=1) == "Grad-CAM++ of covid"
    assert panel_title([average], "GGO", "validation") == (
        "Grad-CAM++ of GGO, validation (at 4 points a cell's side, smoothed: a plain Grad-CAM++ differs)"
    )
    assert "two signs taken apart" in panel_title([average, statistics], "covid", fineness=1)
