"""Owns the chest without the contents of the lungs: chest wall, bones, mediastinum, airways outside the lung, table.

A level runs from 0 (apex) to 1 (base): arch of the aorta about 0.25, carina 0.42, hila 0.5, heart 0.7, diaphragm 0.85.
Densities in Hounsfield units (HU) are the textbook ones: air -1000, fat -100, muscle and unenhanced blood 40 to 50,
bone above 150.
"""

from dataclasses import dataclass

import numpy as np

from ladnn.phantoms.body import Build, distort
from ladnn.phantoms.geometry import Ellipse, Field, Grid, blend, coverage, smooth_noise, smooth_union, tubes

AIR_HU, FAT_HU, MUSCLE_HU, BLOOD_HU, CORTEX_HU, MARROW_HU = -1000.0, -100.0, 48.0, 42.0, 520.0, 130.0


@dataclass(frozen=True, slots=True)
class Chest:
    """One slice with empty lungs."""

    grid: Grid
    level: float
    hu: Field
    """Everything but the lungs; under them it holds soft tissue."""
    lung: Field
    """Coverage by lung, 0 to 1."""
    depth_mm: Field
    """Distance from the costal pleura, positive inside the thoracic cavity."""
    cavity: Ellipse
    hilum_mm: tuple[float, float]
    """Where the left lung's vessels enter; the right hilum mirrors it."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the painting functions share."""

    build: Build
    level: float
    grid: Grid
    x: Field
    y: Field
    cavity: Ellipse

    def at(self, levels: list[float], values: list[float]) -> float:
        return float(np.interp(self.level, levels, values))

    @property
    def spine_y(self) -> float:
        return 0.62 * self.cavity.half_axes[1]


def draw_chest(build: Build, level: float, grid: Grid, rng: np.random.Generator) -> Chest:
    """Draw one slice of a patient at a level, 0 apex to 1 base."""
    x, y = distort(build, *grid.axes())
    width = build.cavity_mm[0] * float(np.interp(level, [0, 0.2, 0.45, 1], [0.62, 0.84, 1, 1.02]))
    height = build.cavity_mm[1] * float(np.interp(level, [0, 0.2, 0.45, 1], [0.66, 0.86, 0.98, 1.0]))
    frame = _Frame(build, level, grid, x, y, Ellipse((0, 0), (width, height), power=2.15, taper=0.13))
    outside_cavity = frame.cavity.distance(x, y)
    hu = _wall(frame, outside_cavity, rng)
    mediastinum = _mediastinum(frame)
    blend(hu, coverage(outside_cavity, 2), -35 + 20 * smooth_noise(rng, grid, 12))
    _paint_organs(frame, hu)
    _paint_spine(frame, hu)
    lung = coverage(np.maximum(outside_cavity + 1.5, -mediastinum), 1.2)
    dome = _domes(frame)
    blend(hu, dome, 52.0)
    lung *= 1 - dome
    _paint_airways(frame, hu)
    return Chest(grid, level, hu, lung, -outside_cavity - 1.5, frame.cavity, _hilum(frame))


def _hilum(frame: _Frame) -> tuple[float, float]:
    return frame.at([0.1, 0.35, 0.5, 0.9], [22, 34, 40, 36]), frame.at([0.1, 0.5, 0.9], [0, 4, 14])


def _wall(frame: _Frame, outside_cavity: Field, rng: np.random.Generator) -> Field:
    build, x, y = frame.build, frame.x, frame.y
    width, height = frame.cavity.half_axes
    # Angle from the back (0) over the side to the front (pi), the same on both sides.
    angle = np.arctan2(np.abs(x) / width, y / height)
    shoulder = frame.at([0, 0.2, 0.4], [1.8, 1.5, 1.0])
    layers = np.array([34, 33, 19, 12, 14 * shoulder, 13 * shoulder, 6]) * build.muscle_scale
    muscle = np.interp(angle, [0, 0.35, 0.75, 1.57, 2.2, 2.7, 3.14], layers).astype(np.float32)
    body = _skin_distance(frame, shoulder)
    hu = np.full(frame.grid.shape, AIR_HU, np.float32)
    _paint_table(frame, hu)
    blend(hu, coverage(body, 1.5), 15.0)
    blend(hu, coverage(body + 2.2, 1.5), FAT_HU + 12 * smooth_noise(rng, frame.grid, 9))
    streaks = 4 * smooth_noise(rng, frame.grid, 14)
    within = np.maximum(outside_cavity - muscle + streaks, body + 4)
    blend(hu, coverage(within, 3), MUSCLE_HU)
    _paint_ribs(frame, hu, outside_cavity, angle)
    _paint_sternum_and_scapulae(frame, hu)
    return hu


def _skin_distance(frame: _Frame, shoulder: float) -> Field:
    build, x, y = frame.build, frame.x, frame.y
    width, height = frame.cavity.half_axes
    half = (width + build.fat_mm + 20 * shoulder * build.muscle_scale, height + 0.8 * build.fat_mm + 27)
    skin = Ellipse((0, 15), half, power=2.15).distance(x, y)
    if build.breast_mm and 0.3 < frame.level < 0.85:
        swell = build.breast_mm * np.sin(np.pi * (frame.level - 0.3) / 0.55)
        bump = np.exp(-(((np.abs(x) - 0.62 * width) / 38) ** 2)) * np.clip(-y / height, 0, 1)
        skin = skin - np.float32(swell) * bump
    # The back lies flat on the table.
    flat: Field = -smooth_union(-skin, -(y - (height + 30 + 0.35 * build.fat_mm)), 12.0)
    return flat


def _paint_table(frame: _Frame, hu: Field) -> None:
    x, y = frame.grid.axes()
    top = frame.cavity.half_axes[1] + 36 + 0.35 * frame.build.fat_mm - x * x / 1100
    end = np.abs(x) - 195
    blend(hu, coverage(np.maximum(np.abs(y - top - 9) - 9, end), 1.2), -905.0)
    for offset, thickness, value in ((0, 1.3, -250.0), (18, 1.6, -120.0)):
        blend(hu, coverage(np.maximum(np.abs(y - top - offset) - thickness, end), 1.2), value)


def _paint_ribs(frame: _Frame, hu: Field, outside_cavity: Field, angle: Field) -> None:
    # Ribs run obliquely through the plane: each slice cuts them into short arcs that shift with the level.
    phase = (frame.build.rib_phase + 3.1 * frame.level) % 1
    spread = np.linspace(0.32, 2.55, 6) + 0.37 * (phase - 0.5)
    samples = np.linspace(0, np.pi, 400)
    lengths = 0.075 + 0.075 * np.sin(6 * spread + 6.28 * phase) ** 2
    profile = np.max(1 - (np.abs(samples[:, None] - spread) / lengths) ** 2, axis=1)
    half = (5.2 * np.sqrt(np.clip(profile, 0, 1)) - 1.0).astype(np.float32)
    thickness = np.interp(angle, samples, half).astype(np.float32)
    radial = np.abs(outside_cavity - 6)
    blend(hu, coverage(radial - thickness, 1.5), CORTEX_HU)
    blend(hu, coverage(radial - thickness + 2.2, 1.5), MARROW_HU)


def _paint_sternum_and_scapulae(frame: _Frame, hu: Field) -> None:
    width, height = frame.cavity.half_axes
    sternum = Ellipse((0, -height - 7), (frame.at([0, 0.3, 0.9], [26, 19, 13]), 5.5)).distance(frame.x, frame.y)
    blend(hu, coverage(sternum, 2), CORTEX_HU)
    blend(hu, coverage(sternum + 2.2, 2), MARROW_HU)
    if frame.level < 0.42:
        along = np.linspace(0, 1, 60)[:, None]
        blade = (1 - along) * [0.60 * width, height + 9] + along * [width + 15, 0.45 * height]
        blade[:, 1] += 7 * np.sin(np.pi * along[:, 0])
        radii = 2.4 + 1.8 * along[:, 0] ** 3
        both = np.concatenate([blade, blade * [-1, 1]])
        blend(hu, tubes(frame.grid, both, np.tile(radii, 2)), CORTEX_HU)


def _paint_spine(frame: _Frame, hu: Field) -> None:
    x, y, middle = frame.x, frame.y, frame.spine_y
    size = frame.at([0, 1], [0.88, 1.08])
    vertebra = Ellipse((0, middle), (18 * size, 14 * size), power=2.5).distance(x, y)
    blend(hu, coverage(vertebra, 2), CORTEX_HU)
    blend(hu, coverage(vertebra + 2, 3), MARROW_HU + 40)
    canal = middle + 23 * size
    ring = Ellipse((0, canal), (14 * size, 11 * size)).distance(x, y)
    process = Ellipse((0, canal + 22), (3.2, 17)).distance(x, y)
    wings = Ellipse((0, canal + 3), (33 * size, 4.5)).distance(x, y)
    blend(hu, coverage(np.minimum(np.minimum(ring, process), wings), 2), CORTEX_HU - 180)
    blend(hu, coverage(Ellipse((0, canal - 1), (9.5, 8)).distance(x, y), 2), 25.0)


def _mediastinum(frame: _Frame) -> Field:
    """Return the distance to all that stands between the lungs."""
    x, y, (_, height) = frame.x, frame.y, frame.cavity.half_axes
    block = (frame.at([0, 0.25, 0.5, 0.65, 1], [28, 34, 35, 33, 27]), frame.at([0, 0.4, 1], [34, 40, 42]))
    front = (frame.at([0, 0.3, 0.6, 1], [20, 14, 7, 9]), 0.5 * height)
    spine = (frame.at([0, 1], [24, 28]), 30)
    shapes = [
        Ellipse((2, -4), block),
        Ellipse((1, -0.55 * height), front),
        Ellipse((0, frame.spine_y + 16), spine, power=2.6),
        *_organs(frame),
    ]
    bulge = frame.at([0.28, 0.4, 0.52, 0.68, 0.85], [0, 10, 14, 11, 3])
    if bulge > 0:
        hilum_x, hilum_y = _hilum(frame)
        shapes += [Ellipse((side * (hilum_x - 4), hilum_y), (bulge, 0.8 * bulge + 2)) for side in (-1, 1)]
    union = shapes[0].distance(x, y)
    for shape in shapes[1:]:
        union = smooth_union(union, shape.distance(x, y), 13.0)
    return union


def _organs(frame: _Frame) -> list[Ellipse]:
    """Return heart and great vessels that this level meets."""
    build, level, height = frame.build, frame.level, frame.cavity.half_axes[1]
    aorta = build.aorta_mm
    organs = []
    if level < 0.2:
        organs += [Ellipse((spot, -14 + abs(spot) / 3), (6.5, 6.5)) for spot in (-19, -7, 14)]
    elif level < 0.32:
        organs.append(Ellipse((5, -12), (2.9 * aorta, 1.15 * aorta), tilt_rad=0.85))
    else:
        organs.append(Ellipse((aorta + 8, frame.spine_y - 13), (aorta, aorta)))
    if 0.32 <= level < 0.62:
        organs += [
            Ellipse((-10, -0.42 * height), (1.35 * aorta, 1.35 * aorta)),
            Ellipse((18, -0.40 * height), (1.25 * aorta, 1.6 * aorta), tilt_rad=0.5),
            Ellipse((-27, -0.22 * height), (9, 9)),
        ]
    grown = frame.at([0.5, 0.6, 0.74, 0.95], [0, 0.72, 1, 0.92]) * build.heart_scale
    if grown > 0.3:
        organs.append(
            Ellipse((4 + 15 * grown, -0.97 * height + 44 * grown + 6), (59 * grown, 46 * grown), build.heart_tilt_rad)
        )
    return organs


def _paint_organs(frame: _Frame, hu: Field) -> None:
    for organ in _organs(frame):
        distance = organ.distance(frame.x, frame.y)
        blend(hu, coverage(distance + 1.5, 3), BLOOD_HU)


def _domes(frame: _Frame) -> Field:
    """Return the coverage by liver and, lower, spleen under the diaphragm; its slope blurs the edge."""
    dome = np.zeros(frame.grid.shape, np.float32)
    width, height = frame.cavity.half_axes
    for side, first in ((-1, frame.build.dome_level), (1, frame.build.dome_level + 0.06)):
        risen = float(np.sqrt(np.clip((frame.level - first) / 0.3, 0, 1)))
        if risen > 0:
            shape = Ellipse((side * 0.52 * width, -0.12 * height), (0.52 * width * risen, 0.72 * height * risen))
            dome = np.maximum(dome, coverage(shape.distance(frame.x, frame.y), 9))
    return dome


def _paint_airways(frame: _Frame, hu: Field) -> None:
    size, level = frame.build.trachea_mm, frame.level
    if level < 0.4:
        tubes_here = [Ellipse((0, 6), (size, 0.95 * size), power=2.3)]
    elif level < 0.62:
        apart = float(np.interp(level, [0.4, 0.62], [9, 33]))
        half = (size * 1.05, size * float(np.interp(level, [0.4, 0.62], [0.8, 0.5])))
        tubes_here = [Ellipse((side * apart, 7), half, side * 0.35) for side in (-1, 1)]
    else:
        tubes_here = [Ellipse((side * 36, 10), (4.2, 3.4)) for side in (-1, 1)]
    for airway in tubes_here:
        distance = airway.distance(frame.x, frame.y)
        blend(hu, coverage(distance - 1.5, 1.5), 20.0)
        blend(hu, coverage(distance, 1.2), -990.0)
