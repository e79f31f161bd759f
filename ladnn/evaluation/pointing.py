"""Does a model look at lesions: the pointing game and the energy of attention maps, where lesions are outlined.

Pointing game: Zhang, Lin, Brandt, Shen, Sclaroff, ECCV 2016, arXiv:1608.00507, section 4.1. Share of the energy in the
mask: Wang et al., Score-CAM, CVPR workshops 2020, arXiv:1910.01279, section 4.3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import distance_transform_edt

from ladnn.errors import DatasetError
from ladnn.evaluation.at_threshold import not_certain
from ladnn.evaluation.attention import FINENESS, AttentionSource, Maps
from ladnn.evaluation.outlined import Mask, OutlinedSlice
from ladnn.labels import DIAGNOSIS, LESIONS
from ladnn.progress import Steps, no_steps
from ladnn.statistics import Bootstrap, Interval, Weights, bootstrap_of_totals, not_computable, ratio

ALL_LESIONS = "lesions"
"""Name of the five lesion heads taken together: every pair of an image and a lesion that it shows."""


_SHARES_OF_MAPS = ("pointing", "in_any", "near")
"""Measures that are 1 or 0 of one map (but for ties), and so proportions; the others are shares of a map or picture."""
NEAR_PX = 15.0
"""How far outside an outline a peak counts in the pointing game as it was published (Zhang et al., section 4.1)."""


@dataclass(frozen=True, slots=True)
class Look:
    """One map against one outline.

    Attributes:
        label: of the map.
        patient: whose slice it is.
        hit: 1 where the map's peak lies in the outline, else 0; for tied peaks their share that does.
        in_any: the same of the outlines of all lesions that the slice shows.
        near: the same within the tolerance of the outline.
        energy: share of the map's sum that lies in the outline.
        chance: share of the slice's pixels that lie in the outline: what a blind guess hits.
        chance_any: share of them that lie in any lesion.
        chance_near: share of them within the tolerance.
    """

    label: str
    patient: str
    hit: float
    in_any: float
    near: float
    energy: float
    chance: float
    chance_any: float
    chance_near: float

    @classmethod
    def at(cls, label: str, patient: str, map_: Maps, mask: Mask, lesions: Mask, tolerance_px: float = NEAR_PX) -> Self:
        """Compare a map (H, W) with the mask (H, W) of what it should point at, and with that of all lesions.

        An empty map points nowhere: it hits nothing and has no energy.
        """
        outlines = mask, lesions, distance_transform_edt(~mask) <= tolerance_px
        chance, chance_any, chance_near = (float(outline.mean()) for outline in outlines)
        total = float(map_.sum(dtype=np.float64))
        if total == 0:
            return cls(label, patient, 0.0, 0.0, 0.0, 0.0, chance, chance_any, chance_near)
        peaks = map_ == map_.max()
        hit, in_any, near = (float(outline[peaks].mean()) for outline in outlines)
        energy = float(map_[mask].sum(dtype=np.float64)) / total
        return cls(label, patient, hit, in_any, near, energy, chance, chance_any, chance_near)


class LabelPointing(BaseModel):
    """How maps of one label point, over the images that show what they should point at.

    Attributes:
        pointing: share of maps whose peak lies in the outline: of a lesion head, in that lesion.
        in_any: share of maps whose peak lies in a lesion, whichever; for the diagnosis the same.
        near: share of maps whose peak lies within the tolerance of it, as the pointing game was published.
        energy: mean share of a map's sum that lies in the outline.
        chance: mean share of the picture that the outline covers, which blind pointing reaches on average.
        chance_any: mean share of the picture that all lesions cover.
        chance_near: mean share of the picture within the tolerance of the outline.
    """

    model_config = ConfigDict(frozen=True)

    pointing: Interval
    in_any: Interval
    near: Interval
    energy: Interval
    chance: Interval
    chance_any: Interval
    chance_near: Interval


class Pointing(BaseModel):
    """Pointing of one model by label, the lesions also taken together.

    Attributes:
        tolerance_px: how far outside an outline a peak is still near, in pixels of the picture.
        labels: `covid`, then the lesion codes and `lesions`, where the model has a lesion head.
    """

    model_config = ConfigDict(frozen=True)

    tolerance_px: float
    labels: dict[str, LabelPointing]


class PointingDifference(BaseModel):
    """Diagnosis maps of one model minus those of another, on the same images."""

    model_config = ConfigDict(frozen=True)

    pointing: Interval
    near: Interval
    energy: Interval


def look(
    source: AttentionSource,
    slices: Iterable[OutlinedSlice],
    tolerance_px: float = NEAR_PX,
    fineness: int = FINENESS,
    on_step: Steps = no_steps,
) -> tuple[Look, ...]:
    """Compare the maps of a model with the outlines of slices; labels that a slice does not show are left out.

    Args:
        source: the model.
        slices: outlined slices; measured on their own pixels, so that no outline is resampled.
        tolerance_px: how far outside an outline a peak is still near.
        fineness: of the maps; see `fine_maps`.
        on_step: told how many slices are done.
    """
    looks: list[Look] = []
    given = list(slices)
    for done, piece in enumerate(given, start=1):
        targets = {label: mask for label in source.labels if (mask := piece.target(label)) is not None}
        if targets and (lesions := piece.target(DIAGNOSIS)) is not None:
            maps = source.on_picture(piece.pixels, tuple(targets), fineness)
            looks.extend(
                Look.at(label, piece.patient, map_, mask, lesions, tolerance_px)
                for (label, mask), map_ in zip(targets.items(), maps, strict=True)
            )
        on_step(done, len(given))
    return tuple(looks)


def summarise_pointing(looks: Sequence[Look], sampling: Bootstrap, tolerance_px: float = NEAR_PX) -> Pointing:
    """Return shares with intervals over patients.

    Args:
        looks: of one model.
        sampling: of the intervals.
        tolerance_px: that `look` was given.

    Raises:
        DatasetError: there is not one look.
    """
    if not looks:
        raise DatasetError("no slice shows an outlined lesion, so there is nothing to point at; take more phantoms")
    labels = {label: _summary([item for item in looks if item.label == label], sampling) for label in _present(looks)}
    of_lesions = [item for item in looks if item.label != DIAGNOSIS]
    if of_lesions:
        labels[ALL_LESIONS] = _summary(of_lesions, sampling)
    return Pointing(tolerance_px=tolerance_px, labels=labels)


def diagnosis_difference(ours: Sequence[Look], theirs: Sequence[Look], sampling: Bootstrap) -> PointingDifference:
    """Compare the diagnosis maps of two models on the same slices: ours minus theirs.

    Raises:
        DatasetError: the models were not shown the same slices.
    """
    pairs = [[item for item in looks if item.label == DIAGNOSIS] for looks in (ours, theirs)]
    patients = [[item.patient for item in looks] for looks in pairs]
    if patients[0] != patients[1]:
        raise DatasetError("the two models were shown different slices; compare them on the same ones")
    values = np.array(
        [(a.hit - b.hit, a.near - b.near, a.energy - b.energy) for a, b in zip(*pairs, strict=True)], dtype=np.float64
    ).reshape(-1, 3)
    pointing, near, energy = (
        not_certain(mean, None, sampling.confidence) for mean in _means(values, patients[0], sampling)
    )
    return PointingDifference(pointing=pointing, near=near, energy=energy)


def diagnosis_differences(looks: Mapping[str, Sequence[Look]], sampling: Bootstrap) -> dict[str, PointingDifference]:
    """Compare each LA-DNN with the baseline of its backbone and seed; without such pairs the first model with the others.

    Seeds of a backbone are taken together: a difference is their mean, and a patient is drawn with all of its maps.

    Args:
        looks: by model; variants by their names, such as `resnet18-ladnn-seed7`.
        sampling: of the intervals.

    Returns:
        By what is compared, such as `resnet18: ladnn - baseline, mean of 3 seeds`.

    Raises:
        DatasetError: the models were not shown the same slices.
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for name in looks:
        backbone, is_ladnn, seed = name.partition("-ladnn")
        if is_ladnn and (control := f"{backbone}-baseline{seed}") in looks:
            pairs.setdefault(backbone, []).append((name, control))
    if not pairs:
        first, *others = looks
        return {f"{first} - {other}": diagnosis_difference(looks[first], looks[other], sampling) for other in others}
    differences = {}
    for backbone, of_seeds in pairs.items():
        ours, theirs = ([item for name in names for item in looks[name]] for names in zip(*of_seeds, strict=True))
        seeds = f", mean of {len(of_seeds)} seeds" if len(of_seeds) > 1 else ""
        differences[f"{backbone}: ladnn - baseline{seeds}"] = diagnosis_difference(ours, theirs, sampling)
    return differences


def _present(looks: Sequence[Look]) -> list[str]:
    return [label for label in (DIAGNOSIS, *LESIONS) if any(item.label == label for item in looks)]


def _summary(looks: Sequence[Look], sampling: Bootstrap) -> LabelPointing:
    fields = {
        "pointing": "hit", "in_any": "in_any", "near": "near", "energy": "energy",
        "chance": "chance", "chance_any": "chance_any", "chance_near": "chance_near",
    }  # fmt: skip
    values = np.array([[getattr(item, name) for name in fields.values()] for item in looks])
    patients = [item.patient for item in looks]
    return LabelPointing(
        **{
            name: not_certain(mean, len(set(patients)) if name in _SHARES_OF_MAPS else None, sampling.confidence)
            for name, mean in zip(fields, _means(values, patients, sampling), strict=True)
        }
    )


def _means(values: Weights, patients: Sequence[str], sampling: Bootstrap) -> tuple[Interval, ...]:
    """Return the means of values (N, M) over the images, with intervals over patients."""
    n, n_values = values.shape
    if n == 0:
        return tuple(not_computable(0) for _ in range(n_values))
    counted = np.column_stack([values, np.ones(n)])

    def means(totals: Weights) -> Weights:
        return ratio(totals[:, :-1], totals[:, -1:])

    intervals: tuple[Interval, ...] = bootstrap_of_totals(means, counted, patients, [n] * n_values, sampling)
    return intervals
