"""Absolute floors: what any model must reach on the test set, whatever the champion does.

AUROC, sensitivity and specificity are held to their floors by what was measured; the interval is told beside it. The
calibration error and the lesions' AUROC are held to theirs by the bound that speaks for the model, since chance alone
moves them far on few images. Where patients are too few to say anything, nothing passes and nothing fails: a person decides.
"""

from ladnn.config_gates import GateConfig
from ladnn.evaluation.metrics import DiagnosisMetrics, LesionMetrics
from ladnn.governance.gates.evidence import TestEvidence
from ladnn.governance.gates.verdicts import NO_TEST_SET, GateResult, Verdict, result_of
from ladnn.statistics import NOT_ENOUGH, NOT_FINITE, Interval

NOT_ENOUGH_LABELS = "not enough known labels"


def auroc_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the candidate's test AUROC (point estimate) against an absolute floor; equality passes."""
    return _floor("auroc_floor", "auroc", evidence.candidate, config.min_auroc, config)


def sensitivity_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the sensitivity at the operating point against its floor; equality passes."""
    return _floor("sensitivity_floor", "sensitivity", evidence.candidate, config.min_sensitivity, config)


def specificity_floor(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Hold the specificity at the operating point against its floor; equality passes."""
    return _floor("specificity_floor", "specificity", evidence.candidate, config.min_specificity, config)


def calibration_limit(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a calibration error that exceeds its limit beyond what chance adds: by its lower bound."""
    name, limit = "calibration_error", config.max_calibration_error
    if evidence.candidate is None:
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, NO_TEST_SET)
    error = evidence.candidate.ece
    if error.value is None and error.note == NOT_FINITE:
        return result_of(name, error, limit, Verdict.FAIL, f"it cannot be computed: {error.note}")
    if error.low is None:
        why = f"calibration error {error} is not shown to exceed {limit:.3f}, nor to keep to it: {error.note}"
        return result_of(name, error, limit, Verdict.NOT_EVALUATED, why, NOT_ENOUGH)
    if error.low > limit:
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
    broken = [code for code, item in lesions.items() if item.auroc.value is None and _has_images(item, config)]
    if broken:
        return result_of(name, None, limit, Verdict.FAIL, f"AUROC of {', '.join(broken)} cannot be computed")
    known = {code: item.auroc for code, item in lesions.items() if _is_known(item, config)}
    rest = [code for code in lesions if code not in known]
    left_out = f"; {NOT_ENOUGH_LABELS} of {', '.join(rest)}" if rest else ""
    if not known:
        why = (
            f"{NOT_ENOUGH_LABELS}: no lesion has {config.min_lesion_images} images with it and as many without, of more than "
            "one patient each"
        )
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, why, NOT_ENOUGH_LABELS)
    lowest = min(known, key=lambda code: _most(known[code]))
    below = [code for code, auroc in known.items() if _most(auroc) < limit]
    listed = ", ".join(f"{code} {auroc}" for code, auroc in known.items())
    if below:
        why = f"shown to be below {limit:.3f}: {', '.join(below)}; {listed}{left_out}"
        return result_of(name, known[lowest], limit, Verdict.FAIL, why)
    return result_of(name, known[lowest], limit, Verdict.PASS, f"none shown below {limit:.3f}: {listed}{left_out}")


def _is_known(item: LesionMetrics, config: GateConfig) -> bool:
    """Tell whether a lesion has enough images, and an interval: five images of one patient have none."""
    return _has_images(item, config) and item.auroc.high is not None


def _has_images(item: LesionMetrics, config: GateConfig) -> bool:
    return min(item.n_present, item.n_known - item.n_present) >= config.min_lesion_images


def _most(auroc: Interval) -> float:
    """Return the upper bound of one that has bounds."""
    return float("nan") if auroc.high is None else auroc.high


def _floor(name: str, metric: str, candidate: DiagnosisMetrics | None, limit: float, config: GateConfig) -> GateResult:
    if candidate is None:
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, NO_TEST_SET)
    measured: Interval = getattr(candidate, metric)
    told = "AUROC" if metric == "auroc" else metric
    if measured.value is None and measured.note == NOT_FINITE:
        why = f"test {told} cannot be computed from {measured.n} images: {measured.note}"
        return result_of(name, measured, limit, Verdict.FAIL, why)
    few = _too_few(candidate, metric, config.min_test_patients)
    if few is not None or measured.value is None or measured.low is None:
        why = f"test {told} {measured} shows too little: {few or measured.note}"
        return result_of(name, measured, limit, Verdict.NOT_EVALUATED, why, NOT_ENOUGH)
    if measured.value < limit:
        why = f"test {told} {measured} is below the floor {limit:.3f}"
        return result_of(name, measured, limit, Verdict.FAIL, why)
    aside = "; its interval reaches below" if measured.low < limit else ""
    return result_of(
        name, measured, limit, Verdict.PASS, f"test {told} {measured} reaches the floor {limit:.3f}{aside}"
    )


def _too_few(candidate: DiagnosisMetrics, metric: str, least: int) -> str | None:
    """Say which patients of the test set, with or without the disease, are fewer than what a floor asks for."""
    patients = {"with": candidate.n_positive_patients, "without": candidate.n_negative_patients}
    wanted = {"sensitivity": ("with",), "specificity": ("without",)}.get(metric, tuple(patients))
    few = [f"{patients[kind]} patients {kind} the disease" for kind in wanted if patients[kind] < least]
    return f"{' and '.join(few)}; {least} are asked for (gates.min_test_patients)" if few else None
