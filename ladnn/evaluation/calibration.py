"""Calibration: one temperature an output, so that a probability is the share of positives among cases like it.

Temperature scaling (Guo et al. 2017, arXiv:1706.04599, section 4.2) divides a logit by a positive number. It moves no
case past another: AUROC and the decisions at the operating point's sensitivity stay what they are.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize_scalar

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.labels import LABELS
from ladnn.model.graph import sigmoid
from ladnn.statistics import FloatArray

LEAST_PATIENTS = 5
"""Patients with and without a finding that a temperature is fitted on at least; with fewer it would follow chance."""
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked at. An optimum beyond them means that the cases determine none: they are ranked without
an error (the likelihood grows for ever as the temperature falls), or the output ranks them no better than chance."""
_EDGE = 1e-3
"""Distance of the optimum's logarithm to that of a limit, below which it counts as beyond."""


class Temperature(BaseModel):
    """What the logits of one output are divided by.

    Attributes:
        value: 1 leaves the probabilities as they are; above 1 they come closer to a half.
        n_known: cases with a known label that it was fitted on.
        n_present: those of them that show the finding.
        unfitted: why it is 1 and not fitted; None where it is fitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(gt=0, allow_inf_nan=False)
    n_known: int
    n_present: int
    unfitted: str | None


class Calibration(BaseModel):
    """The temperatures of a model by label; a baseline has one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperatures: dict[str, Temperature]

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return calibrated probabilities, float64 (N, 6 or 1), of logits in the order of `LABELS`.

        Raises:
            DatasetError: there is not one temperature for each output.
        """
        names = LABELS[: logits.shape[1]]
        if set(self.temperatures) != set(names):
            raise DatasetError(
                f"temperatures of {', '.join(self.temperatures)} do not fit outputs {', '.join(names)}; "
                "use the calibration that was fitted with this model"
            )
        divisors = np.array([self.temperatures[name].value for name in names])
        return sigmoid(np.asarray(logits, dtype=np.float64) / divisors)


def fit_calibration(labels: FloatArray, logits: FloatArray, patients: Sequence[str]) -> Calibration:
    """Fit a temperature for each output.

    Args:
        labels: (N, 6), 1 present, 0 absent, NaN unknown; columns in the order of `LABELS`.
        logits: (N, 6), or (N, 1) of a baseline.
        patients: (N,), patient of each image.

    Raises:
        DatasetError: shapes do not fit, or a label is none of 1, 0 and NaN.
    """
    columns = range(logits.shape[1])
    return Calibration(
        temperatures={
            LABELS[column]: fit_temperature(known_cases(labels[:, column], logits[:, column], patients))
            for column in columns
        }
    )


def fit_temperature(cases: Cases) -> Temperature:
    """Fit the temperature that makes known labels likeliest; `cases` carry logits for probabilities."""
    fitted, unfitted = 1.0, _why_not(cases)
    if unfitted is None:
        log_temperature = minimize_scalar(
            lambda log: cross_entropy(cases.present, cases.probabilities / np.exp(log)),
            bounds=(np.log(LOWEST), np.log(HIGHEST)),
            method="bounded",
            options={"xatol": 1e-6},
        ).x
        if min(log_temperature - np.log(LOWEST), np.log(HIGHEST) - log_temperature) < _EDGE:
            unfitted = f"no temperature between {LOWEST:g} and {HIGHEST:g} fits the {cases.n} images best"
        else:
            fitted = float(np.exp(log_temperature))
    return Temperature(value=fitted, n_known=cases.n, n_present=cases.n_present, unfitted=unfitted)


def cross_entropy(present: NDArray[np.bool_], logits: FloatArray) -> float:
    """Return the mean negative log-likelihood, in nats, of labels (N,) under logits (N,)."""
    return float(np.logaddexp(0.0, np.where(present, -logits, logits)).mean())


def _why_not(cases: Cases) -> str | None:
    if not cases.finite:
        return "a logit is not finite"
    with_it, without = cases.n_patients(present=True), cases.n_patients(present=False)
    if min(with_it, without) >= LEAST_PATIENTS:
        return None
    return f"{with_it} patients with it and {without} without; a temperature takes {LEAST_PATIENTS} of each"
