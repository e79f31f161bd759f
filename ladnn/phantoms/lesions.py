"""Owns how lesions look: it draws a slice's disease over its healthy anatomy and marks each visible lesion.

Appearances follow the Fleischner Society glossary (Hansell et al. 2008, doi:10.1148/radiol.2462070712): ground-glass
opacity keeps vessels visible, consolidation hides them, crazy paving is a net of lines over ground glass, an air
bronchogram is an air-filled bronchus in consolidation, thickened interlobular septa meet the pleura at right angles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label
from scipy.spatial import cKDTree

from ladnn.phantoms.chest import Chest
from ladnn.phantoms.disease import Focus, SeptalLines, SliceDisease, Tumour
from ladnn.phantoms.geometry import Field, Points, blend, smooth_noise, tubes
from ladnn.phantoms.vessels import Lung, healthy_lung_hu, lung_points

VISIBLE_MM2 = 40.0
"""Smallest area that counts as a lesion seen; less is a speck that no reader reports."""
LOBULE_MM, OUTLINE_MARGIN_MM = 16.0, 2.0
"""Width of a secondary lobule (10 to 25 mm; Webb 2006, doi:10.1148/radiol.2392041968), and how loosely outlines fit."""
CONSOLIDATION_HU, TUMOUR_HU, LINE_HU, BRONCHOGRAM_HU = 25.0, 35.0, -150.0, -900.0


@dataclass(frozen=True, slots=True)
class LesionLayers:
    """Lesions of one slice: ground glass as HU to add, all others as coverage 0 to 1, each (H, W)."""

    ground_glass_hu: Field
    lines: Field
    """Net of crazy paving and thickened septa."""
    consolidation: Field
    bronchogram: Field
    tumour: Field
    masks: dict[str, NDArray[np.bool_]]
    """Lesion code to the area it affects, as a reader outlines it; only lesions present.

    An air bronchogram's is the consolidation that holds it, that of thickened septa the lung between them.
    """


def draw_lesions(chest: Chest, disease: SliceDisease, rng: np.random.Generator) -> LesionLayers:
    """Draw the disease of one slice."""
    texture = 0.26 * smooth_noise(rng, chest.grid, 15) + 0.09 * smooth_noise(rng, chest.grid, 6)
    texture = np.clip(texture, -0.55, 0.55)
    glass, hazy, paved, consolidation, bronchogram = (np.zeros(chest.grid.shape, np.float32) for _ in range(5))
    for focus in disease.foci:
        middle = _place(chest, focus.sign, focus.angle_rad, focus.depth_mm)
        extent = _extent(chest, focus, middle, texture)
        if focus.density == "Csld":
            np.maximum(consolidation, np.clip(extent / 0.28, 0, 1), out=consolidation)
            if focus.bronchogram:
                np.maximum(bronchogram, _bronchogram(chest, focus, middle, rng), out=bronchogram)
            continue
        alpha = np.clip(extent / 0.5, 0, 1)
        np.maximum(hazy, alpha, out=hazy)
        np.maximum(glass, alpha * (focus.rise_hu * (1 + 0.3 * texture)), out=glass)
        if focus.paving:
            np.maximum(paved, alpha, out=paved)
    net = _net(chest, paved, rng)
    septa = _septa(chest, disease.septa, rng)
    tumour = _tumours(chest, disease.tumours, rng)
    masks = _masks(
        chest,
        {"hazy": hazy, "paved": paved, "solid": consolidation, "air": bronchogram, "septa": septa, "tumour": tumour},
    )
    return LesionLayers(glass, np.maximum(net, septa), consolidation, bronchogram, tumour, masks)


def render_hu(chest: Chest, lung: Lung, lesions: LesionLayers | None) -> Field:
    """Compose one slice (H, W) in HU, without lesions if there are none to lay over it."""
    if lesions is None:
        hu = healthy_lung_hu(lung, lung.parenchyma_hu)
    else:
        parenchyma = lung.parenchyma_hu + lesions.ground_glass_hu
        blend(parenchyma, lesions.lines, LINE_HU)
        hu = healthy_lung_hu(lung, parenchyma)
        blend(hu, lesions.consolidation, CONSOLIDATION_HU)
        blend(hu, lesions.bronchogram * lesions.consolidation, BRONCHOGRAM_HU)
        blend(hu, lesions.tumour, TUMOUR_HU)
    whole: Field = chest.hu + chest.lung * (hu - chest.hu)
    return whole


def _place(chest: Chest, sign: int, angle_rad: float, depth_mm: float) -> NDArray[np.float64]:
    """Return the lung position nearest to an angle from the back and a depth from the pleura, as (x, y)."""
    width, height = chest.cavity.half_axes
    edge = np.array([sign * width * np.sin(angle_rad), height * np.cos(angle_rad)])
    wanted = edge * (1 - depth_mm / np.hypot(*edge))
    inside = lung_points(chest, sign, margin_mm=5.0)
    position: NDArray[np.float64] = inside[np.argmin(((inside - wanted) ** 2).sum(axis=1))]
    return position


def _outward(chest: Chest, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vector at right angles to the pleura."""
    normal = middle / np.square(chest.cavity.half_axes)
    unit: NDArray[np.float64] = normal / np.hypot(*normal)
    return unit


def _extent(chest: Chest, focus: Focus, middle: NDArray[np.float64], texture: Field) -> Field:
    """Return how far inside the focus a pixel is: 1 in its middle, 0 on its ragged edge, negative outside."""
    x, y = chest.grid.axes()
    dx, dy = x - np.float32(middle[0]), y - np.float32(middle[1])
    normal = _outward(chest, middle).astype(np.float32)
    along = (dy * normal[0] - dx * normal[1]) / np.float32(focus.half_mm[0])
    row, column = np.rint(chest.grid.to_pixels(middle[None])[0]).astype(int)
    across = (chest.depth_mm - chest.depth_mm[row, column]) / np.float32(focus.half_mm[1])
    # Depth repeats on the far side of the lung: the plain distance keeps the focus in one piece.
    reach = np.sqrt(dx * dx + dy * dy) / np.float32(1.4 * max(focus.half_mm))
    extent: Field = 1 - np.maximum(np.sqrt(along**2 + across**2), reach) + texture
    extent[np.broadcast_to(x * focus.sign <= 0, extent.shape)] = -1
    return extent


def _path(start: Points, end: Points, radii_mm: tuple[float, float]) -> tuple[Points, NDArray[np.float64]]:
    steps = np.linspace(0, 1, max(int(np.hypot(*(end - start)) / 0.4), 2))
    return start + (end - start) * steps[:, None], radii_mm[0] + (radii_mm[1] - radii_mm[0]) * steps


def _draw_paths(chest: Chest, paths: list[tuple[Points, NDArray[np.float64]]]) -> Field:
    if not paths:
        return np.zeros(chest.grid.shape, np.float32)
    return tubes(chest.grid, np.concatenate([path[0] for path in paths]), np.concatenate([path[1] for path in paths]))


def _bronchogram(chest: Chest, focus: Focus, middle: NDArray[np.float64], rng: np.random.Generator) -> Field:
    """A bronchus that comes from the hilum's side and forks towards the pleura."""
    normal = _outward(chest, middle)
    along = np.array([-normal[1], normal[0]]) * rng.choice([-1, 1])
    half_along, half_across = focus.half_mm
    start = middle - normal * 0.85 * half_across - along * 0.25 * half_along
    calibre = float(rng.uniform(1.7, 2.3))
    fork = middle + along * rng.uniform(-0.1, 0.1) * half_along
    ends = [
        fork + normal * 0.55 * half_across + along * 0.25 * half_along,
        fork + along * 0.62 * half_along + normal * 0.1 * half_across,
        fork - along * 0.5 * half_along + normal * 0.3 * half_across,
    ]
    paths = [_path(start, fork, (calibre, 0.85 * calibre))]
    paths += [_path(fork, end, (0.8 * calibre, 0.5 * calibre)) for end in ends]
    return _draw_paths(chest, paths)


def _net(chest: Chest, paved: Field, rng: np.random.Generator) -> Field:
    """Lines between the cells of a random mosaic (Voronoi), about the size of secondary lobules' parts."""
    net = np.zeros(chest.grid.shape, np.float32)
    rows, columns = np.nonzero(paved > 0.05)
    if len(rows) == 0:
        return net
    x, y = chest.grid.axes()
    pixels = np.stack([x[0, columns], y[rows, 0]], axis=1)
    low, high = pixels.min(axis=0) - 8, pixels.max(axis=0) + 8
    seeds = rng.uniform(low, high, (max(int(np.prod(high - low) / 42), 4), 2))
    distances, _ = cKDTree(seeds).query(pixels, k=2)
    line = np.clip(1.3 - (distances[:, 1] - distances[:, 0]) / 1.3, 0, 1)
    net[rows, columns] = 0.75 * line * np.clip(2 * paved[rows, columns], 0, 1)
    return net


def _septa(chest: Chest, rows: tuple[SeptalLines, ...], rng: np.random.Generator) -> Field:
    """Short straight lines, 10 to 20 mm, from the pleura inwards, a lobule's width apart."""
    width, height = chest.cavity.half_axes
    paths = []
    for row in rows:
        steps = np.arange(row.count) - row.count / 2 + rng.uniform(-0.3, 0.3, row.count)
        for angle in row.angle_rad + steps * rng.uniform(0.085, 0.14):
            touch = np.array([row.sign * width * abs(np.sin(angle)), height * np.cos(angle)]) * 1.03
            inward = -_outward(chest, touch)
            bend = np.array([-inward[1], inward[0]]) * rng.normal(0, 2.2)
            end = touch + inward * rng.uniform(12, 23) + bend
            paths.append(_path(touch, end, (0.8, 0.55)))
    return _draw_paths(chest, paths)


def _tumours(chest: Chest, tumours: tuple[Tumour, ...], rng: np.random.Generator) -> Field:
    x, y = chest.grid.axes()
    cover = np.zeros(chest.grid.shape, np.float32)
    for tumour in tumours:
        middle = _place(chest, tumour.sign, tumour.angle_rad, tumour.depth_mm)
        dx, dy = x - np.float32(middle[0]), y - np.float32(middle[1])
        direction = np.arctan2(dy, dx)
        lobes, roughness = rng.integers(2, 6, 2), 0.13 if tumour.spiculated else 0.05
        swell = sum(np.sin(lobe * direction + phase) for lobe, phase in zip(lobes, rng.uniform(0, 6, 2), strict=True))
        edge = np.float32(tumour.radius_mm) * (1 + np.float32(roughness) * swell)
        np.maximum(cover, np.clip(0.5 + (edge - np.sqrt(dx * dx + dy * dy)) / 1.5, 0, 1), out=cover)
        if tumour.spiculated:
            rays = rng.uniform(0, 2 * np.pi, int(rng.integers(14, 24)))
            units = np.stack([np.cos(rays), np.sin(rays)], axis=1)
            ends = middle + units * tumour.radius_mm * rng.uniform(1.25, 1.75, (len(rays), 1))
            start = middle + units * 0.8 * tumour.radius_mm
            spikes = [_path(first, last, (1.0, 0.3)) for first, last in zip(start, ends, strict=True)]
            np.maximum(cover, _draw_paths(chest, spikes), out=cover)
        cover[np.broadcast_to(x * tumour.sign <= 0, cover.shape)] = 0
    return cover


def _masks(chest: Chest, layers: dict[str, Field]) -> dict[str, NDArray[np.bool_]]:
    """Outline what can be seen as a reader would, by the area affected; what lies deeper in the drawing is hidden."""
    spacing_mm = chest.grid.spacing_mm
    bare = (chest.lung > 0.5) & (layers["tumour"] < 0.5)
    solid = bare & (layers["solid"] > 0.5)
    glass = bare & ~solid & (layers["hazy"] > 0.3)
    air, septa = solid & (layers["air"] > 0.5), bare & ~solid & (layers["septa"] > 0.3)
    drawn = {"GGO": glass, "Csld": solid, "CrPa": glass & (layers["paved"] > 0.3), "AirBr": air, "InSepThi": septa}
    seen = {lesion: mask for lesion, mask in drawn.items() if mask.sum() >= VISIBLE_MM2 / spacing_mm**2}
    if "AirBr" in seen:
        seen["AirBr"] = _holding(solid, air)
    if "InSepThi" in seen:
        seen["InSepThi"] = bare & ~solid & _between(septa, spacing_mm)
    return seen


def _holding(areas: NDArray[np.bool_], signs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected areas that hold a sign: consolidations with air-filled bronchi."""
    numbered, _ = label(areas)
    held: NDArray[np.bool_] = np.isin(numbered, np.unique(numbered[signs]))
    return held


def _between(lines: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """Return lines with all that lies between neighbours less than a lobule's width apart, and a narrow margin."""
    reached = distance_transform_edt(~lines) * spacing_mm <= LOBULE_MM / 2
    inner: NDArray[np.bool_] = distance_transform_edt(reached) * spacing_mm > LOBULE_MM / 2 - OUTLINE_MARGIN_MM
    return inner
