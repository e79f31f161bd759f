"""Gates of the data that a candidate was trained and measured on."""

from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict, ProbeResult, ShortcutAudit
from ladnn.governance.gates.verdicts import GateResult, Verdict, result_of


def shortcut_audit(audit: ShortcutAudit, acceptance: AuditAcceptance | None) -> GateResult:
    """Leave it to a person where the data predict the diagnosis without the disease and nobody has accepted that.

    A good AUROC on such data may be the shortcut's; the test set, which has it too, cannot tell.
    """
    accepted = acceptance.accepted if acceptance else ()
    open_probes = [result for result in audit.red if result.probe not in accepted]
    named = "; ".join(str(result) for result in audit.red)
    if open_probes:
        verdict, reason = Verdict.NOT_EVALUATED, f"the diagnosis can be predicted without the disease: {named}"
    elif all(result.auroc.value is None for result in audit.counted):
        verdict, reason = Verdict.NOT_EVALUATED, "no probe of the shortcut audit could be measured"
    elif audit.red and acceptance:
        verdict, reason = Verdict.PASS, f"accepted by {acceptance.by}: {acceptance.reason}: {named}"
    else:
        verdict, reason = Verdict.PASS, f"no probe of dataset version {audit.dataset_version} is red: {audit.verdict}"
    worst = max(open_probes or audit.red or audit.counted, key=_severity)
    return result_of("shortcut_audit", worst.auroc, worst.limits.red, verdict, reason)


def _severity(result: ProbeResult) -> tuple[int, float]:
    """Order probes by verdict, then by AUROC; one that could not be computed comes first among its like."""
    value = result.auroc.value
    return list(AuditVerdict).index(result.verdict), -1.0 if value is None else value
