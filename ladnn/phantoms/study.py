"""Owns phantom studies: synthetic patients with a few chest CT slices, lesion masks and a report for each slice.

Usage: `generate_study(seed=1, index=42).slices[0].pixels`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ladnn.errors import ConfigError
from ladnn.phantoms.acquisition import acquire, draw_grid, style_named
from ladnn.phantoms.body import draw_build
from ladnn.phantoms.chest import Chest, draw_chest
from ladnn.phantoms.disease import KINDS, SliceDisease, draw_disease, draw_kind
from ladnn.phantoms.geometry import Field, Grid
from ladnn.phantoms.lesions import VISIBLE_MM2, LesionLayers, draw_lesions, render_hu
from ladnn.phantoms.reports import Facts, write_report
from ladnn.phantoms.vessels import Lung, draw_lung


@dataclass(frozen=True, slots=True)
class PhantomSlice:
    """One axial image in the lung window."""

    pixels: NDArray[np.uint8]
    """(H, W), 0 to 255."""
    masks: Mapping[str, NDArray[np.bool_]]
    """Lesion code to (H, W); only lesions present."""
    report: str
    lesions: frozenset[str]
    """Codes of `ladnn.labels.LESIONS` that the image shows."""


@dataclass(frozen=True, slots=True)
class PhantomStudy:
    """One synthetic patient, who has one study."""

    patient_id: str
    kind: str
    """One of `ladnn.phantoms.disease.KINDS`."""
    style: str
    """A key of `ladnn.phantoms.acquisition.STYLES`."""
    age: int
    sex: Literal["F", "M"]
    slices: tuple[PhantomSlice, ...]

    @property
    def covid(self) -> bool:
        """The diagnosis."""
        return self.kind == "covid"


@dataclass(frozen=True, slots=True)
class PhantomScene:
    """One slice before acquisition, in Hounsfield units, with and without its lesions."""

    chest: Chest
    lung: Lung
    disease: SliceDisease
    lesions: LesionLayers

    @property
    def healthy_hu(self) -> Field:
        """The same slice (H, W) of the same patient had there been no lesion."""
        return render_hu(self.chest, self.lung, None)

    @property
    def hu(self) -> Field:
        """The slice (H, W) as it is."""
        return render_hu(self.chest, self.lung, self.lesions)


class _Stream(IntEnum):
    """Independent random streams: what one draws never shifts another, so anatomy and noise know no diagnosis."""

    BUILD = 0
    KIND = 1
    DISEASE = 2
    POSITION = 3
    ANATOMY = 4
    LESIONS = 5
    NOISE = 6
    REPORT = 7


def generate_study(
    seed: int, index: int, *, style: str = "a", kind: str | None = None, n_slices: int = 3
) -> PhantomStudy:
    """Generate one patient; the same arguments always give the same pixels.

    About half of all indices are "covid" if no kind is given. Anatomy and noise depend on seed, index and style alone.

    Raises:
        ConfigError: unknown style or kind, negative seed or index, or no slice.
    """
    scenes = generate_scenes(seed, index, style=style, kind=kind, n_slices=n_slices)
    known = kind or draw_kind(_rng(seed, index, _Stream.KIND))
    build = draw_build(_rng(seed, index, _Stream.BUILD))
    slices = []
    for number, scene in enumerate(scenes):
        pixels = acquire(scene.hu, style_named(style), _rng(seed, index, _Stream.NOISE, number))
        masks = scene.lesions.masks
        sides = {lesion: _side(scene.chest.grid, mask) for lesion, mask in masks.items()}
        facts = Facts(known, build.age, build.sex, scene.chest.level, sides, scene.disease.tumours)
        report = write_report(facts, _rng(seed, index, _Stream.REPORT, number))
        slices.append(PhantomSlice(pixels, MappingProxyType(masks), report, frozenset(masks)))
    return PhantomStudy(f"phantom-{seed:04d}-{index:05d}", known, style, build.age, build.sex, tuple(slices))


def generate_scenes(
    seed: int, index: int, *, style: str = "a", kind: str | None = None, n_slices: int = 3
) -> tuple[PhantomScene, ...]:
    """Generate the slices of `generate_study` in Hounsfield units, before blur, noise and windowing.

    Raises:
        ConfigError: as `generate_study`.
    """
    _check(seed, index, kind, n_slices)
    build = draw_build(_rng(seed, index, _Stream.BUILD))
    position = _rng(seed, index, _Stream.POSITION)
    grid = draw_grid(style_named(style), position)
    known = kind or draw_kind(_rng(seed, index, _Stream.KIND))
    diseases = draw_disease(known, n_slices, _rng(seed, index, _Stream.DISEASE))
    scenes = []
    for number, (level, disease) in enumerate(zip(_levels(n_slices, position), diseases, strict=True)):
        anatomy = _rng(seed, index, _Stream.ANATOMY, number)
        chest = draw_chest(build, level, grid, anatomy)
        lung = draw_lung(build, chest, anatomy)
        lesions = draw_lesions(chest, disease, _rng(seed, index, _Stream.LESIONS, number))
        scenes.append(PhantomScene(chest, lung, disease, lesions))
    return tuple(scenes)


def _rng(seed: int, index: int, stream: _Stream, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, index, int(stream), number])


def _check(seed: int, index: int, kind: str | None, n_slices: int) -> None:
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"phantom kind {kind!r} is unknown; use one of {', '.join(KINDS)}, or none for a mix")
    if min(seed, index) < 0 or n_slices < 1:
        raise ConfigError(
            f"phantoms need seed and index of at least 0 and one slice or more (got {seed}, {index}, {n_slices})"
        )


def _levels(n_slices: int, rng: np.random.Generator) -> list[float]:
    """Spread the slices from below the apex to above the base, 0 to 1."""
    edges = np.linspace(0.22, 0.9, n_slices + 1)
    return [float(rng.uniform(low, high)) for low, high in pairwise(edges)]


def _side(grid: Grid, mask: NDArray[np.bool_]) -> str:
    x = grid.axes()[0][0]
    right, left = (int(mask[:, x * sign > 0].sum()) for sign in (-1, 1))
    seen = VISIBLE_MM2 / 2 / grid.spacing_mm**2
    if right > seen and left > seen:
        return "both"
    return "right" if right > left else "left"
