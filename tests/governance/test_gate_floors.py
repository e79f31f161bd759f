"""Truth tables of the absolute floors."""

import numpy as np
import pytest
from evidence_parts import CONFIG, NO_TEST_SET, diagnosis, interval, lesion, test_evidence

from ladnn.governance.gates.floors import (
    auroc_floor,
    calibration_limit,
    lesion_floor,
    sensitivity_floor,
    specificity_floor,
)
from ladnn.governance.gates.verdicts import Verdict
from ladnn.labels import LESIONS
from ladnn.statistics import not_computable

PASS, FAIL, NOT_EVALUATED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_EVALUATED


@pytest.mark.parametrize(
    ("gate", "metric", "limit"),
    [
        (auroc_floor, "auroc", 0.75),
        (sensitivity_floor, "sensitivity", 0.6),
        (specificity_floor, "specificity", 0.2),
    ],
)
@pytest.mark.parametrize(
    ("shift", "low", "verdict", "reason"),
    [
        (0.1, 0.05, PASS, "reaches"),
        (0.1, -0.1, PASS, "its interval reaches below"),
        (0.0, -0.1, PASS, "reaches"),
        (-1e-9, -0.1, FAIL, "below"),
        (-0.2, -0.2, FAIL, "below"),
        (None, None, FAIL, "cannot be computed"),
    ],
)
def test_a_floor_is_held_to_what_was_measured(gate, metric, limit, shift, low, verdict, reason):
    measured = not_computable(40) if shift is None else interval(limit + shift, limit + low, 1.0)
    result = gate(test_evidence(candidate=diagnosis(**{metric: measured})), CONFIG)

    assert (result.verdict, result.limit, result.interval) == (verdict, limit, measured)
    assert reason in result.reason


@pytest.mark.parametrize("gate", [auroc_floor, sensitivity_floor, specificity_floor, calibration_limit, lesion_floor])
def test_without_a_test_set_a_floor_is_left_to_a_person(gate):
    result = gate(test_evidence(**NO_TEST_SET), CONFIG)

    assert result.verdict == NOT_EVALUATED
    assert "no test set" in result.reason


@pytest.mark.parametrize(
    ("value", "low", "verdict"),
    [(0.1, 0.0, PASS), (0.3, 0.2, PASS), (0.3, np.nextafter(0.2, 1), FAIL), (0.1, None, PASS), (0.3, None, FAIL)],
)
def test_a_calibration_error_counts_by_the_bound_that_chance_does_not_explain(value, low, verdict):
    result = calibration_limit(test_evidence(candidate=diagnosis(ece=interval(value, low, 0.4))), CONFIG)

    assert (result.verdict, result.value, result.limit) == (verdict, value, 0.2)


def test_a_calibration_error_that_cannot_be_computed_rejects():
    assert calibration_limit(test_evidence(candidate=diagnosis(ece=not_computable(40))), CONFIG).verdict == FAIL


def test_the_lowest_lesion_is_shown_and_one_shown_below_the_floor_rejects():
    lesions = dict.fromkeys(LESIONS, lesion()) | {"Csld": lesion(0.4, 0.3, 0.5)}
    assert lesion_floor(test_evidence(lesions=lesions), CONFIG).verdict == PASS

    lesions["Csld"] = lesion(0.4, 0.3, np.nextafter(0.5, 0))
    result = lesion_floor(test_evidence(lesions=lesions), CONFIG)

    assert (result.verdict, result.value) == (FAIL, 0.4)
    assert "Csld" in result.reason.split(";")[0]


@pytest.mark.parametrize(("n_known", "n_present"), [(4, 2), (40, 4), (40, 36), (0, 0)])
def test_a_lesion_with_too_few_known_labels_is_named_and_left_out(n_known, n_present):
    unknown = lesion(0.1, 0.05, 0.15, n_known, n_present)
    result = lesion_floor(test_evidence(lesions=dict.fromkeys(LESIONS, lesion()) | {"AirBr": unknown}), CONFIG)

    assert result.verdict == PASS
    assert "not enough known labels of AirBr" in result.reason


@pytest.mark.parametrize("lesions", [None, dict.fromkeys(LESIONS, lesion(n_known=4, n_present=2))])
def test_without_any_known_lesion_a_person_decides(lesions):
    result = lesion_floor(test_evidence(lesions=lesions), CONFIG)

    assert (result.verdict, result.finding, result.value) == (NOT_EVALUATED, "not enough known labels", None)


def test_a_known_lesion_without_a_number_rejects():
    result = lesion_floor(test_evidence(lesions=dict.fromkeys(LESIONS, lesion()) | {"GGO": lesion(None)}), CONFIG)

    assert result.verdict == FAIL
    assert "GGO" in result.reason
