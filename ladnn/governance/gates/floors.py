"""Absolute floors: what any model must reach on the test set, whatever the champion does.

AUROC, sensitivity and specificity are held to their floors by what was measured; the interval is told beside it. The
calibration error and the lesions' AUROC are held to theirs by the bound that speaks for the model, since chance alone
moves them far on few images.
"""

from ladnn.config_gates import GateConfig
from ladnn.evaluation.metrics import LesionMetrics
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import NO_TEST_SET, GateResult, Verdict, result_of
from ladnn.statistics import Interval

NOT_ENOUGH_LABELS = "not enough known labels"


def auroc_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the candidate's test AUROC (point estimate) against an absolute floor; equality passes."""
    return _floor("auroc_floor", "AUROC", evidence.candidate.auroc if evidence.candidate else None, config.min_auroc)


def sensitivity_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the sensitivity at the operating point against its floor; equality passes."""
    measured = evidence.candidate.sensitivity if evidence.candidate else None
    return _floor("sensitivity_floor", "sensitivity", measured, config.min_sensitivity)


def specificity_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the specificity at the operating point against its floor; equality passes."""
    measured = evidence.candidate.specificity if evidence.candidate else None
    return _floor("specificity_floor", "specificity", measured, config.min_specificity)


def calibration_limit(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a calibration error that exceeds its limit beyond what chance adds: by its lower bound."""
    name, limit = "calibration_error", config.max_calibration_error
    if evidence.candidate is None:
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, NO_TEST_SET)
    error = evidence.candidate.ece
    if error.value is None:
        return result_of(name, error, limit, Verdict.FAIL, f"it cannot be computed: {error.note}")
    least = error.value if error.low is None else error.low
    if least > limit:
        return result_of(name, error, limit, Verdict.FAIL, f"calibration error {error} exceeds {limit:.3f}")
    return result_of(name, error, limit, Verdict.PASS, f"calibration error {error} is not shown to exceed {limit:.3f}")


def lesion_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a lesion head that is shown to rank worse than its floor; the result shows the lowest.

    A lesion with too few known labels is named and left out. Without any lesion to judge by, a person decides.
    """
    name, limit = "lesion_auroc_floor", config.min_lesion_auroc
    if evidence.candidate is None:
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, NO_TEST_SET)
    lesions = evidence.lesions or {}
    broken = [code for code, item in lesions.items() if item.auroc.value is None and _is_known(item, config)]
    if broken:
        return result_of(name, None, limit, Verdict.FAIL, f"AUROC of {', '.join(broken)} cannot be computed")
    known = {code: item.auroc for code, item in lesions.items() if _is_known(item, config)}
    rest = [code for code in lesions if code not in known]
    left_out = f"; {NOT_ENOUGH_LABELS} of {', '.join(rest)}" if rest else ""
    if not known:
        why = f"{NOT_ENOUGH_LABELS}: no lesion has {config.min_lesion_images} images with it and as many without"
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, why, NOT_ENOUGH_LABELS)
    lowest = min(known, key=lambda code: _most(known[code]))
    below = [code for code, auroc in known.items() if _most(auroc) < limit]
    listed = ", ".join(f"{code} {auroc}" for code, auroc in known.items())
    if below:
        why = f"shown to be below {limit:.3f}: {', '.join(below)}; {listed}{left_out}"
        return result_of(name, known[lowest], limit, Verdict.FAIL, why)
    return result_of(name, known[lowest], limit, Verdict.PASS, f"none shown below {limit:.3f}: {listed}{left_out}")


def _is_known(item: LesionMetrics, config: GateConfig) -> bool:
    return min(item.n_present, item.n_known - item.n_present) >= config.min_lesion_images


def _most(auroc: Interval) -> float:
    """Return the upper bound; the value where there is none."""
    bound = auroc.value if auroc.high is None else auroc.high
    return float("nan") if bound is None else bound


def _floor(name: str, metric: str, measured: Interval | None, limit: float) -> GateResult:
    if measured is None:
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, NO_TEST_SET)
    if measured.value is None:
        why = f"test {metric} cannot be computed from {measured.n} images: {measured.note}"
        return result_of(name, measured, limit, Verdict.FAIL, why)
    if measured.value < limit:
        why = f"test {metric} {measured} is below the floor {limit:.3f}"
        return result_of(name, measured, limit, Verdict.FAIL, why)
    aside = "; its interval reaches below" if measured.low is not None and measured.low < limit else ""
    return result_of(
        name, measured, limit, Verdict.PASS, f"test {metric} {measured} reaches the floor {limit:.3f}{aside}"
    )
