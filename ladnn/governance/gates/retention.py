"""Retention: what was known of the previous test patients is still known."""

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.champion import VERDICTS, Finding, find, nothing_to_compare, told
from ladnn.governance.gates.evidence import Retention, TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict, result_of
from ladnn.statistics import NOT_FINITE


def retention(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a candidate that is worse than the champion on the test version that the champion was promoted on.

    The burden of proof lies with the comparison on the new version. Where that holds all images of the previous one, only
    what is worse counts here, and too few cases, or a budget that is used up, show nothing. Where it does not (another cut,
    labels that were withdrawn), or nobody can tell, a person decides. The table of both models on both versions is in the
    reason.
    """
    name, margin = "retention", config.non_inferiority_margin
    excused = nothing_to_compare(evidence)
    if excused is not None:
        return result_of(name, None, -margin, *excused)
    measured = evidence.retention
    if measured is None:
        return result_of(name, None, -margin, Verdict.NOT_EVALUATED, "the previous test version was not measured")
    difference, unshown = measured.difference, Verdict.PASS if _is_held(measured) else Verdict.NOT_EVALUATED
    if measured.problem is not None or difference is None:
        why = f"not measured: {measured.problem}; {_kept(measured)}"
        return result_of(name, None, -margin, unshown, why, "not measured")
    if difference.note == NOT_FINITE:
        why = f"cannot be computed on the previous test version: {difference.note}"
        return result_of(name, difference, -margin, Verdict.FAIL, why, difference.note)
    finding = find(difference, margin)
    verdict = unshown if finding is Finding.NOT_ENOUGH_CASES else VERDICTS[finding]
    aside = f"; {_kept(measured)}" if finding is Finding.NOT_ENOUGH_CASES else ""
    why = f"{finding} on the previous test version: {told(difference)}{aside}; {table(measured)}"
    return result_of(name, difference, -margin, verdict, why, finding.value)


def table(measured: Retention) -> str:
    """Return the 2 x 2 in one line, with what new data and new model brought."""
    same = measured.previous_version == measured.new_version
    cells = (
        f"AUROC of champion {measured.champion_previous} previous, {measured.champion_new} new; "
        f"of candidate {measured.candidate_previous} previous, {measured.candidate_new} new"
    )
    by_model, by_data = measured.brought_by_model, measured.brought_by_data
    if by_model is None or by_data is None:
        return cells
    brought = f"the new model brings {by_model:+.3f} on the new test set"
    if same:
        return f"{cells} (the test set has not changed); {brought}"
    return f"{cells}; the new test patients bring {by_data:+.3f} for the same model, {brought}"


def _is_held(measured: Retention) -> bool:
    """Tell whether the new test version holds all images of the previous one."""
    return measured.n_previous is not None and measured.n_kept == measured.n_previous


def _kept(measured: Retention) -> str:
    if measured.n_previous is None or measured.n_kept is None:
        return "whether the new test version holds its images cannot be told"
    if _is_held(measured):
        return f"all its {measured.n_previous} images stand in the new test version, too"
    return f"only {measured.n_kept} of its {measured.n_previous} images stand in the new test version"
