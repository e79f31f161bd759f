"""Owns the scanner: field of view, blur, noise and window that turn Hounsfield units (HU) into 8-bit pixels.

Two styles stand for two sites. They differ only here, so that a demo can tie a style to the diagnosis (a shortcut) or
let it change over time (drift).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ladnn.errors import ConfigError
from ladnn.phantoms.geometry import Field, Grid

WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = -600.0, 1500.0
"""The usual lung window."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one site acquires and exports images."""

    height_px: int
    width_px: int
    spacing_mm: float
    blur_px: float
    """Standard deviation of the point spread function."""
    sharpening: float
    """Weight of the unsharp mask; 0 is a soft kernel."""
    noise_hu: float
    noise_blur_px: float
    offset_hu: float
    framed: bool
    """Black outside the circular field of view, a light border and a ruler at the right."""


STYLES = {
    "a": Style(384, 384, 0.91, 0.75, 0.0, 26.0, 0.8, 0.0, framed=False),
    "b": Style(352, 416, 1.04, 0.65, 0.9, 46.0, 0.5, 55.0, framed=True),
}


def style_named(name: str) -> Style:
    """Return a style.

    Raises:
        ConfigError: there is no such style.
    """
    if name not in STYLES:
        raise ConfigError(f"phantom style {name!r} is unknown; use one of {', '.join(STYLES)}")
    return STYLES[name]


def draw_grid(style: Style, rng: np.random.Generator) -> Grid:
    """Position a patient in the field of view, a few mm off centre and zoomed by a few percent."""
    spacing = style.spacing_mm * rng.uniform(0.97, 1.05)
    return Grid(style.height_px, style.width_px, spacing, (rng.uniform(-6, 6), 14 + rng.uniform(-6, 6)))


def acquire(hu: Field, style: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur, add noise, window and export one slice (H, W)."""
    sharp = gaussian_filter(hu, style.blur_px)
    if style.sharpening:
        sharp += style.sharpening * (sharp - gaussian_filter(sharp, 1.4))
    dose = np.exp(rng.normal(0, 0.18))
    noise = gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), style.noise_blur_px)
    sharp += noise * (style.noise_hu * dose / max(float(noise.std()), 1e-6))
    low = WINDOW_CENTRE_HU - WINDOW_WIDTH_HU / 2
    grey = (sharp + (style.offset_hu - low)) * (255 / WINDOW_WIDTH_HU)
    pixels: NDArray[np.uint8] = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    if style.framed:
        _frame(pixels)
    return pixels


def _frame(pixels: NDArray[np.uint8]) -> None:
    height, width = pixels.shape
    rows, columns = np.ogrid[:height, :width]
    outside = (rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2 > (0.495 * width) ** 2
    pixels[outside] = 0
    pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:] = 225, 225, 225, 225
    ticks = np.linspace(0.3 * height, 0.7 * height, 11).astype(int)
    pixels[ticks[0] : ticks[-1] + 1, -10] = 225
    pixels[ticks, -16:-9] = 225
