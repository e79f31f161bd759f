"""Truth table of the gates that compare with the champion."""

import numpy as np
import pytest
from evidence_parts import CONFIG, FIRST, NO_TEST_SET, interval, test_evidence

from ladnn.governance.gates.champion import not_worse_than_champion, sensitivity_not_worse, specificity_not_worse
from ladnn.governance.gates.verdicts import Verdict
from ladnn.statistics import NOT_FINITE, not_computable

PASS, FAIL, NOT_EVALUATED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_EVALUATED
GATES = [
    (not_worse_than_champion, "difference", 0.05),
    (sensitivity_not_worse, "sensitivity_difference", 0.1),
    (specificity_not_worse, "specificity_difference", 0.1),
]


@pytest.mark.parametrize(("gate", "field", "margin"), GATES)
@pytest.mark.parametrize(
    ("value", "low", "high", "verdict", "finding"),
    [  # in margins
        (2, 1, 3, PASS, "better"),
        (0.5, 1e-9, 1, PASS, "better"),
        (0.5, 0, 1, PASS, "not worse"),
        (0, -0.5, 0.5, PASS, "not worse"),
        (0, 0, 0, PASS, "not worse"),
        (0, -1 + 1e-9, 1, PASS, "not worse"),
        (-0.4, -0.8, -0.2, PASS, "not worse"),
        (0, -1, 1, NOT_EVALUATED, "not enough cases"),
        (0.4, -1.2, 2, NOT_EVALUATED, "not enough cases"),
        (-0.9, -3, 1, NOT_EVALUATED, "not enough cases"),
        (-0.5, -1.1, -1e-9, FAIL, "worse"),
        (-1, -2, 0.5, NOT_EVALUATED, "not enough cases"),
        (-1.2, -8, 6, NOT_EVALUATED, "not enough cases"),
        (-1, -2, 0, NOT_EVALUATED, "not enough cases"),
        (-2, -3, -1, FAIL, "worse"),
        (0, None, None, NOT_EVALUATED, "not enough cases"),
        (None, None, None, NOT_EVALUATED, "not enough cases"),
    ],
)
def test_what_a_paired_difference_shows(gate, field, margin, value, low, high, verdict, finding):
    bounds = [None if bound is None else bound * margin for bound in (value, low, high)]
    result = gate(test_evidence(**{field: interval(*bounds)}), CONFIG)

    assert (result.verdict, result.finding, result.limit) == (verdict, finding, -margin)
    assert finding in result.reason
    assert result.value == bounds[0]


@pytest.mark.parametrize(("gate", "field", "margin"), GATES)
def test_a_score_that_is_not_finite_rejects(gate, field, margin):
    for nothing in (not_computable(40, NOT_FINITE), None):
        result = gate(test_evidence(**{field: nothing}), CONFIG)

        assert (result.verdict, result.value) == (FAIL, None)
        assert "not finite" in result.reason


@pytest.mark.parametrize(("gate", "field", "margin"), GATES)
@pytest.mark.parametrize(
    ("changes", "verdict", "finding"),
    [
        (FIRST, PASS, "first champion"),
        ({"candidate_is_champion": True}, FAIL, "identical"),
        (NO_TEST_SET, NOT_EVALUATED, "no test set"),
        (NO_TEST_SET | {"candidate_is_champion": True}, FAIL, "identical"),
        (FIRST | NO_TEST_SET, PASS, "first champion"),
        ({"champion": None, "champion_problem": "graph gone"}, NOT_EVALUATED, "champion cannot be rescored"),
    ],
)
def test_where_there_is_nothing_to_compare_the_behaviour_is_stated(gate, field, margin, changes, verdict, finding):
    result = gate(test_evidence(**(changes | {field: None})), CONFIG)

    assert (result.verdict, result.finding) == (verdict, finding)


def test_an_unevaluable_champion_is_explained_with_the_ways_on():
    result = not_worse_than_champion(test_evidence(champion=None, champion_problem="file x was changed"), CONFIG)

    assert "file x was changed" in result.reason
    assert "roll back" in result.reason
    assert "by name" in result.reason


def test_the_bounds_and_n_are_told():
    result = not_worse_than_champion(test_evidence(difference=interval(-0.012, -0.034, 0.011)), CONFIG)

    assert "-0.012 [-0.034, +0.011], n = 40" in result.reason
    assert result.interval.low == np.float64(-0.034)
