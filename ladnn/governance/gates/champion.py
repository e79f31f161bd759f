"""The candidate against the champion, both rescored now on the same test patients: paired non-inferiority.

| what the interval shows | finding | verdict |
|---|---|---|
| its lower bound lies above 0 | better | pass |
| its lower bound lies above the negative margin | not worse | pass |
| its upper bound lies below 0 | worse | fail |
| none of these | not enough cases | not evaluated: a person decides |

Non-inferiority: Piaggio et al. 2012, doi:10.1001/jama.2012.87802. A bound on the margin is not above it. A loss beyond the
margin whose interval reaches above 0 is not shown: on few patients a candidate as good as the champion has one, too.
"""

from enum import StrEnum

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import NO_TEST_SET, GateResult, Verdict, result_of
from ladnn.statistics import NOT_FINITE, Interval


class Finding(StrEnum):
    """What a paired difference shows."""

    BETTER = "better"
    NOT_WORSE = "not worse"
    WORSE = "worse"
    NOT_ENOUGH_CASES = "not enough cases"


VERDICTS = {
    Finding.BETTER: Verdict.PASS,
    Finding.NOT_WORSE: Verdict.PASS,
    Finding.WORSE: Verdict.FAIL,
    Finding.NOT_ENOUGH_CASES: Verdict.NOT_EVALUATED,
}
FIRST, IDENTICAL, UNEVALUABLE = "first champion", "identical", "champion cannot be rescored"


def not_worse_than_champion(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Require that the candidate's loss of AUROC to the champion is below the margin with confidence."""
    margin = config.non_inferiority_margin
    return _judged("not_worse_than_champion", "AUROC", evidence.difference, evidence, margin)


def sensitivity_not_worse(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Require the same of the sensitivity, each model at its own operating point."""
    margin = config.sensitivity_margin
    return _judged("sensitivity_not_worse", "sensitivity", evidence.sensitivity_difference, evidence, margin)


def specificity_not_worse(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Require the same of the specificity: a sensitivity that is bought with false alarms is none."""
    margin = config.specificity_margin
    return _judged("specificity_not_worse", "specificity", evidence.specificity_difference, evidence, margin)


def find(difference: Interval, margin: float) -> Finding:
    """Say what a paired difference with a value shows against a margin; without bounds it shows too little."""
    low, high = difference.low, difference.high
    if difference.value is None or low is None or high is None:
        return Finding.NOT_ENOUGH_CASES
    if low > 0:
        return Finding.BETTER
    if low > -margin:
        return Finding.NOT_WORSE
    return Finding.WORSE if high < 0 else Finding.NOT_ENOUGH_CASES


def told(difference: Interval) -> str:
    """Say a difference with its bounds and n."""
    if difference.value is None or difference.low is None or difference.high is None:
        value = "no value" if difference.value is None else f"{difference.value:+.3f} without bounds"
        return f"{value} ({difference.note}), n = {difference.n}"
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}], n = {difference.n}"


def without_comparison(evidence: TestEvidence) -> tuple[Verdict, str, str] | None:
    """Return verdict, reason and finding where there is nothing to compare; None where there is."""
    if evidence.candidate_is_champion:
        return Verdict.FAIL, "identical to the champion: nothing would change", IDENTICAL
    if not evidence.has_champion:
        return Verdict.PASS, "first champion: nothing to compare with", FIRST
    if evidence.candidate is None:
        return Verdict.NOT_EVALUATED, NO_TEST_SET, "no test set"
    if evidence.champion_problem is not None:
        why = (
            f"the champion cannot be rescored: {evidence.champion_problem}; roll back, or accept the candidate by name"
        )
        return Verdict.NOT_EVALUATED, why, UNEVALUABLE
    return None


def nothing_to_compare(evidence: TestEvidence) -> tuple[Verdict, str, str] | None:
    """Say the same for gates that only look closer: an identical candidate is rejected once, not by each of them."""
    excused = without_comparison(evidence)
    if excused is not None and excused[2] == IDENTICAL:
        return Verdict.PASS, excused[1], excused[2]
    return excused


def _judged(name: str, metric: str, difference: Interval | None, evidence: TestEvidence, margin: float) -> GateResult:
    excused = without_comparison(evidence)
    if excused is not None:
        return result_of(name, difference, -margin, *excused)
    if difference is None or difference.note == NOT_FINITE:
        why = f"the difference in {metric} to the champion cannot be computed: a score is not finite"
        return result_of(name, difference, -margin, Verdict.FAIL, why, "not finite")
    finding = find(difference, margin)
    reasons = {
        Finding.BETTER: "better than the champion",
        Finding.NOT_WORSE: f"not worse than the champion by {margin:.3f} or more",
        Finding.WORSE: "worse than the champion",
        Finding.NOT_ENOUGH_CASES: f"not enough cases to tell whether it is {margin:.3f} worse than the champion",
    }
    reason = f"{reasons[finding]}: difference in {metric} {told(difference)}"
    return result_of(name, difference, -margin, VERDICTS[finding], reason, finding.value)
