"""Owns evidence made by hand: a candidate that passes every gate, with whatever a test changes."""

from change_sheets import UNCHANGED

from ladnn.config import ProbeLimits
from ladnn.config_gates import GateConfig
from ladnn.dataset.canonical_form import CanonicalForm
from ladnn.dataset.shortcuts.audit import AuditVerdict, ProbeResult, ShortcutAudit
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS, DiagnosisMetrics, LesionMetrics
from ladnn.governance.gates.evidence import (
    DataFacts,
    Evidence,
    FlipCounts,
    LesionSanity,
    Retention,
    ServingFacts,
    SliceDifference,
    TestEvidence,
)
from ladnn.labels import LESIONS
from ladnn.statistics import NOT_FINITE, Interval, not_computable

CONFIG = GateConfig(min_auroc=0.75, non_inferiority_margin=0.05, sensitivity_margin=0.1, max_test_openings=20)


def interval(value, low=None, high=None, n=40, note=None):
    return Interval(value=value, low=low, high=high, n=n, note=note)


def diagnosis(auroc=0.9, **metrics):
    """Metrics of 40 images of 20 patients; an AUROC is a number, None or an interval."""
    values = {name: interval(0.9, 0.8, 0.95) for name in DIAGNOSIS_METRICS}
    if not isinstance(auroc, Interval):
        auroc = not_computable(40, NOT_FINITE) if auroc is None else interval(auroc, auroc, auroc)
    values["auroc"] = auroc
    values |= {"ece": interval(0.05, 0.0, 0.1)} | metrics
    counts = {"n_images": 40, "n_patients": 20, "n_positive": 20, "n_unknown": 0, "threshold": 0.5}
    return DiagnosisMetrics(**({"n_positive_patients": 10, "n_negative_patients": 10} | values | counts))


def lesion(auroc=0.8, low=0.7, high=0.9, n_known=40, n_present=20):
    measured = not_computable(n_known) if auroc is None else interval(auroc, low, high, n_known)
    return LesionMetrics(auroc=measured, f1=interval(0.7, 0.6, 0.8), n_known=n_known, n_present=n_present)


def slice_difference(
    name="site=a", auroc=(0.0, -0.05, 0.05), sensitivity=(0.0, -0.05, 0.05), specificity=(0.0, -0.05, 0.05)
):
    """Candidate minus champion on a slice; None for too few cases."""
    measured = {
        metric: None if bounds is None else interval(*bounds)
        for metric, bounds in (("auroc", auroc), ("sensitivity", sensitivity), ("specificity", specificity))
    }
    return SliceDifference(name=name, n_images=40, n_patients=20, **measured)


RETENTION = Retention(
    previous_version="t-1",
    new_version="t-2",
    n_previous=40,
    n_kept=40,
    champion_previous=interval(0.9, 0.8, 0.95),
    champion_new=interval(0.88, 0.8, 0.95),
    candidate_previous=interval(0.91, 0.8, 0.95),
    candidate_new=interval(0.92, 0.8, 0.95),
    difference=interval(0.01, -0.02, 0.04),
)
SANITY = LesionSanity(
    candidate_auroc=0.8,
    champion_auroc=0.8,
    auroc_difference=interval(0.0, -0.05, 0.05),
    candidate_energy=0.2,
    champion_energy=0.2,
    energy_difference=interval(0.0, -0.05, 0.05),
)
DATA = DataFacts(
    has_champion=True, n_new_patients=10, n_candidate_leaks=0, n_champion_leaks=0, n_images=100, n_in_review=5
)
SERVING = ServingFacts(problem=None, latency_ms=100.0, n_timed=10, size_bytes=30_000_000)


def test_evidence(**changes):
    """A candidate as good as the champion on a test set that was opened once."""
    values = {
        "candidate": diagnosis(),
        "champion": diagnosis(),
        "lesions": {code: lesion() for code in LESIONS},
        "difference": interval(0.0, -0.02, 0.02),
        "sensitivity_difference": interval(0.0, -0.02, 0.02),
        "specificity_difference": interval(0.0, -0.02, 0.02),
        "slices": (slice_difference("site=a"), slice_difference("site=b", None, None, None)),
        "flips": FlipCounts(n_images=40, n_patients=3, gained=2, lost=1, unknown=0),
        "retention": RETENTION,
        "sanity": SANITY,
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


def judged(*, shortcuts=None, acceptance=None, data=DATA, serving=SERVING, **changes):
    """All evidence of a candidate; changes go to what the test set showed."""
    return Evidence(
        changes=UNCHANGED,
        test=test_evidence(**changes),
        audit=shortcuts or audit(),
        acceptance=acceptance,
        data=data,
        serving=serving,
    )


_NOTHING_BESIDE = {
    "champion": None,
    "difference": None,
    "sensitivity_difference": None,
    "specificity_difference": None,
    "slices": (),
    "flips": None,
    "retention": None,
    "sanity": None,
}
FIRST = _NOTHING_BESIDE | {"has_champion": False}
NO_TEST_SET = _NOTHING_BESIDE | {"candidate": None, "lesions": None, "openings": 0}
