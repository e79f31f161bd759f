"""Owns the plane geometry of phantoms: the pixel grid in mm, signed distances, tubes and smooth random fields.

Axes follow the radiological convention: x grows towards the image's right (the patient's left), y towards the back.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Field: TypeAlias = NDArray[np.float32]
"""One value a pixel, (H, W)."""
Points: TypeAlias = NDArray[np.float64]
"""Positions (N, 2) as (x, y) in mm."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels lie in the patient's frame, whose origin is the middle of the thoracic cavity."""

    height_px: int
    width_px: int
    spacing_mm: float
    centre_mm: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height_px, self.width_px

    def axes(self) -> tuple[Field, Field]:
        """Return x as (1, W) and y as (H, 1), in mm."""
        x = (np.arange(self.width_px) - (self.width_px - 1) / 2) * self.spacing_mm + self.centre_mm[0]
        y = (np.arange(self.height_px) - (self.height_px - 1) / 2) * self.spacing_mm + self.centre_mm[1]
        return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]

    def to_pixels(self, points: Points) -> Points:
        """Return (row, column) positions, not rounded, of points (N, 2) in mm."""
        offset = (points - np.asarray(self.centre_mm)) / self.spacing_mm
        middle = np.array([(self.height_px - 1) / 2, (self.width_px - 1) / 2])
        pixels: Points = offset[:, ::-1] + middle
        return pixels


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse, or with a power above 2 a more box-like superellipse."""

    centre: tuple[float, float]
    half_axes: tuple[float, float]
    tilt_rad: float = 0.0
    power: float = 2.0
    taper: float = 0.0
    """How much narrower the front is than the middle, as a fraction at the front end; the back widens as much."""

    def distance(self, x: Field, y: Field) -> Field:
        """Return the signed distance in mm along the ray from the centre, negative inside."""
        u, v = x - self.centre[0], y - self.centre[1]
        if self.tilt_rad:
            cosine, sine = np.float32(np.cos(self.tilt_rad)), np.float32(np.sin(self.tilt_rad))
            u, v = u * cosine + v * sine, v * cosine - u * sine
        a, b = self.half_axes
        if self.taper:
            u = u * (1 - np.float32(self.taper) * np.clip(v / b, -1.2, 1.2))
        if self.power == 2.0:
            rho = np.sqrt((u / a) ** 2 + (v / b) ** 2)
        else:
            rho = (np.abs(u / a) ** self.power + np.abs(v / b) ** self.power) ** (1 / self.power)
        # The small constants keep the centre itself, where the ray has no direction, inside.
        radius = np.sqrt(u * u + v * v) + 1e-6 * min(a, b)
        distance: Field = radius * (1 - 1 / np.maximum(rho, 1e-6))
        return distance


def smooth_union(first: Field, second: Field, rounding_mm: float) -> Field:
    """Return the distance to both shapes together, with a rounded notch where they meet.

    Polynomial smooth minimum: Quilez, https://iquilezles.org/articles/smin/.
    """
    overlap = np.maximum(rounding_mm - np.abs(first - second), 0) / rounding_mm
    union: Field = np.minimum(first, second) - overlap * overlap * np.float32(rounding_mm / 4)
    return union


def coverage(distance: Field, softness_mm: float) -> Field:
    """Return how much of each pixel is inside, 0 to 1, with an edge of the given width."""
    cover: Field = np.clip(0.5 - distance / np.float32(softness_mm), 0, 1)
    return cover


def blend(image: Field, cover: Field, value: float | Field) -> None:
    """Paint a value over an image in place, by its coverage."""
    image += cover * (value - image)


def tubes(grid: Grid, points: Points, radii_mm: NDArray[np.float64]) -> Field:
    """Return the coverage, 0 to 1, of discs laid so densely along curves that they join to tubes."""
    cover = np.zeros(grid.shape, np.float32)
    if len(points) == 0:
        return cover
    centres = grid.to_pixels(points)
    radii = radii_mm / grid.spacing_mm
    reach = np.ceil(radii + 0.5).astype(int)
    for half in np.unique(reach):
        chosen = reach == half
        _stamp_discs(cover, centres[chosen], radii[chosen], int(half))
    return cover


def _stamp_discs(cover: Field, centres: Points, radii: NDArray[np.float64], half: int) -> None:
    nearest = np.rint(centres).astype(int)
    inside = ((nearest >= half) & (nearest < np.array(cover.shape) - half)).all(axis=1)
    centres, radii, nearest = centres[inside], radii[inside], nearest[inside]
    step = np.arange(-half, half + 1)
    rows, columns = nearest[:, 0, None, None] + step[:, None], nearest[:, 1, None, None] + step[None, :]
    distance = np.hypot(rows - centres[:, 0, None, None], columns - centres[:, 1, None, None])
    # A tube thinner than a pixel fills only part of it (partial volume).
    disc = np.clip(radii[:, None, None] - distance + 0.5, 0, np.minimum(2 * radii, 1)[:, None, None]).astype(np.float32)
    np.maximum.at(cover.reshape(-1), rows * cover.shape[1] + columns, disc)


def smooth_noise(rng: np.random.Generator, grid: Grid, scale_mm: float) -> Field:
    """Return a random field of mean 0 and standard deviation about 1 whose blobs measure about `scale_mm`."""
    step_px = max(scale_mm / grid.spacing_mm / 3, 1.0)
    coarse = rng.standard_normal((int(grid.height_px / step_px) + 2, int(grid.width_px / step_px) + 2))
    image = Image.fromarray(gaussian_filter(coarse, 1.0).astype(np.float32)).resize(
        (grid.width_px, grid.height_px), Image.Resampling.BICUBIC
    )
    field = np.array(image, dtype=np.float32)
    field /= max(float(field.std()), 1e-6)
    return field
