"""Whether probabilities mean what they say: bins of probability with the share of positives observed in each.

The bins have equal width, as in Guo et al. 2017 (arXiv:1706.04599, section 2), so that a probability lies in the same
bin in every resampling and in every model.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.evaluation.cases import Cases
from ladnn.statistics import FloatArray, Interval, Weights

N_BINS = 10


class Bin(BaseModel):
    """The cases whose probability lies between `low` and `high` (excluded, but for 1).

    Attributes:
        mean_probability: of the cases.
        observed: share of present cases. The interval is Wilson's for as many trials as there are patients, so as if a
            patient's images told no more than one: wide rather than narrow.
        n_images: cases in the bin.
        n_patients: their patients.
    """

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    mean_probability: float
    observed: Interval
    n_images: int
    n_patients: int


def bin_of(probabilities: FloatArray) -> NDArray[np.intp]:
    """Return the bin, 0 to 9, of probabilities (N,) in [0, 1]."""
    return np.clip(np.asarray(probabilities) * N_BINS, 0, N_BINS - 1).astype(np.intp)


def gaps(cases: Cases) -> Weights:
    """Return label minus probability of each case in the column of its bin, (N, 10); zero elsewhere."""
    result = np.zeros((cases.n, N_BINS))
    result[np.arange(cases.n), bin_of(cases.probabilities)] = cases.present - cases.probabilities
    return result


def reliability(cases: Cases, confidence: float) -> tuple[Bin, ...]:
    """Return the bins that hold cases, by ascending probability.

    Args:
        cases: with finite probabilities.
        confidence: two-sided coverage of the intervals, between 0 and 1.
    """
    place = bin_of(cases.probabilities)
    return tuple(_bin(cases, number, place == number, confidence) for number in np.unique(place))


def _bin(cases: Cases, number: int, inside: NDArray[np.bool_], confidence: float) -> Bin:
    share, n, n_patients = float(cases.present[inside].mean()), int(inside.sum()), np.unique(cases.patient[inside]).size
    low, high = wilson(share, n_patients, confidence)
    return Bin(
        low=number / N_BINS,
        high=(number + 1) / N_BINS,
        mean_probability=float(cases.probabilities[inside].mean()),
        observed=Interval(value=share, low=low, high=high, n=n, confidence=confidence),
        n_images=n,
        n_patients=n_patients,
    )


def wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of a proportion of `n` trials (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half_width), min(1.0, middle + half_width)
