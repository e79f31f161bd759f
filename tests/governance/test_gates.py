"""Truth tables of the gates and of the verdict they join to."""

import json
from datetime import UTC, datetime

import pytest
from evidence_parts import CONFIG, DATA, FIRST, NO_TEST_SET, audit, diagnosis, interval, judged

from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict
from ladnn.errors import GateError
from ladnn.governance.gates.data import shortcut_audit
from ladnn.governance.gates.run import run_gates, run_gates_beforehand
from ladnn.governance.gates.verdicts import GateResult, Verdict, overall

PASS, FAIL, NOT_EVALUATED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_EVALUATED


def acceptance(*probes):
    return AuditAcceptance(
        dataset_version="d-1", by="Ada", reason="known", accepted=probes, accepted_at=datetime(2020, 6, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("changes", "worst", "verdict"),
    [
        ({}, set(), PASS),
        (FIRST, set(), PASS),
        (FIRST | {"candidate": diagnosis(0.6)}, {"auroc_floor"}, FAIL),
        (FIRST | {"candidate": diagnosis(None)}, {"auroc_floor"}, FAIL),
        ({"difference": interval(0.0, -0.2, 0.2)}, {"not_worse_than_champion"}, NOT_EVALUATED),
        ({"sensitivity_difference": interval(-0.3, -0.4, -0.2)}, {"sensitivity_not_worse"}, FAIL),
        ({"specificity_difference": interval(-0.59, -0.7, -0.45)}, {"specificity_not_worse"}, FAIL),
        (
            {"candidate_is_champion": True},
            {"not_worse_than_champion", "sensitivity_not_worse", "specificity_not_worse"},
            FAIL,
        ),
    ],
)
def test_gates_together(changes, worst, verdict):
    results = run_gates(judged(**changes), CONFIG)

    assert {result.name for result in results if result.verdict is not PASS} == worst
    assert overall(results) == verdict


def test_where_a_cheap_gate_failed_those_of_the_test_set_are_listed_as_not_run_and_the_candidate_is_rejected():
    data = DATA.model_copy(update={"n_candidate_leaks": 1})
    usual, results = (
        run_gates(judged(data=data, **changes), CONFIG)
        for changes in ({}, FIRST | NO_TEST_SET | {"shut": "leak_check failed before"})
    )
    beforehand = {result.name for result in run_gates_beforehand(judged(data=data), CONFIG)}

    assert [(result.name, result.limit) for result in results] == [(result.name, result.limit) for result in usual]
    assert beforehand == {
        "new_data",
        "leak_check",
        "shortcut_audit",
        "review_backlog",
        "change_control",
        "serving",
    }
    for result in results:
        if result.name not in beforehand:
            assert (result.verdict, result.value, result.interval) == (NOT_EVALUATED, None, None)
            assert result.reason == "not run, as the test set was not opened: leak_check failed before"
    assert overall(results) == FAIL


def test_every_gate_has_a_name_of_its_own_and_a_reason():
    results = run_gates(judged(), CONFIG)

    assert len({result.name for result in results}) == len(results)
    assert all(result.reason for result in results)


@pytest.mark.parametrize("changes", [NO_TEST_SET, FIRST | NO_TEST_SET])
def test_without_a_test_set_nothing_fails_and_a_person_decides(changes):
    assert overall(run_gates(judged(**changes), CONFIG)) == NOT_EVALUATED


@pytest.mark.parametrize(
    ("found", "accepted", "verdict", "reason"),
    [
        (audit(), None, PASS, "no probe"),
        (audit(borders="amber"), None, PASS, "amber"),
        (audit(borders="not enough cases"), None, NOT_EVALUATED, "may be predicted without the disease: borders"),
        (audit(borders="not enough cases"), acceptance("borders"), PASS, "not enough cases"),
        (audit(borders="red"), None, NOT_EVALUATED, "borders, contributed: AUROC 0.97 [0.95, 0.99] of 40 images: red"),
        (audit(borders="red"), acceptance("borders"), PASS, "accepted by Ada: known"),
        (audit(borders="red"), acceptance("file_properties"), NOT_EVALUATED, "without the disease"),
        (audit(borders="red", file_properties="red"), acceptance("borders"), NOT_EVALUATED, "file_properties"),
        (audit(), acceptance("borders"), PASS, "no probe"),
    ],
)
def test_a_red_audit_needs_a_person_unless_its_probes_were_accepted(found, accepted, verdict, reason):
    result = shortcut_audit(found, accepted)

    assert result.verdict == verdict
    assert reason in result.reason
    assert (result.value, result.limit) == (0.97, 0.75)


def test_a_probe_below_its_limit_holds_nothing_though_chance_leaves_it_open():
    found = audit(borders="not enough cases")
    below = found.results[1].model_copy(update={"auroc": interval(0.6, 0.4, 0.8)})

    result = shortcut_audit(found.model_copy(update={"results": (found.results[0], below)}), None)

    assert (result.verdict, "not enough cases" in result.reason) == (PASS, True)


def test_an_audit_without_a_probe_of_the_contributed_files_leaves_it_to_a_person():
    result = shortcut_audit(audit().model_copy(update={"results": ()}), None)

    assert (result.verdict, result.value) == (NOT_EVALUATED, None)


def test_a_probe_of_the_canonical_form_holds_nothing():
    clean = audit()
    canonical = clean.results[0].model_copy(update={"stage": "canonical", "verdict": AuditVerdict.RED})
    found = clean.model_copy(update={"results": (*clean.results, canonical)})

    assert shortcut_audit(found, None).verdict == PASS


@pytest.mark.parametrize(
    ("verdicts", "joined"),
    [
        ([PASS], PASS),
        ([PASS, PASS], PASS),
        ([PASS, NOT_EVALUATED], NOT_EVALUATED),
        ([NOT_EVALUATED, FAIL], FAIL),
        ([FAIL, PASS, NOT_EVALUATED], FAIL),
    ],
)
def test_the_worst_verdict_wins(verdicts, joined):
    results = [
        GateResult(name="gate", value=None, limit=None, interval=None, n=0, verdict=verdict, reason="because")
        for verdict in verdicts
    ]

    assert overall(results) == joined


def test_an_empty_list_of_gates_is_an_error_not_a_pass():
    with pytest.raises(GateError, match="no gate was run"):
        overall(())


def test_a_result_survives_the_way_through_json():
    (result, *_) = run_gates(judged(), CONFIG)

    assert GateResult.model_validate_json(result.model_dump_json()) == result
    assert json.loads(result.model_dump_json())["verdict"] == "pass"
