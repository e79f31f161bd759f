"""The candidate against the champion, both rescored now on the same test patients."""

from ladnn.config import GateConfig
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import NO_TEST_SET, GateResult, Verdict, result_of


def not_worse_than_champion(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Require that the candidate's loss of AUROC to the champion is below the margin with confidence.

    Non-inferiority: it passes when the lower confidence bound of the paired difference lies above the negative margin
    (Piaggio et al. 2012, doi:10.1001/jama.2012.87802); a bound on the margin fails.
    """
    verdict, reason = _compare(evidence, config.non_inferiority_margin)
    return result_of("not_worse_than_champion", evidence.difference, -config.non_inferiority_margin, verdict, reason)


def _compare(evidence: TestEvidence, margin: float) -> tuple[Verdict, str]:
    if evidence.candidate_is_champion:
        return Verdict.FAIL, "identical to the champion: nothing would change"
    if not evidence.has_champion:
        return Verdict.PASS, "first champion: nothing to compare with"
    if evidence.candidate is None:
        return Verdict.NOT_EVALUATED, NO_TEST_SET
    difference = evidence.difference
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return Verdict.FAIL, "the difference in AUROC to the champion, or its interval, cannot be computed"
    bounds = f"difference in AUROC {difference.value:+.3f}, interval {difference.low:+.3f} to {difference.high:+.3f}"
    if difference.low > -margin:
        return Verdict.PASS, f"not worse than the champion by {margin:.3f} or more: {bounds}"
    if difference.high < 0:
        return Verdict.FAIL, f"worse than the champion: {bounds}"
    return Verdict.FAIL, f"cannot be shown to be less than {margin:.3f} worse than the champion: {bounds}"
