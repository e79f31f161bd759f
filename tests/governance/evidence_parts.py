"""Owns evidence made by hand: a candidate that passes every gate, with whatever a test changes."""

from ladnn.config import GateConfig, ProbeLimits
from ladnn.dataset.canonical_form import CanonicalForm
from ladnn.dataset.shortcuts.audit import AuditVerdict, ProbeResult, ShortcutAudit
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS, DiagnosisMetrics, LesionMetrics
from ladnn.governance.gates.evidence import Evidence, TestEvidence
from ladnn.labels import LESIONS
from ladnn.statistics import Interval, not_computable

CONFIG = GateConfig(min_auroc=0.75, non_inferiority_margin=0.05, sensitivity_margin=0.1, max_test_openings=20)


def interval(value, low=None, high=None, n=40, note=None):
    return Interval(value=value, low=low, high=high, n=n, note=note)


def diagnosis(auroc=0.9, **metrics):
    """Metrics of 40 images of 20 patients; an AUROC is a number, None or an interval."""
    values = {name: interval(0.9, 0.8, 0.95) for name in DIAGNOSIS_METRICS}
    if not isinstance(auroc, Interval):
        auroc = not_computable(40) if auroc is None else interval(auroc, auroc, auroc)
    values["auroc"] = auroc
    values |= {"ece": interval(0.05, 0.0, 0.1)} | metrics
    counts = {"n_images": 40, "n_patients": 20, "n_positive": 20, "n_positive_patients": 10, "n_negative_patients": 10}
    return DiagnosisMetrics(**values, **counts, n_unknown=0, threshold=0.5)


def lesion(auroc=0.8, low=0.7, high=0.9, n_known=40, n_present=20):
    measured = not_computable(n_known) if auroc is None else interval(auroc, low, high, n_known)
    return LesionMetrics(auroc=measured, f1=interval(0.7, 0.6, 0.8), n_known=n_known, n_present=n_present)


def test_evidence(**changes):
    """A candidate as good as the champion on a test set that was opened once."""
    values = {
        "candidate": diagnosis(),
        "champion": diagnosis(),
        "lesions": {code: lesion() for code in LESIONS},
        "difference": interval(0.0, -0.02, 0.02),
        "sensitivity_difference": interval(0.0, -0.02, 0.02),
        "has_champion": True,
        "candidate_is_champion": False,
        "openings": 1,
    }
    return TestEvidence(**(values | changes))


test_evidence.__test__ = False


def audit(**verdicts):
    """A shortcut audit in which each named probe of the contributed files has this verdict."""
    results = [
        ProbeResult(
            probe=probe,
            stage="contributed",
            auroc=interval(0.97, 0.95, 0.99),
            n_patients=20,
            limits=ProbeLimits(),
            verdict=verdict,
        )
        for probe, verdict in ({"file_properties": "green"} | verdicts).items()
    ]
    return ShortcutAudit(
        dataset_version="d-1",
        n_images=40,
        n_patients=20,
        n_unknown=0,
        n_not_sampled=0,
        form=CanonicalForm(),
        results=tuple(results),
        verdict=max((result.verdict for result in results), key=list(AuditVerdict).index),
    )


def judged(*, shortcuts=None, acceptance=None, **changes):
    """All evidence of a candidate; changes go to what the test set showed."""
    return Evidence(test=test_evidence(**changes), audit=shortcuts or audit(), acceptance=acceptance)


FIRST = {"champion": None, "difference": None, "sensitivity_difference": None, "has_champion": False}
NO_TEST_SET = {
    "candidate": None,
    "champion": None,
    "lesions": None,
    "difference": None,
    "sensitivity_difference": None,
    "openings": 0,
}
