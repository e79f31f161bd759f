"""Truth tables of the gates that look closer than the whole test set: slices, single answers, retention, lesions."""

import json

import pytest
from evidence_parts import (
    CONFIG,
    FIRST,
    NO_TEST_SET,
    RETENTION,
    SANITY,
    interval,
    slice_difference,
    test_evidence,
)

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.evidence import FlipCounts, Retention
from ladnn.governance.gates.lesions import lesion_sanity
from ladnn.governance.gates.retention import retention
from ladnn.governance.gates.slices import flips, no_slice_worse
from ladnn.governance.gates.verdicts import Verdict
from ladnn.statistics import NOT_ENOUGH, NOT_FINITE, not_computable

PASS, FAIL, NOT_EVALUATED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_EVALUATED
GATES = [no_slice_worse, flips, retention, lesion_sanity]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize(
    ("changes", "verdict", "finding"),
    [
        (FIRST, PASS, "first champion"),
        ({"candidate_is_champion": True}, PASS, "identical"),
        (NO_TEST_SET, NOT_EVALUATED, "no test set"),
        ({"champion": None, "champion_problem": "gone"}, NOT_EVALUATED, "champion cannot be rescored"),
    ],
)
def test_where_there_is_nothing_to_compare_the_behaviour_is_stated(gate, changes, verdict, finding):
    result = gate(test_evidence(**changes), CONFIG)

    assert (result.verdict, result.finding) == (verdict, finding)


@pytest.mark.parametrize("metric", ["auroc", "sensitivity", "specificity"])
@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ((0.0, -0.2, 0.2), PASS),
        ((-0.3, -0.6, 0.01), PASS),  # not shown: too few cases for so wide an interval
        ((-0.09, -0.15, -0.01), PASS),  # shown, but within the margin
        ((-0.1, -0.15, -0.01), FAIL),
        ((-0.3, -0.5, -0.1), FAIL),
        ((-0.3, None, None), PASS),
    ],
)
def test_a_slice_rejects_where_it_is_shown_to_be_worse_by_the_margin(metric, bounds, verdict):
    slices = (slice_difference("site=a"), slice_difference("site=b", **{metric: bounds}))
    result = no_slice_worse(test_evidence(slices=slices), CONFIG)

    assert result.verdict == verdict
    assert ("site=b" in result.reason) == (verdict is FAIL)


def test_slices_with_too_few_cases_are_counted():
    slices = (slice_difference("site=a"), slice_difference("site=b", None, None, None))

    without_bounds = slice_difference("site=c", *[(-0.3, None, None)] * 3)

    assert "1 have too few cases" in no_slice_worse(test_evidence(slices=slices), CONFIG).reason
    result = no_slice_worse(test_evidence(slices=(*slices, without_bounds)), CONFIG)
    assert (result.verdict, result.value) == (PASS, 0.0)
    assert "none of 1 slices is shown to be 0.100 worse; 2 have too few cases" in result.reason
    required = CONFIG.model_copy(update={"required_slices": ("site=c",)})
    assert no_slice_worse(test_evidence(slices=(*slices, without_bounds)), required).verdict == NOT_EVALUATED


@pytest.mark.parametrize(
    ("required", "verdict", "reason"),
    [
        ("site=a", PASS, "none of 1 slices"),
        ("site=b", NOT_EVALUATED, "site=b: too few cases"),
        ("site=c", NOT_EVALUATED, "site=c: not in the test set"),
    ],
)
def test_a_missing_slice_is_left_to_a_person(required, verdict, reason):
    config = GateConfig(required_slices=(required,))
    slices = (slice_difference("site=a"), slice_difference("site=b", None, None, None))
    result = no_slice_worse(test_evidence(slices=slices), config)

    assert result.verdict == verdict
    assert reason in result.reason


@pytest.mark.parametrize(
    ("bounds", "lacking"),
    [
        ({"auroc": None, "sensitivity": None}, "AUROC, sensitivity"),
        ({"specificity": None}, "specificity"),
        ({"sensitivity": (-0.3, None, None)}, "sensitivity"),
    ],
)
def test_a_required_slice_that_lacks_a_metric_is_left_to_a_person(bounds, lacking):
    config = GateConfig(required_slices=("site=a", "site=b"))
    slices = (slice_difference("site=a", **bounds), slice_difference("site=b"))
    result = no_slice_worse(test_evidence(slices=slices), config)

    assert (result.verdict, result.finding) == (NOT_EVALUATED, "missing slice")
    assert result.reason.endswith(f"site=a: too few cases for {lacking}")
    assert no_slice_worse(test_evidence(slices=slices), GateConfig(required_slices=("site=b",))).verdict == PASS


def test_a_required_slice_that_lacks_a_metric_and_is_worse_by_another_rejects():
    slices = (slice_difference("site=a", None, (-0.3, -0.5, -0.1), None),)
    result = no_slice_worse(test_evidence(slices=slices), GateConfig(required_slices=("site=a",)))

    assert result.verdict == FAIL
    assert "site=a, sensitivity" in result.reason


def test_a_worse_slice_weighs_more_than_a_missing_one():
    config = GateConfig(required_slices=("site=c",))
    slices = (slice_difference("site=b", (-0.3, -0.5, -0.1)),)

    assert no_slice_worse(test_evidence(slices=slices), config).verdict == FAIL


@pytest.mark.parametrize(
    ("gained", "lost", "unknown", "verdict"), [(0, 0, 0, PASS), (10, 10, 0, PASS), (10, 10, 1, NOT_EVALUATED)]
)
def test_answers_that_change_are_counted_and_too_many_left_to_a_person(gained, lost, unknown, verdict):
    counts = FlipCounts(n_images=40, n_patients=5, gained=gained, lost=lost, unknown=unknown)
    result = flips(test_evidence(flips=counts), CONFIG)

    assert (result.verdict, result.value, result.n) == (verdict, (gained + lost + unknown) / 40, 40)
    assert f"{gained} become right, {lost} wrong" in result.reason
    assert "flips.json, an artifact of the retrain's run in MLflow" in result.reason


def test_answers_that_were_not_compared_are_left_to_a_person():
    assert flips(test_evidence(flips=None), CONFIG).verdict == NOT_EVALUATED


@pytest.mark.parametrize(
    ("difference", "verdict", "finding"),
    [
        (interval(0.01, -0.02, 0.04), PASS, "not worse"),
        (interval(0.03, 0.01, 0.05), PASS, "better"),
        (interval(0.0, -0.1, 0.1), PASS, "not enough cases"),
        (interval(-0.06, -0.4, 0.3, n=6), PASS, "not enough cases"),
        (interval(-0.1, None, None, note="one patient only"), PASS, "not enough cases"),
        (interval(-0.1, -0.2, -0.01), FAIL, "worse"),
        (not_computable(4, NOT_ENOUGH), PASS, NOT_ENOUGH),
        (not_computable(4, NOT_FINITE), FAIL, NOT_FINITE),
    ],
)
def test_retention_rejects_what_is_worse_on_the_previous_test_version(difference, verdict, finding):
    measured = RETENTION.model_copy(update={"difference": difference})
    result = retention(test_evidence(retention=measured), CONFIG)

    assert (result.verdict, result.finding) == (verdict, finding)
    for n_kept, said in ((39, "only 39 of its 40 images"), (None, "cannot be told")):
        result = retention(test_evidence(retention=measured.model_copy(update={"n_kept": n_kept})), CONFIG)

        is_shown = finding not in ("not enough cases", NOT_ENOUGH)
        assert result.verdict == (verdict if is_shown else NOT_EVALUATED)
        assert is_shown or said in result.reason


def test_the_table_separates_what_data_and_model_brought_and_survives_json():
    written = json.loads(RETENTION.model_dump_json())

    assert written["brought_by_data"] == pytest.approx(0.88 - 0.9)
    assert written["brought_by_model"] == pytest.approx(0.92 - 0.88)
    assert written["brought_by_model_previous"] == pytest.approx(0.91 - 0.9)
    assert Retention.model_validate(written) == RETENTION
    assert Retention(previous_version=None, new_version="t-2").brought_by_data is None


def test_retention_tells_the_table():
    reason = retention(test_evidence(), CONFIG).reason

    assert "champion 0.900 [0.800, 0.950] previous, 0.880 [0.800, 0.950] new" in reason
    assert "candidate 0.910 [0.800, 0.950] previous, 0.920 [0.800, 0.950] new" in reason
    assert "the new test patients bring -0.020 for the same model, the new model brings +0.040" in reason


@pytest.mark.parametrize(
    ("n_previous", "n_kept", "verdict", "said"),
    [
        (40, 40, PASS, "all its 40 images stand in the new test version, too"),
        (40, 12, NOT_EVALUATED, "only 12 of its 40 images stand in the new test version"),
        (None, None, NOT_EVALUATED, "cannot be told"),
    ],
)
def test_retention_that_could_not_be_measured_passes_only_where_the_new_version_holds_its_images(
    n_previous, n_kept, verdict, said
):
    problem = "the budget of test set t-1 is used up"
    measured = Retention(
        previous_version="t-1", new_version="t-2", n_previous=n_previous, n_kept=n_kept, problem=problem
    )
    result = retention(test_evidence(retention=measured), CONFIG)

    assert (result.verdict, result.finding) == (verdict, "not measured")
    assert problem in result.reason
    assert said in result.reason


def test_retention_that_was_not_tried_is_left_to_a_person():
    assert retention(test_evidence(retention=None), CONFIG).verdict == NOT_EVALUATED


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, PASS),
        ({"auroc_difference": interval(-0.1, -0.2, -0.01)}, FAIL),
        ({"auroc_difference": interval(-0.09, -0.2, -0.01)}, PASS),
        ({"auroc_difference": interval(-0.3, -0.7, 0.1)}, NOT_EVALUATED),
        ({"auroc_difference": interval(-0.3, note="most resamplings lack a class")}, NOT_EVALUATED),
        (
            {"auroc_difference": interval(-0.3, note="most resamplings lack a class"), "energy_difference": None},
            NOT_EVALUATED,
        ),
        ({"auroc_difference": interval(0.1, note="one patient only"), "energy_difference": None}, NOT_EVALUATED),
        ({"auroc_difference": not_computable(20), "energy_difference": None}, NOT_EVALUATED),
        ({"auroc_difference": not_computable(20)}, PASS),
        ({"champion_energy": float("nan")}, FAIL),
        ({"energy_difference": interval(-0.1, -0.15, -0.05)}, FAIL),
        ({"energy_difference": interval(-0.09, -0.15, -0.05)}, PASS),
        ({"energy_difference": interval(-0.1, -0.25, 0.05)}, NOT_EVALUATED),
        ({"auroc_difference": None}, PASS),
        ({"energy_difference": None}, PASS),
        ({"auroc_difference": None, "energy_difference": None}, NOT_EVALUATED),
        ({"auroc_difference": not_computable(20, NOT_FINITE)}, FAIL),
        ({"lesion_differences": {"GGO": interval(-0.2, -0.3, -0.1)}}, FAIL),
        ({"lesion_differences": {"GGO": interval(-0.19, -0.3, -0.1), "Csld": interval(0.1, 0, 0.2)}}, PASS),
        ({"lesion_differences": {"GGO": interval(-0.2, -0.5, 0.1)}}, NOT_EVALUATED),
    ],
)
def test_a_collapse_of_lesion_heads_or_attention_rejects(changes, verdict):
    assert lesion_sanity(test_evidence(sanity=SANITY.model_copy(update=changes)), CONFIG).verdict == verdict


def test_a_rising_diagnosis_does_not_excuse_a_collapse():
    collapsed = SANITY.model_copy(update={"auroc_difference": interval(-0.3, -0.4, -0.2)})
    result = lesion_sanity(test_evidence(sanity=collapsed, difference=interval(0.1, 0.05, 0.15)), CONFIG)

    assert (result.verdict, result.finding) == (FAIL, "collapse")
    assert "while the diagnosis rises" in result.reason
