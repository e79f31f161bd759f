"""All gates in order, over one candidate's evidence."""

from ladnn.config import GateConfig
from ladnn.governance.gates.champion import not_worse_than_champion, sensitivity_not_worse
from ladnn.governance.gates.data import shortcut_audit
from ladnn.governance.gates.evidence import Evidence, TestEvidence
from ladnn.governance.gates.floors import (
    auroc_floor,
    calibration_limit,
    lesion_floor,
    sensitivity_floor,
    specificity_floor,
)
from ladnn.governance.gates.verdicts import GateResult, Verdict
from ladnn.governance.gates.withdrawal import not_withdrawn


def run_gates(evidence: Evidence, config: GateConfig) -> tuple[GateResult, ...]:
    """Return every gate's verdict; a test set opened too often adds one that a person must accept."""
    test = evidence.test
    gates = (
        auroc_floor(test, config),
        sensitivity_floor(test, config),
        specificity_floor(test, config),
        calibration_limit(test, config),
        lesion_floor(test, config),
        not_worse_than_champion(test, config),
        sensitivity_not_worse(test, config),
        shortcut_audit(evidence.audit, evidence.acceptance),
        *not_withdrawn(evidence.withdrawn),
    )
    if test.openings <= config.max_test_openings:
        return gates
    return (*gates, _budget_exceeded(test, config.max_test_openings))


def _budget_exceeded(evidence: TestEvidence, budget: int) -> GateResult:
    return GateResult(
        name="test_set_budget",
        value=evidence.openings,
        limit=budget,
        interval=None,
        n=evidence.candidate.n_images if evidence.candidate else 0,
        verdict=Verdict.NOT_EVALUATED,
        reason=f"this test-set version was opened {evidence.openings} times and its budget is {budget}, so its numbers "
        "no longer stand for new patients: grow the test set with new patients, or accept the candidate by name",
    )
