"""Slices and single patients: a candidate that is as good on the whole may be worse for some."""

from collections.abc import Iterator
from typing import TypeGuard

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.champion import Finding, nothing_to_compare, told
from ladnn.governance.gates.evidence import SliceDifference, TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict, counted, result_of
from ladnn.statistics import Interval


def no_slice_worse(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a candidate that is shown to be worse than the champion on a slice, by the margin or more.

    Shown: the upper bound of the paired difference lies below 0, at a confidence shared among all slices, or one of
    twenty would reject by chance. A slice with too few cases, or without bounds, shows nothing and is counted. A slice that
    the config requires is left to a person where the test set lacks it, or holds too few cases for one of the three metrics.
    """
    name, margin = "no_slice_worse", config.slice_margin
    excused = nothing_to_compare(evidence)
    if excused is not None:
        return result_of(name, None, -margin, *excused)
    measured = list(_measured(evidence.slices))
    worst = min((item for *_, item in measured), key=lambda item: item.value or 0.0, default=None)
    worse = [f"{where}, {metric}: {told(item)}" for where, metric, item in measured if _is_worse(item, margin)]
    if worse:
        why = f"worse than the champion by {margin:.3f} or more on {'; '.join(worse)}"
        return result_of(name, worst, -margin, Verdict.FAIL, why, Finding.WORSE.value)
    if lacking := list(_lacking(evidence.slices, config.required_slices)):
        why = f"required slices that were not compared: {'; '.join(lacking)}"
        return result_of(name, worst, -margin, Verdict.NOT_EVALUATED, why, "missing slice")
    known = {where for where, *_ in measured}
    n_few = len({item.name for item in evidence.slices} - known)
    why = f"none of {len(known)} slices is shown to be {margin:.3f} worse; {n_few} have too few cases"
    return result_of(name, worst, -margin, Verdict.PASS, why)


def flips(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Count the answers that change; so many that it is another instrument are left to a person."""
    name, limit = "flips", config.max_flipped
    excused = nothing_to_compare(evidence)
    if excused is not None:
        return result_of(name, None, limit, *excused)
    counts = evidence.flips
    if counts is None or not counts.n_images:
        why = "the answers of candidate and champion were not compared"
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, why)
    n_changed = counts.gained + counts.lost + counts.unknown
    share = n_changed / counts.n_images
    why = (
        f"{n_changed} of {counts.n_images} answers change, of {counts.n_patients} patients: {counts.gained} become right, "
        f"{counts.lost} wrong, {counts.unknown} without a known diagnosis; flips.json, an artifact of the retrain's run in MLflow, "
        "lists them"
    )
    verdict = Verdict.PASS if share <= limit else Verdict.NOT_EVALUATED
    return counted(name, share, limit, verdict, why, counts.n_images)


def _lacking(slices: tuple[SliceDifference, ...], required: tuple[str, ...]) -> Iterator[str]:
    """Say of each required slice what of it was not compared; one metric does not speak for the others."""
    there = {item.name: item for item in slices}
    for where in required:
        if where not in there:
            yield f"{where}: not in the test set"
        elif few := [metric for metric, difference in _metrics(there[where]) if not _is_compared(difference)]:
            yield f"{where}: too few cases for {', '.join(few)}"


def _measured(slices: tuple[SliceDifference, ...]) -> Iterator[tuple[str, str, Interval]]:
    for item in slices:
        for metric, difference in _metrics(item):
            if _is_compared(difference):
                yield item.name, metric, difference


def _is_compared(difference: Interval | None) -> TypeGuard[Interval]:
    return difference is not None and None not in (difference.value, difference.low, difference.high)


def _metrics(item: SliceDifference) -> tuple[tuple[str, Interval | None], ...]:
    return ("AUROC", item.auroc), ("sensitivity", item.sensitivity), ("specificity", item.specificity)


def _is_worse(difference: Interval, margin: float) -> bool:
    is_shown = difference.high is not None and difference.high < 0
    return is_shown and difference.value is not None and difference.value <= -margin
