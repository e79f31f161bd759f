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
from ladnn.statistics import NOT_FINITE, not_computable

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
    ],
)
def test_a_floor_is_held_to_what_was_measured(gate, metric, limit, shift, low, verdict, reason):
    measured = interval(limit + shift, limit + low, 1.0)
    result = gate(test_evidence(candidate=diagnosis(**{metric: measured})), CONFIG)

    assert (result.verdict, result.limit, result.interval) == (verdict, limit, measured)
    assert reason in result.reason


FLOORS = [(auroc_floor, "auroc"), (sensitivity_floor, "sensitivity"), (specificity_floor, "specificity")]


@pytest.mark.parametrize(("gate", "metric"), [*FLOORS, (calibration_limit, "ece")])
@pytest.mark.parametrize("value", [1.0, 0.0, None])
def test_what_has_no_bounds_neither_passes_nor_fails(gate, metric, value):
    measured = interval(value, note="a class has one patient only")
    result = gate(test_evidence(candidate=diagnosis(**{metric: measured})), CONFIG)

    assert (result.verdict, result.finding) == (NOT_EVALUATED, "not enough cases")
    assert "a class has one patient only" in result.reason


@pytest.mark.parametrize(("gate", "metric"), FLOORS)
def test_a_score_that_is_not_finite_rejects(gate, metric):
    result = gate(test_evidence(candidate=diagnosis(**{metric: not_computable(40, NOT_FINITE)})), CONFIG)

    assert result.verdict == FAIL
    assert "cannot be computed" in result.reason


@pytest.mark.parametrize(
    ("gate", "n_positive", "n_negative", "verdict"),
    [
        (auroc_floor, 7, 7, PASS),
        (auroc_floor, 6, 7, NOT_EVALUATED),
        (auroc_floor, 7, 6, NOT_EVALUATED),
        (sensitivity_floor, 7, 0, PASS),
        (sensitivity_floor, 6, 90, NOT_EVALUATED),
        (specificity_floor, 0, 7, PASS),
        (specificity_floor, 90, 6, NOT_EVALUATED),
    ],
)
def test_few_patients_of_a_class_neither_pass_nor_fail(gate, n_positive, n_negative, verdict):
    counts = {"n_positive_patients": n_positive, "n_negative_patients": n_negative}
    config = CONFIG.model_copy(update={"min_test_patients": 7})
    for auroc in (1.0, 0.5):
        result = gate(test_evidence(candidate=diagnosis(auroc, **counts)), config)

        assert result.verdict == (FAIL if gate is auroc_floor and auroc < 0.7 and verdict is PASS else verdict)
        if verdict is NOT_EVALUATED:
            assert "6 patients" in result.reason
            assert "gates.min_test_patients" in result.reason


@pytest.mark.parametrize("gate", [auroc_floor, sensitivity_floor, specificity_floor, calibration_limit, lesion_floor])
def test_without_a_test_set_a_floor_is_left_to_a_person(gate):
    result = gate(test_evidence(**NO_TEST_SET), CONFIG)

    assert result.verdict == NOT_EVALUATED
    assert "no test set" in result.reason


@pytest.mark.parametrize(
    ("value", "low", "verdict"),
    [(0.1, 0.0, PASS), (0.3, 0.2, PASS), (0.3, np.nextafter(0.2, 1), FAIL)],
)
def test_a_calibration_error_counts_by_the_bound_that_chance_does_not_explain(value, low, verdict):
    result = calibration_limit(test_evidence(candidate=diagnosis(ece=interval(value, low, 0.4))), CONFIG)

    assert (result.verdict, result.value, result.limit) == (verdict, value, 0.2)


def test_a_calibration_error_of_scores_that_are_not_finite_rejects():
    broken = diagnosis(ece=not_computable(40, NOT_FINITE))

    assert calibration_limit(test_evidence(candidate=broken), CONFIG).verdict == FAIL


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


def test_a_lesion_without_bounds_is_left_out():
    one_patients = lesion(0.1, None, None)
    result = lesion_floor(test_evidence(lesions=dict.fromkeys(LESIONS, lesion()) | {"AirBr": one_patients}), CONFIG)

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
