"""The gates: what the test set and the shortcut audit say of a candidate, turned into verdicts with reasons.

Pure functions. A verdict is a value: a rejected candidate is a result, not a failure. Missing numbers reject.
"""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, FiniteFloat

from ladnn.config import GateConfig
from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict, ProbeResult, ShortcutAudit
from ladnn.errors import GateError
from ladnn.evaluation.metrics import DiagnosisMetrics
from ladnn.statistics import Interval

_NO_TEST_SET = "no test set: the dataset version holds no test patients, so a person must accept"


class Verdict(StrEnum):
    """What a gate says; `NOT_EVALUATED` needs a person to accept."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_EVALUATED = "not evaluated"


class GateResult(BaseModel):
    """One gate's verdict with what it rests on.

    Attributes:
        value: what was measured; `None` where it could not be.
        limit: what it is held against.
        interval: confidence interval of the value, where it has one.
        n: images behind the value.
        reason: one plain sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: FiniteFloat | None
    limit: FiniteFloat | None
    interval: Interval | None
    n: int
    verdict: Verdict
    reason: str


class TestEvidence(BaseModel):
    """What one opening of the test set showed.

    Attributes:
        candidate: `None` where there is no test set.
        champion: the same for the champion.
        difference: AUROC of the candidate minus that of the champion, paired.
        has_champion: whether anything has been promoted yet.
        candidate_is_champion: whether both are the same bundle.
        openings: of this test-set version so far, this one included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: DiagnosisMetrics | None
    champion: DiagnosisMetrics | None
    difference: Interval | None
    has_champion: bool
    candidate_is_champion: bool
    openings: int


class Evidence(BaseModel):
    """All that a candidate is judged by.

    Attributes:
        test: what the test set showed.
        audit: shortcut audit of the dataset version that it was trained on.
        acceptance: a person's acceptance of that audit, given beforehand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: TestEvidence
    audit: ShortcutAudit
    acceptance: AuditAcceptance | None


def auroc_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the candidate's test AUROC (point estimate) against an absolute floor; equality passes."""
    limit = config.min_auroc
    auroc = evidence.candidate.auroc if evidence.candidate else None
    if auroc is None:
        verdict, reason = Verdict.NOT_EVALUATED, _NO_TEST_SET
    elif auroc.value is None:
        verdict, reason = Verdict.FAIL, f"test AUROC cannot be computed from {auroc.n} images"
    elif auroc.value >= limit:
        verdict, reason = Verdict.PASS, f"test AUROC {auroc.value:.3f} reaches the floor {limit:.3f}"
    else:
        verdict, reason = Verdict.FAIL, f"test AUROC {auroc.value:.3f} is below the floor {limit:.3f}"
    return _result("auroc_floor", auroc, limit, verdict, reason)


def not_worse_than_champion(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Require that the candidate's loss of AUROC to the champion is below the margin with confidence.

    Non-inferiority: it passes when the lower confidence bound of the paired difference lies above the negative margin
    (Piaggio et al. 2012, doi:10.1001/jama.2012.87802); a bound on the margin fails.
    """
    verdict, reason = _compare(evidence, config.non_inferiority_margin)
    return _result("not_worse_than_champion", evidence.difference, -config.non_inferiority_margin, verdict, reason)


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
    return _result("shortcut_audit", worst.auroc, worst.limits.red, verdict, reason)


def run_gates(evidence: Evidence, config: GateConfig) -> tuple[GateResult, ...]:
    """Return every gate's verdict; a test set opened too often adds one that a person must accept."""
    test = evidence.test
    gates = (
        auroc_floor(test, config),
        not_worse_than_champion(test, config),
        shortcut_audit(evidence.audit, evidence.acceptance),
    )
    if test.openings <= config.max_test_openings:
        return gates
    return (*gates, _budget_exceeded(test, config.max_test_openings))


def overall(gates: Sequence[GateResult]) -> Verdict:
    """Join verdicts: one failure fails, else one gate that was not evaluated leaves the whole to a person.

    Raises:
        GateError: there are no gates; nothing checked is not the same as nothing wrong.
    """
    if not gates:
        raise GateError("no gate was run, so there is no verdict; pass the result of run_gates")
    verdicts = {gate.verdict for gate in gates}
    return next((worst for worst in (Verdict.FAIL, Verdict.NOT_EVALUATED) if worst in verdicts), Verdict.PASS)


def _compare(evidence: TestEvidence, margin: float) -> tuple[Verdict, str]:
    if evidence.candidate_is_champion:
        return Verdict.FAIL, "identical to the champion: nothing would change"
    if not evidence.has_champion:
        return Verdict.PASS, "first champion: nothing to compare with"
    if evidence.candidate is None:
        return Verdict.NOT_EVALUATED, _NO_TEST_SET
    difference = evidence.difference
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return Verdict.FAIL, "the difference in AUROC to the champion, or its interval, cannot be computed"
    bounds = f"difference in AUROC {difference.value:+.3f}, interval {difference.low:+.3f} to {difference.high:+.3f}"
    if difference.low > -margin:
        return Verdict.PASS, f"not worse than the champion by {margin:.3f} or more: {bounds}"
    if difference.high < 0:
        return Verdict.FAIL, f"worse than the champion: {bounds}"
    return Verdict.FAIL, f"cannot be shown to be less than {margin:.3f} worse than the champion: {bounds}"


def _severity(result: ProbeResult) -> tuple[int, float]:
    """Order probes by verdict, then by AUROC; one that could not be computed comes first among its like."""
    value = result.auroc.value
    return list(AuditVerdict).index(result.verdict), -1.0 if value is None else value


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


def _result(name: str, measured: Interval | None, limit: float, verdict: Verdict, reason: str) -> GateResult:
    return GateResult(
        name=name,
        value=measured.value if measured else None,
        limit=limit,
        interval=measured,
        n=measured.n if measured else 0,
        verdict=verdict,
        reason=reason,
    )
