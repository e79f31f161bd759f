"""Truth tables of the gates of data, service and test-set budget."""

import pytest
from evidence_parts import DATA, SERVING, test_evidence

from ladnn.config_file import parse_config
from ladnn.config_gates import GateConfig
from ladnn.errors import ConfigError
from ladnn.governance.gates.budget import test_set_budget as budget_gate
from ladnn.governance.gates.data import leak_check, new_data, review_backlog
from ladnn.governance.gates.serving import serving
from ladnn.governance.gates.verdicts import Verdict

PASS, FAIL, NOT_EVALUATED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_EVALUATED
CONFIG = GateConfig(
    min_new_patients=5, max_review_share=0.2, max_latency_ms=500, max_bundle_megabytes=50, max_test_openings=10
)


def data(**changes):
    return DATA.model_copy(update=changes)


@pytest.mark.parametrize(("n_new", "verdict"), [(0, FAIL), (4, FAIL), (5, PASS), (50, PASS)])
def test_enough_new_patients_are_asked_for(n_new, verdict):
    result = new_data(data(n_new_patients=n_new), CONFIG)

    assert (result.verdict, result.value, result.limit) == (verdict, n_new, 5)


def test_without_a_champion_nobody_is_new_to_it():
    assert "champion, 5" not in new_data(data(has_champion=False), CONFIG).reason
    assert "all new, since there is no champion" in new_data(data(has_champion=False), CONFIG).reason
    assert "champion" not in leak_check(data(has_champion=False)).reason


def test_new_patients_that_cannot_be_counted_are_left_to_a_person():
    result = new_data(data(n_new_patients=None), CONFIG)

    assert (result.verdict, result.value) == (NOT_EVALUATED, None)
    assert "cannot be read" in result.reason


@pytest.mark.parametrize(
    ("candidate", "champion", "verdict", "reason"),
    [
        (0, 0, PASS, "no test image"),
        (1, 0, FAIL, "candidate's training"),
        (1, 2, FAIL, "candidate's training"),
        (0, 2, NOT_EVALUATED, "champion's training"),
        (0, None, NOT_EVALUATED, "cannot be read"),
    ],
)
def test_a_leak_of_the_candidate_rejects_and_one_of_the_champion_needs_a_person(candidate, champion, verdict, reason):
    result = leak_check(data(n_candidate_leaks=candidate, n_champion_leaks=champion))

    assert result.verdict == verdict
    assert reason in result.reason


@pytest.mark.parametrize(("n_in_review", "verdict"), [(0, PASS), (20, PASS), (21, NOT_EVALUATED)])
def test_a_long_review_backlog_is_left_to_a_person(n_in_review, verdict):
    assert review_backlog(data(n_in_review=n_in_review), CONFIG).verdict == verdict


def test_facts_that_were_not_gathered_are_left_to_a_person():
    gates = [new_data(None, CONFIG), leak_check(None), review_backlog(None, CONFIG), serving(None, CONFIG)]

    assert {result.verdict for result in gates} == {NOT_EVALUATED}


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, PASS, "loads without torch"),
        ({"latency_ms": 500.0, "size_bytes": 50_000_000}, PASS, "loads"),
        ({"latency_ms": 500.1}, FAIL, "too slow"),
        ({"latency_ms": 2055.0}, FAIL, "2055 ms a picture, the quickest of 10 (gates.max_latency_ms is 500)"),
        ({"size_bytes": 50_000_001}, FAIL, "too large"),
        ({"problem": "torch is not there", "latency_ms": None}, FAIL, "torch is not there"),
        ({"latency_ms": None}, FAIL, "could not be measured"),
        ({"latency_ms": float("nan")}, FAIL, "could not be measured"),
    ],
)
def test_a_bundle_must_load_without_torch_and_keep_to_its_limits(changes, verdict, reason):
    result = serving(SERVING.model_copy(update=changes), CONFIG)

    assert result.verdict == verdict
    assert reason in result.reason


@pytest.mark.parametrize(
    ("openings", "allowed", "verdict", "finding"),
    [
        (0, 0, PASS, None),
        (7, 0, PASS, None),
        (8, 0, PASS, "near the budget"),
        (10, 0, PASS, "near the budget"),
        (11, 0, NOT_EVALUATED, None),
        (11, 1, PASS, "accepted"),
        (12, 1, NOT_EVALUATED, None),
    ],
)
def test_the_budget_of_the_test_set_warns_and_then_needs_a_person(openings, allowed, verdict, finding):
    by = "Ada: no new patients till May" if allowed else None
    result = budget_gate(test_evidence(openings=openings, allowed=allowed, allowed_by=by), CONFIG)

    assert (result.verdict, result.finding, result.value, result.limit) == (verdict, finding, openings, 10)
    if verdict is NOT_EVALUATED or finding == "near the budget":
        assert "new patients" in result.reason
        assert "by name" in result.reason
    if finding == "accepted":
        assert by in result.reason


@pytest.mark.parametrize("wrong", ["site", "hospital=a", "=a"])
def test_a_required_slice_names_a_known_property(wrong):
    values = {
        "variants": [{"backbone": "efficientnet_lite0", "task": "ladnn"}],
        "gates": {"required_slices": [wrong], "slices": ["site"]},
    }
    with pytest.raises(ConfigError, match="property=value"):
        parse_config(values, "of the test")
    values["gates"]["required_slices"] = ["site=hospital-a"]
    assert parse_config(values, "of the test").gates.required_slices == ("site=hospital-a",)
    values["gates"]["required_slices"] = ["sex=female"]
    with pytest.raises(ConfigError, match="sex=female, but slices has site"):
        parse_config(values, "of the test")
