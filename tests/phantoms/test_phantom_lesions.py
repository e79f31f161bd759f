"""Lesions look the way radiology describes them, measured in Hounsfield units against the same slice without them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from ladnn.phantoms.study import PhantomScene, generate_scenes

Mask = NDArray[np.bool_]


@pytest.fixture(scope="module")
def scenes() -> list[PhantomScene]:
    covid = [generate_scenes(21, index, kind="covid", n_slices=1)[0] for index in range(36)]
    return covid + [generate_scenes(21, index, kind="pneumonia", n_slices=1)[0] for index in range(10)]


def _showing(scenes: list[PhantomScene], lesion: str, without: str = "") -> list[tuple[PhantomScene, Mask]]:
    found = [
        (scene, scene.lesions.masks[lesion])
        for scene in scenes
        if lesion in scene.lesions.masks and without not in scene.lesions.masks
    ]
    assert len(found) >= 3
    return found


def _vessel_contrast(hu: NDArray[np.float32], scene: PhantomScene, mask: Mask) -> float | None:
    vessel, around = mask & (scene.lung.vessels > 0.8), mask & (scene.lung.vessels < 0.05)
    if vessel.sum() < 15 or around.sum() < 15:
        return None
    return float(np.median(hu[vessel]) - np.median(hu[around]))


def test_ground_glass_is_hazy_and_keeps_vessels_visible(scenes: list[PhantomScene]) -> None:
    kept = []
    for scene, mask in _showing(scenes, "GGO"):
        rise = (scene.hu - scene.healthy_hu)[mask & (scene.lung.vessels < 0.05)]
        assert 60 < np.median(rise) < 500
        contrast = _vessel_contrast(scene.hu, scene, mask)
        if contrast is not None:
            kept.append(contrast)
    assert len(kept) >= 10
    assert min(kept) > 150


def test_consolidation_hides_vessels(scenes: list[PhantomScene]) -> None:
    contrasts = []
    for scene, mask in _showing(scenes, "Csld"):
        core = mask & (scene.lesions.consolidation > 0.95) & (scene.lesions.bronchogram < 0.01)
        before, after = (_vessel_contrast(hu, scene, core) for hu in (scene.healthy_hu, scene.hu))
        if before is not None and after is not None:
            contrasts.append((before, after))
    assert contrasts
    for before, after in contrasts:
        assert before > 400
        assert abs(after) < 60


def test_consolidation_is_denser_than_ground_glass(scenes: list[PhantomScene]) -> None:
    glass = [float(np.median(scene.hu[mask])) for scene, mask in _showing(scenes, "GGO", without="CrPa")]
    solid = [float(np.median(scene.hu[mask])) for scene, mask in _showing(scenes, "Csld")]
    assert max(glass) < min(solid)


@pytest.mark.parametrize("lesion", ["GGO", "Csld", "CrPa", "InSepThi"])
def test_lesions_raise_the_density_of_the_lung(scenes: list[PhantomScene], lesion: str) -> None:
    for scene, mask in _showing(scenes, lesion):
        assert np.mean((scene.hu - scene.healthy_hu)[mask]) > 50


def test_air_bronchograms_are_dark_tubes_within_consolidation(scenes: list[PhantomScene]) -> None:
    for scene, mask in _showing(scenes, "AirBr"):
        air = mask & (scene.lesions.bronchogram > 0.5)
        around = binary_dilation(air, iterations=4) & mask & (scene.lesions.bronchogram < 0.01)
        assert np.median(scene.hu[air]) < np.median(scene.hu[around]) - 300
        rows, columns = np.nonzero(air)
        assert max(np.ptp(rows), np.ptp(columns)) * scene.chest.grid.spacing_mm > 8


def test_air_bronchograms_are_outlined_by_the_consolidations_that_hold_them(scenes: list[PhantomScene]) -> None:
    for scene, mask in _showing(scenes, "AirBr"):
        numbered, n_areas = label(scene.lesions.masks["Csld"])
        holding = {i for i in range(1, n_areas + 1) if (scene.lesions.bronchogram[numbered == i] > 0.5).any()}
        assert np.array_equal(mask, np.isin(numbered, list(holding)))


def test_thickened_septa_are_outlined_as_an_area(scenes: list[PhantomScene]) -> None:
    for scene, mask in _showing(scenes, "InSepThi"):
        lines = mask & (scene.lesions.lines > 0.3)
        assert lines.sum() < 0.6 * mask.sum()


def test_crazy_paving_is_a_net_of_denser_lines_on_ground_glass(scenes: list[PhantomScene]) -> None:
    for scene, mask in _showing(scenes, "CrPa"):
        bare = mask & (scene.lung.vessels < 0.05)
        line, cell = bare & (scene.lesions.lines > 0.5), bare & (scene.lesions.lines < 0.05)
        assert 0.1 < line.sum() / bare.sum() < 0.7
        assert np.median(scene.hu[line]) > np.median(scene.hu[cell]) + 80


def test_thickened_septa_reach_from_near_the_pleura_a_short_way_in(scenes: list[PhantomScene]) -> None:
    for scene, mask in _showing(scenes, "InSepThi"):
        depth = scene.chest.depth_mm[mask]
        assert np.percentile(depth, 5) < 8
        assert np.percentile(depth, 95) < 35


def test_covid_opacities_are_peripheral(scenes: list[PhantomScene]) -> None:
    depths = [float(np.median(scene.chest.depth_mm[mask])) for scene, mask in _showing(scenes[:36], "GGO")]
    assert np.median(depths) < 22


def test_air_bronchograms_imply_consolidation_and_crazy_paving_implies_ground_glass(scenes: list[PhantomScene]) -> None:
    for part, whole in (("AirBr", "Csld"), ("CrPa", "GGO")):
        for scene, mask in _showing(scenes, part):
            assert not (mask & ~scene.lesions.masks[whole]).any()


def test_tumours_are_solid() -> None:
    for kind in ("nodule", "mass"):
        scene = generate_scenes(2, 3, kind=kind, n_slices=1)[0]
        assert np.median(scene.hu[(scene.lesions.tumour > 0.9) & (scene.chest.lung > 0.9)]) > -50
