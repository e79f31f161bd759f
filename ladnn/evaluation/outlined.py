"""Slices on which lesions are outlined: phantoms, whose masks are known because the lesions were drawn."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ladnn.labels import DIAGNOSIS
from ladnn.phantoms.study import generate_study

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OutlinedSlice:
    """A slice on which lesions are outlined.

    Attributes:
        pixels: uint8 (H, W).
        masks: bool (H, W) by lesion code, those that the slice shows; none of them is empty.
        patient: whose slice it is.
    """

    pixels: NDArray[np.uint8]
    masks: dict[str, Mask]
    patient: str

    def target(self, label: str) -> Mask | None:
        """Return where a map of this label should point: at that lesion, or, for the diagnosis, at any lesion."""
        if label != DIAGNOSIS:
            return self.masks.get(label)
        return np.logical_or.reduce(list(self.masks.values())) if self.masks else None


def outlined_phantoms(seed: int, n_patients: int, n_slices: int = 2) -> Iterator[OutlinedSlice]:
    """Yield the slices of phantom patients with COVID-19 that show a lesion, of sites a and b in equal parts.

    Args:
        seed: another than that of the training data, or the model has seen these patients.
        n_patients: phantoms generated.
        n_slices: slices of each.
    """
    for index in range(n_patients):
        study = generate_study(seed, index, style="ab"[index % 2], kind="covid", n_slices=n_slices)
        for piece in study.slices:
            masks = {code: mask for code, mask in piece.masks.items() if mask.any()}
            if masks:
                yield OutlinedSlice(piece.pixels, masks, study.patient_id)
