"""Owns what fills a healthy lung: parenchyma, the vessel tree and the bronchi beside it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ladnn.phantoms.body import Build
from ladnn.phantoms.chest import Chest
from ladnn.phantoms.geometry import Field, Points, blend, smooth_noise, tubes

SIDES = {"right": -1, "left": 1}
"""Sign of x in the image, which is seen from the patient's feet."""
VESSEL_HU, BRONCHUS_WALL_HU, BRONCHUS_AIR_HU = 35.0, -180.0, -960.0


@dataclass(frozen=True, slots=True)
class Lung:
    """Layers of the healthy lungs, each (H, W); the coverages are 0 to 1."""

    parenchyma_hu: Field
    vessels: Field
    bronchus_walls: Field
    bronchus_air: Field


@dataclass(frozen=True, slots=True)
class _Tubes:
    points: Points
    radii_mm: NDArray[np.float64]


def draw_lung(build: Build, chest: Chest, rng: np.random.Generator) -> Lung:
    """Draw the contents of both lungs of one slice."""
    vessels, walls, air = [], [], []
    for sign in SIDES.values():
        inside = lung_points(chest, sign)
        root = np.array([sign * chest.hilum_mm[0], chest.hilum_mm[1]])
        vessels += [_tree(build, inside, root, rng), _cross_sections(build, inside, root, rng)]
        wall, lumen = _bronchi(inside, root, rng)
        walls.append(wall)
        air.append(lumen)
    return Lung(_parenchyma(build, chest, rng), _draw(chest, vessels), _draw(chest, walls), _draw(chest, air))


def lung_points(chest: Chest, sign: int, margin_mm: float = 2.0) -> Points:
    """Return the positions (N, 2) in mm of the lung's pixels on one side, those near the costal pleura left out."""
    x, y = chest.grid.axes()
    rows, columns = np.nonzero((chest.lung > 0.9) & (chest.depth_mm > margin_mm) & (x * sign > 0))
    return np.stack([x[0, columns], y[rows, 0]], axis=1).astype(np.float64)


def healthy_lung_hu(lung: Lung, parenchyma_hu: Field) -> Field:
    """Lay vessels and bronchi over a parenchyma, which may carry ground-glass opacity: its vessels stay visible."""
    hu = parenchyma_hu.copy()
    blend(hu, lung.vessels, VESSEL_HU)
    blend(hu, lung.bronchus_walls, BRONCHUS_WALL_HU)
    blend(hu, lung.bronchus_air, BRONCHUS_AIR_HU)
    return hu


def _draw(chest: Chest, parts: list[_Tubes]) -> Field:
    return tubes(
        chest.grid, np.concatenate([part.points for part in parts]), np.concatenate([part.radii_mm for part in parts])
    )


def _parenchyma(build: Build, chest: Chest, rng: np.random.Generator) -> Field:
    _, y = chest.grid.axes()
    slope = y / np.float32(2 * chest.cavity.half_axes[1]) + np.float32(0.5)
    mottle = 14 * smooth_noise(rng, chest.grid, 28) + 12 * smooth_noise(rng, chest.grid, 5)
    # Gravity: blood and collapse make the lowest few mm of a supine lung hazy even in health.
    dependent = build.dependent_hu * (slope + np.clip(slope - 0.75, 0, 1) * np.exp(-chest.depth_mm.clip(0) / 8) * 4)
    parenchyma: Field = (build.lung_hu + dependent + mottle).astype(np.float32)
    return parenchyma


def _tree(build: Build, inside: Points, root: Points, rng: np.random.Generator) -> _Tubes:
    """Grow a tree from the hilum to points spread over the lung.

    Each point joins the node that makes its way short without a long detour, a greedy form of the minimum spanning
    tree that balances wiring and path length (Cuntz et al. 2010, doi:10.1371/journal.pcbi.1000877). Calibres follow
    Murray's law (1926), here with exponent 2.2.
    """
    count = min(150, len(inside) // 40)
    if count == 0:
        return _Tubes(np.zeros((0, 2)), np.zeros(0))
    targets = inside[rng.choice(len(inside), count, replace=False)]
    targets = targets[np.argsort(((targets - root) ** 2).sum(axis=1))]
    nodes = np.concatenate([root[None], targets])
    parents, paths = np.zeros(count + 1, int), np.zeros(count + 1)
    for i in range(1, count + 1):
        lengths = np.hypot(*(nodes[:i] - nodes[i]).T)
        parents[i] = int(np.argmin(lengths + 0.65 * paths[:i]))
        paths[i] = lengths[parents[i]] + paths[parents[i]]
    leaves = np.ones(count + 1)
    height = np.zeros(count + 1)
    slopes = rng.normal(0, 0.34, count + 1)
    for i in range(count, 0, -1):
        leaves[parents[i]] += leaves[i]
    for i in range(1, count + 1):
        height[i] = 0.75 * height[parents[i]] + slopes[i] * (paths[i] - paths[parents[i]])
    radii = 0.36 * build.vessel_scale * leaves**0.45
    return _edges(nodes, parents, np.minimum(radii, 4.5), height, rng)


def _edges(
    nodes: Points,
    parents: NDArray[np.intp],
    radii: NDArray[np.float64],
    height: NDArray[np.float64],
    rng: np.random.Generator,
) -> _Tubes:
    """Sample gently bent edges; where a vessel leaves the plane of the slice it thins out and ends."""
    child = np.arange(1, len(nodes))
    start, end = nodes[parents[child]], nodes[child]
    along = np.linspace(0, 1, 48)[None, :, None]
    normal = (end - start)[:, ::-1] * [1, -1]
    bend = rng.normal(0, 0.09, (len(child), 1, 1)) * normal[:, None, :] * np.sin(np.pi * along)
    points = start[:, None] * (1 - along) + end[:, None] * along + bend
    # The tube narrows from at most its parent's calibre to its own.
    first = np.minimum(radii[parents[child]], 1.25 * radii[child])
    calibre = first[:, None] * (1 - along[..., 0]) + radii[child][:, None] * along[..., 0]
    off_plane = height[parents[child]][:, None] * (1 - along[..., 0]) + height[child][:, None] * along[..., 0]
    beyond = np.maximum(np.abs(off_plane) - 1.6, 0)
    seen = np.sqrt(np.maximum(calibre**2 - beyond**2, 0))
    kept = seen > 0.25
    return _Tubes(points[kept], seen[kept])


def _cross_sections(build: Build, inside: Points, root: Points, rng: np.random.Generator) -> _Tubes:
    """Vessels that cross the slice: dots, the larger the nearer to the hilum."""
    count = min(110, len(inside) // 60)
    points = inside[rng.choice(len(inside), count, replace=False)] if count else np.zeros((0, 2))
    far = np.hypot(*(points - root).T)
    radii = build.vessel_scale * (0.45 + 2.0 * np.exp(-far / 30) * rng.uniform(0.3, 1, count))
    return _Tubes(points, radii)


def _bronchi(inside: Points, root: Points, rng: np.random.Generator) -> tuple[_Tubes, _Tubes]:
    """Bronchi near the hilum: dark lumen in a thin wall, cut across or along."""
    far = np.hypot(*(inside - root).T)
    near = inside[(far > 12) & (far < 48)]
    count = min(int(rng.integers(3, 7)), len(near))
    if count == 0:
        nothing = _Tubes(np.zeros((0, 2)), np.zeros(0))
        return nothing, nothing
    starts = near[rng.choice(len(near), count, replace=False)]
    outward = (starts - root) / np.hypot(*(starts - root).T)[:, None]
    lengths = rng.choice([0.0, 0.0, 1.5, 5.0], count)
    along = np.linspace(0, 1, 16)[None, :, None]
    points = (starts[:, None] + outward[:, None] * along * lengths[:, None, None]).reshape(-1, 2)
    distance = np.hypot(*(starts - root).T)
    radii = np.repeat(2.6 * np.exp(-distance / 45) * rng.uniform(0.75, 1.1, count), 16)
    return _Tubes(points, radii + 1.0), _Tubes(points, radii)
