"""How well features predict the diagnosis of patients that the classifier has not seen."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ladnn.statistics import Bootstrap, Interval, auroc_interval, not_computable

_TREES = 100
_LEAST_LEAF = 2


def held_out_auroc(
    features: NDArray[np.float64],
    positive: NDArray[np.bool_],
    groups: Sequence[str],
    n_folds: int,
    sampling: Bootstrap,
) -> Interval:
    """Return the AUROC of cross-validated scores, with its interval over groups.

    Every image is scored by extremely randomised trees (Geurts et al. 2006, doi:10.1007/s10994-006-6226-1) that were
    trained on other groups; the folds keep the share of positives. The interval holds these scores fixed: it does not
    tell how they would change with another training sample.

    Args:
        features: (N, F), finite.
        positive: (N,), the diagnosis.
        groups: (N,), patient of each image.
        n_folds: parts; each class must have as many groups, else nothing can be computed.
        sampling: of the interval; its seed draws folds and trees, too.
    """
    named = np.asarray(groups, dtype=np.str_)
    if min(len(set(named[positive])), len(set(named[~positive]))) < n_folds:
        return not_computable(len(positive))
    return auroc_interval(
        positive, _held_out_scores(features, positive, named, n_folds, sampling.seed), groups, sampling
    )


def _held_out_scores(
    features: NDArray[np.float64], positive: NDArray[np.bool_], groups: NDArray[np.str_], n_folds: int, seed: int
) -> NDArray[np.float64]:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    scores = np.empty(len(positive))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for train, held_out in folds.split(features, positive, groups):
        trees = ExtraTreesClassifier(_TREES, min_samples_leaf=_LEAST_LEAF, random_state=seed)
        trees.fit(features[train], positive[train])
        scores[held_out] = trees.predict_proba(features[held_out])[:, -1]
    return scores
