"""Two models on the same images: the difference of their AUROCs, which of all metrics decides on a promotion."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ladnn.evaluation.cases import known_cases
from ladnn.evaluation.delong import auroc_difference_by_delong
from ladnn.statistics import (
    NOT_FINITE,
    Bootstrap,
    FloatArray,
    Interval,
    Ranking,
    Weights,
    cluster_bootstrap,
    not_computable,
    weighted_auroc,
)


class AurocDifference(BaseModel):
    """AUROC of the candidate minus that of the champion, with both intervals; the gates use the bootstrap's.

    Attributes:
        bootstrap: over patients; it can be given for models that rank without an error, too.
        delong: for correlated curves and clustered images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: Interval
    delong: Interval


def paired_auroc_difference(
    labels: FloatArray, candidate: FloatArray, champion: FloatArray, patients: Sequence[str], *, sampling: Bootstrap
) -> AurocDifference:
    """Compare two models on the same images.

    Both are measured on the same patients, resampled or not, so what makes a sample hard for both cancels out.

    Args:
        labels: (N,), 1 positive, 0 negative, NaN unknown.
        candidate: (N,), its probabilities.
        champion: (N,), its probabilities.
        patients: (N,), patient of each image.
        sampling: of the interval.

    Raises:
        DatasetError: lengths differ, or a label is none of 1, 0 and NaN.
    """
    ours, theirs = (known_cases(labels, probabilities, patients) for probabilities in (candidate, champion))
    if not (ours.finite and theirs.finite):
        none = not_computable(ours.n, NOT_FINITE)
        return AurocDifference(bootstrap=none, delong=none)
    rankings = [Ranking.of(cases.present, cases.probabilities) for cases in (ours, theirs)]

    def difference(weights: Weights) -> Weights:
        of_candidate, of_champion = (weighted_auroc(*ranking.tally(weights)) for ranking in rankings)
        return (of_candidate - of_champion)[:, None]

    (bootstrap,) = cluster_bootstrap(difference, ours.patients, [ours.n], sampling)
    return AurocDifference(
        bootstrap=bootstrap, delong=auroc_difference_by_delong(ours, theirs.probabilities, sampling.confidence)
    )
