"""Gates of the data that a candidate was trained and measured on."""

from ladnn.config_gates import GateConfig
from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict, ProbeResult, ShortcutAudit
from ladnn.governance.gates.evidence import DataFacts
from ladnn.governance.gates.verdicts import GateResult, Verdict, counted, result_of

_NOT_GATHERED = "the facts were not gathered, so a person must decide"


def new_data(data: DataFacts | None, config: GateConfig) -> GateResult:
    """Reject a candidate that learned from too few patients that the champion does not know; equality passes."""
    limit = config.min_new_patients
    if data is None:
        return counted("new_data", None, limit, Verdict.NOT_EVALUATED, _NOT_GATHERED)
    if data.n_new_patients is None:
        why = "the champion's dataset version cannot be read, so nobody can tell which training patients are new to it"
        return counted("new_data", None, limit, Verdict.NOT_EVALUATED, why, data.n_images)
    told = (
        f"{data.n_new_patients} training patients are new to the champion, {limit} are asked for"
        if data.has_champion
        else f"{data.n_new_patients} training patients, all new, since there is no champion; {limit} are asked for"
    )
    verdict = Verdict.PASS if data.n_new_patients >= limit else Verdict.FAIL
    return counted("new_data", data.n_new_patients, limit, verdict, told, data.n_images)


def leak_check(data: DataFacts | None) -> GateResult:
    """Reject a candidate that learned from test patients; a champion that did makes the comparison void for a person."""
    if data is None:
        return counted("leak_check", None, 0, Verdict.NOT_EVALUATED, _NOT_GATHERED)
    if data.n_candidate_leaks:
        why = f"{data.n_candidate_leaks} test images share a patient or a picture with the candidate's training"
        return counted("leak_check", data.n_candidate_leaks, 0, Verdict.FAIL, why, data.n_images)
    if data.n_champion_leaks is None:
        why = "the champion's dataset version cannot be read, so its training patients are not known"
        return counted("leak_check", None, 0, Verdict.NOT_EVALUATED, why, data.n_images)
    if data.n_champion_leaks:
        why = (
            f"{data.n_champion_leaks} test images share a patient or a picture with the champion's training: the "
            "comparison favours it, and only a person can judge by how much"
        )
        return counted("leak_check", data.n_champion_leaks, 0, Verdict.NOT_EVALUATED, why, data.n_images)
    trainings = "candidate or champion" if data.has_champion else "the candidate"
    why = f"no test image shares a patient, study or picture with the training of {trainings}"
    return counted("leak_check", 0, 0, Verdict.PASS, why, data.n_images)


def review_backlog(data: DataFacts | None, config: GateConfig) -> GateResult:
    """Leave it to a person where too many labels wait for review: what is learned may change with them."""
    limit = config.max_review_share
    if data is None or not data.n_images:
        return counted("review_backlog", None, limit, Verdict.NOT_EVALUATED, _NOT_GATHERED)
    share = data.n_in_review / data.n_images
    told = f"{data.n_in_review} of {data.n_images} images have a label that waits for review"
    if share > limit:
        told += "; see `ladnn labels review export`"
    verdict = Verdict.PASS if share <= limit else Verdict.NOT_EVALUATED
    return counted("review_backlog", share, limit, verdict, told, data.n_images)


def shortcut_audit(audit: ShortcutAudit, acceptance: AuditAcceptance | None) -> GateResult:
    """Leave it to a person where the data predict the diagnosis without the disease and nobody has accepted that.

    A good AUROC on such data may be the shortcut's; the test set, which has it too, cannot tell.
    """
    accepted = acceptance.accepted if acceptance else ()
    open_probes = [result for result in audit.red if result.probe not in accepted]
    unsure = [result for result in audit.counted if _may_be_red(result) and result.probe not in accepted]
    named = "; ".join(str(result) for result in audit.red)
    if not audit.counted:
        why = "the shortcut audit has no probe of the data as they were contributed"
        return counted("shortcut_audit", None, None, Verdict.NOT_EVALUATED, why)
    if open_probes:
        verdict, reason = Verdict.NOT_EVALUATED, f"the diagnosis can be predicted without the disease: {named}"
    elif all(result.auroc.value is None for result in audit.counted):
        verdict, reason = Verdict.NOT_EVALUATED, "no probe of the shortcut audit could be measured"
    elif unsure:
        told = "; ".join(str(result) for result in unsure)
        verdict, reason = Verdict.NOT_EVALUATED, f"the diagnosis may be predicted without the disease: {told}"
    elif audit.red and acceptance:
        verdict, reason = Verdict.PASS, f"accepted by {acceptance.by}: {acceptance.reason}: {named}"
    else:
        verdict, reason = Verdict.PASS, f"no probe of dataset version {audit.dataset_version} is red: {audit.verdict}"
    worst = max(open_probes or unsure or audit.red or audit.counted, key=_severity)
    return result_of("shortcut_audit", worst.auroc, worst.limits.red, verdict, reason)


def _may_be_red(result: ProbeResult) -> bool:
    """Tell whether a probe was measured at or beyond its limit on too few cases to say so."""
    value = result.auroc.value
    return result.verdict == AuditVerdict.NOT_ENOUGH_CASES and value is not None and value >= result.limits.red


def _severity(result: ProbeResult) -> tuple[int, float]:
    """Order probes by verdict, then by AUROC; one that could not be computed comes first among its like."""
    value = result.auroc.value
    return list(AuditVerdict).index(result.verdict), -1.0 if value is None else value
