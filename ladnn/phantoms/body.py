"""Owns one phantom patient's build: the sizes, drawn once, that all slices of the patient share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ladnn.phantoms.geometry import Field


@dataclass(frozen=True, slots=True)
class Build:
    """Sizes in mm, densities in Hounsfield units (HU)."""

    sex: Literal["F", "M"]
    age: int
    cavity_mm: tuple[float, float]
    """Half width and half depth of the thoracic cavity at the level of the heart."""
    fat_mm: float
    muscle_scale: float
    breast_mm: float
    heart_scale: float
    heart_tilt_rad: float
    aorta_mm: float
    trachea_mm: float
    vessel_scale: float
    lung_hu: float
    dependent_hu: float
    """How much denser the back of the lung is than its front (gravity)."""
    dome_level: float
    """Level where the right diaphragm appears."""
    rib_phase: float
    warp: NDArray[np.float64]
    """Amplitude (mm), wavelengths (mm) and phases of the smooth distortion, (2, 3, 5)."""


def draw_build(rng: np.random.Generator) -> Build:
    """Draw a patient. Nothing here knows the diagnosis, so that the build can be no shortcut to it."""
    sex: Literal["F", "M"] = "F" if rng.random() < 0.47 else "M"
    age = int(np.clip(rng.normal(52, 15), 18, 88))
    size = float(np.clip(rng.normal(0.95 if sex == "F" else 1.03, 0.045), 0.85, 1.14))
    warp = rng.uniform([-3.0, 110, 110, 0, 0], [3.0, 240, 240, 6.28, 6.28], (2, 3, 5))
    return Build(
        sex=sex,
        age=age,
        cavity_mm=(127 * size * rng.uniform(0.96, 1.04), 91 * size * rng.uniform(0.94, 1.07)),
        fat_mm=float(rng.gamma(4.0, 2.3) + 3),
        muscle_scale=float(rng.uniform(0.8, 1.2) * (0.9 if sex == "F" else 1.1)),
        breast_mm=float(rng.uniform(8, 26)) if sex == "F" else 0.0,
        heart_scale=float(rng.uniform(0.88, 1.12) * size),
        heart_tilt_rad=float(rng.uniform(-0.6, -0.2)),
        aorta_mm=float(rng.uniform(10.5, 13.5) + 0.05 * (age - 50)),
        trachea_mm=float(rng.uniform(7.5, 9.5) * size),
        vessel_scale=float(rng.uniform(0.9, 1.15)),
        lung_hu=float(rng.uniform(-890, -835)),
        dependent_hu=float(rng.uniform(20, 90)),
        dome_level=float(rng.uniform(0.76, 0.9)),
        rib_phase=float(rng.uniform(0, 1)),
        warp=warp,
    )


def distort(build: Build, x: Field, y: Field) -> tuple[Field, Field]:
    """Return coordinates (H, W) bent by a few mm, so that no outline is an exact ellipse."""
    bent = []
    for axis, terms in zip((x, y), build.warp, strict=True):
        shift = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        for amplitude, wave_x, wave_y, phase_x, phase_y in terms.astype(np.float32):
            shift += amplitude * np.sin(6.28 * x / wave_x + phase_x) * np.sin(6.28 * y / wave_y + phase_y)
        bent.append(axis + shift)
    return bent[0], bent[1]
