"""Absolute floors: what any model must reach on the test set, whatever the champion does."""

from ladnn.config import GateConfig
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import NO_TEST_SET, GateResult, Verdict, result_of


def auroc_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the candidate's test AUROC (point estimate) against an absolute floor; equality passes."""
    limit = config.min_auroc
    auroc = evidence.candidate.auroc if evidence.candidate else None
    if auroc is None:
        verdict, reason = Verdict.NOT_EVALUATED, NO_TEST_SET
    elif auroc.value is None:
        verdict, reason = Verdict.FAIL, f"test AUROC cannot be computed from {auroc.n} images"
    elif auroc.value >= limit:
        verdict, reason = Verdict.PASS, f"test AUROC {auroc.value:.3f} reaches the floor {limit:.3f}"
    else:
        verdict, reason = Verdict.FAIL, f"test AUROC {auroc.value:.3f} is below the floor {limit:.3f}"
    return result_of("auroc_floor", auroc, limit, verdict, reason)
