"""The cases that a metric rests on: those with a known label. Unknown is not negative; it is skipped and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ladnn.errors import DatasetError
from ladnn.statistics import FloatArray, Weights


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of one output whose label is known.

    Attributes:
        present: bool (N,), the label.
        probabilities: float64 (N,).
        patients: patient of each case (N,).
        patient: number of the patient of each case, from 0, intp (N,).
        n_unknown: cases skipped because their label is unknown.
        finite: false when a probability of any case, known or not, is NaN or infinite.
    """

    present: NDArray[np.bool_]
    probabilities: Weights
    patients: tuple[str, ...]
    patient: NDArray[np.intp]
    n_unknown: int
    finite: bool

    @property
    def n(self) -> int:
        """Cases with a known label."""
        return self.present.size

    @property
    def n_present(self) -> int:
        """Cases that show what is looked for."""
        return int(self.present.sum())

    @property
    def n_all_patients(self) -> int:
        """Patients of all cases."""
        return int(self.patient.max(initial=-1)) + 1

    def n_patients(self, *, present: bool) -> int:
        """Patients with at least one case of this label."""
        return np.unique(self.patient[self.present == present]).size


def known_cases(labels: FloatArray, probabilities: FloatArray, patients: Sequence[str]) -> Cases:
    """Return the cases whose label is known.

    Args:
        labels: (N,), 1 present, 0 absent, NaN unknown.
        probabilities: (N,), in [0, 1]; NaN and infinity are taken note of.
        patients: (N,), patient of each image.

    Raises:
        DatasetError: lengths differ, or a label is none of 1, 0 and NaN.
    """
    if not labels.shape == probabilities.shape == (len(patients),):
        raise DatasetError(
            f"labels {labels.shape}, probabilities {probabilities.shape} and {len(patients)} patients "
            "do not match; give one of each for every image"
        )
    known = ~np.isnan(labels)
    if not np.isin(labels[known], (0, 1)).all():
        raise DatasetError("labels hold values other than 1, 0 and NaN; map the findings to labels first")
    of_known = np.asarray(patients, dtype=np.str_)[known]
    return Cases(
        present=labels[known] == 1,
        probabilities=probabilities[known].astype(np.float64),
        patients=tuple(of_known.tolist()),
        patient=np.unique(of_known, return_inverse=True)[1],
        n_unknown=int((~known).sum()),
        finite=bool(np.isfinite(probabilities).all()),
    )
