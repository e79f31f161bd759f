"""Retention: what was known of the previous test patients is still known."""

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.champion import Finding, find, nothing_to_compare, told
from ladnn.governance.gates.evidence import Retention, TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict, result_of


def retention(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a candidate that is worse than the champion on the test version that the champion was promoted on.

    The burden of proof lies with the comparison on the new version, which holds these patients too; here only what is
    worse counts, and too few cases show nothing. The table of both models on both versions is in the reason.
    """
    name, margin = "retention", config.non_inferiority_margin
    excused = nothing_to_compare(evidence)
    if excused is not None:
        return result_of(name, None, -margin, *excused)
    measured = evidence.retention
    if measured is None:
        return result_of(name, None, -margin, Verdict.NOT_EVALUATED, "the previous test version was not measured")
    if measured.problem is not None or measured.difference is None:
        why = f"not measured: {measured.problem}; these patients stand in the new test version, too"
        return result_of(name, None, -margin, Verdict.PASS, why, "not measured")
    if measured.difference.value is None:
        verdict = Verdict.FAIL if measured.difference.note != "not enough cases" else Verdict.PASS
        why = f"cannot be computed on the previous test version: {measured.difference.note}"
        return result_of(name, measured.difference, -margin, verdict, why, measured.difference.note)
    finding = find(measured.difference, margin)
    verdict = Verdict.FAIL if finding is Finding.WORSE else Verdict.PASS
    why = f"{finding} on the previous test version: {told(measured.difference)}; {table(measured)}"
    return result_of(name, measured.difference, -margin, verdict, why, finding.value)


def table(measured: Retention) -> str:
    """Return the 2 x 2 in one line, with what new data and new model brought."""
    same = measured.previous_version == measured.new_version
    cells = (
        f"AUROC of champion {measured.champion_previous} previous, {measured.champion_new} new; "
        f"of candidate {measured.candidate_previous} previous, {measured.candidate_new} new"
    )
    return f"{cells} (the test set has not changed)" if same else cells
