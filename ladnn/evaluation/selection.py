"""The choice of the candidate among all variants, on validation alone, and how much the choice flatters.

Variants that differ by seed alone are one contender, judged by the mean over seeds; its first seed would be the
candidate, since the best of several seeds would be picked by chance. Of the contenders within one standard error of the
best the cheapest wins (Breiman, Friedman, Olshen and Stone 1984, *Classification and Regression Trees*, section 3.4.3):
a difference that chance explains is not worth a larger network. Cost is the size of the inference graph, four bytes a
parameter: known exactly, and the same on every machine.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import RetrainError
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.scored import read_scored, validation_scores
from ladnn.evaluation.seeds import spread_by_group
from ladnn.evaluation.validation import Validated, sampling_of
from ladnn.labels import DIAGNOSIS
from ladnn.retrain import Plan, keep, read
from ladnn.statistics import Bootstrap, Interval, Ranking, random_halves, weighted_auroc
from ladnn.store import ObjectStore
from ladnn.training.result import required_trained

_DOCUMENT = "selection"


class Contender(BaseModel):
    """A backbone whose `ladnn` variants compete.

    Attributes:
        group: backbone and task.
        candidate: its first seed.
        auroc: on validation, mean over seeds.
        graph_bytes: size of the inference graph, which stands for its cost.
    """

    model_config = ConfigDict(frozen=True)

    group: str
    candidate: str
    auroc: float
    graph_bytes: int


class Selection(BaseModel):
    """What was chosen, and why.

    Attributes:
        candidate: name of the variant.
        best: name of the contender's group with the highest mean AUROC.
        contenders: in the order of the experiment.
        standard_error: of the best one's AUROC over patients; 0 where it is not known.
        optimism: by how much the validation AUROC of the best of these contenders is too high because it is the best of
            them; 0 for a single one, None where it cannot be estimated.
        reason: one plain sentence.
    """

    model_config = ConfigDict(frozen=True)

    candidate: str
    best: str
    contenders: tuple[Contender, ...]
    standard_error: float
    optimism: float | None
    reason: str


def choose(
    validated: Sequence[Validated], graph_bytes: Mapping[str, int], confidence: float, optimism: float | None = None
) -> Selection:
    """Choose among the `ladnn` variants that have a validation AUROC.

    A baseline is a control: it has no lesion head, which the service promises, so it cannot be promoted.

    Args:
        validated: all variants.
        graph_bytes: size of the inference graph by variant name.
        confidence: of the validated intervals.
        optimism: of the best, to be told.

    Raises:
        RetrainError: no variant can be chosen.
    """
    eligible = [v for v in validated if v.variant.task == "ladnn" and v.scores.diagnosis.auroc.value is not None]
    if not eligible:
        raise RetrainError("no ladnn variant has a validation AUROC; look at the variants' runs in MLflow")
    spreads = spread_by_group((v.variant.group, v.scores.diagnosis.auroc.value) for v in eligible)
    firsts = {v.variant.group: v for v in reversed(eligible)}
    contenders = tuple(
        Contender(
            group=group,
            candidate=firsts[group].variant.name,
            auroc=spread.mean or 0.0,
            graph_bytes=graph_bytes[firsts[group].variant.name],
        )
        for group, spread in spreads.items()
    )
    best = max(contenders, key=lambda item: item.auroc)
    error = _standard_error(firsts[best.group].scores.diagnosis.auroc, confidence)
    near = [item for item in contenders if item.auroc >= best.auroc - error]
    chosen = min(near, key=lambda item: (item.graph_bytes, -item.auroc))
    return Selection(
        candidate=chosen.candidate,
        best=best.group,
        contenders=contenders,
        standard_error=error,
        optimism=optimism,
        reason=_reason(chosen, best, contenders, error),
    )


def select_candidate(store: ObjectStore, plan: Plan, validated: Sequence[Validated]) -> tuple[Validated, Selection]:
    """Choose the candidate of a retrain, or return what an earlier run chose.

    Raises:
        RetrainError: no variant can be chosen.
    """
    by_name = {item.variant.name: item for item in validated}
    selection = read_selection(store, plan.retrain_id)
    if selection is None:
        sizes = {name: required_trained(store, plan.retrain_id, name).graph.n_bytes for name in by_name}
        optimism = _optimism(store, plan, validated)
        selection = choose(validated, sizes, plan.config.evaluation.confidence, optimism)
        kept = keep(store, plan.retrain_id, _DOCUMENT, selection.model_dump(mode="json"))
        selection = Selection.model_validate(kept)
    return by_name[selection.candidate], selection


def read_selection(store: ObjectStore, retrain_id: str) -> Selection | None:
    """Read what was chosen in a retrain, if it got that far."""
    document = read(store, retrain_id, _DOCUMENT)
    return None if document is None else Selection.model_validate(document)


def optimism_of_best(contenders: Sequence[Sequence[Cases]], sampling: Bootstrap) -> float | None:
    """Estimate by how much the AUROC of the best of several contenders exceeds what it is worth.

    The best is chosen on a random half of the patients and measured on the other half, many times. A half is noisier than
    the whole by the root of 2, and so is its maximum, so that the mean difference is divided by it. (Choosing on part of
    the data and measuring on the rest: Tibshirani and Tibshirani 2009, doi:10.1214/08-AOAS224. Resampling with replacement
    instead told 0.04 where 0.07 was true, six networks of the same worth on 80 patients: the lucky one stays the best.)

    Args:
        contenders: of each its seeds, all on the same cases, with finite scores.
        sampling: number of halves, and the seed that draws them.

    Returns:
        None where no two halves hold both classes.
    """
    if len(contenders) < 2:
        return 0.0
    first = contenders[0][0]
    rankings = [[Ranking.of(seed.present, seed.probabilities) for seed in seeds] for seeds in contenders]

    def aurocs(weights: np.ndarray) -> np.ndarray:
        """Return the mean over seeds of each contender (R, contenders)."""
        by_contender = [
            np.mean([weighted_auroc(*ranking.tally(weights)) for ranking in seeds], axis=0) for seeds in rankings
        ]
        return np.stack(by_contender, axis=1)

    halves = random_halves(first.patients, sampling)
    chosen_on, measured_on = aurocs(halves), aurocs(1 - halves)
    defined = ~np.isnan(chosen_on + measured_on).any(axis=1)
    if not defined.any():
        return None
    chosen_on, measured_on = chosen_on[defined], measured_on[defined]
    every, best = np.arange(len(chosen_on)), chosen_on.argmax(axis=1)
    return float((chosen_on[every, best] - measured_on[every, best]).mean() / math.sqrt(2))


def _optimism(store: ObjectStore, plan: Plan, validated: Sequence[Validated]) -> float | None:
    rows = rows_of(load_manifest(store, plan.dataset_version), "validation")
    labels, patients = rows[DIAGNOSIS].to_numpy(dtype=np.float64), list(rows["group"])
    groups: dict[str, list[Cases]] = {}
    for item in validated:
        if item.variant.task != "ladnn":
            continue
        scored = read_scored(store, plan.retrain_id, validation_scores(item.variant.name))
        if scored is None:
            return None
        cases = known_cases(labels, scored.probabilities_of(rows)[:, 0], patients)
        if cases.finite:
            groups.setdefault(item.variant.group, []).append(cases)
    return optimism_of_best(list(groups.values()), sampling_of(plan.config.evaluation, plan.config.seed))


def _standard_error(auroc: Interval, confidence: float) -> float:
    """Return the standard error that the lower bound implies: the upper one is clipped at 1."""
    if auroc.value is None or auroc.low is None:
        return 0.0
    return (auroc.value - auroc.low) / NormalDist().inv_cdf((1 + confidence) / 2)


def _reason(chosen: Contender, best: Contender, contenders: Sequence[Contender], error: float) -> str:
    if len(contenders) == 1:
        return f"{chosen.group} is the only contender"
    if chosen is best:
        return f"{chosen.group} is the best of {len(contenders)}, and no cheaper one lies within one standard error ({error:.3f})"
    return (
        f"{chosen.group} ({chosen.auroc:.3f}, {chosen.graph_bytes / 1e6:.1f} MB) is the cheapest of {len(contenders)} within "
        f"one standard error ({error:.3f}) of {best.group} ({best.auroc:.3f}, {best.graph_bytes / 1e6:.1f} MB)"
    )
