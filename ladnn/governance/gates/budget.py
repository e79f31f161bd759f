"""The budget of the test set: every look at it wears it out, because what is promoted depends on what it shows."""

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict, counted
from ladnn.governance.ledger import is_beyond, is_near, shown

REMEDIES = "grow the test set with new patients, or accept more openings by name"


def test_set_budget(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Tell how often the test patients have been looked at; warn near the budget, and leave what is beyond it to a person.

    The ledger blocks an opening beyond the budget before anything is scored. An opening that a person allowed passes.
    """
    limit = config.max_test_openings
    openings, allowed = evidence.openings, limit + evidence.allowed
    told = f"opening {shown(openings)} of {limit} of these test patients"
    verdict, finding = Verdict.PASS, None
    if is_beyond(openings, allowed):
        verdict = Verdict.NOT_EVALUATED
        told += f", so its numbers no longer stand for new patients: {REMEDIES}"
    elif is_beyond(openings, limit):
        finding, told = "accepted", f"{told}; more were allowed by {evidence.allowed_by}"
    elif is_near(openings, limit):
        finding, told = "near the budget", f"{told}; {shown(limit - openings)} are left: {REMEDIES}"
    n = evidence.candidate.n_images if evidence.candidate else 0
    return counted("test_set_budget", openings, limit, verdict, told, n, finding)


test_set_budget.__test__ = False  # type: ignore[attr-defined]
