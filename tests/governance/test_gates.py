"""Truth tables of the gates and of the verdict they join to."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from ladnn.config import GateConfig, ProbeLimits
from ladnn.dataset.canonical_form import CanonicalForm
from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict, ProbeResult, ShortcutAudit
from ladnn.errors import GateError
from ladnn.evaluation.metrics import evaluate_diagnosis
from ladnn.governance.gates import evidence as gates
from ladnn.governance.gates.champion import not_worse_than_champion
from ladnn.governance.gates.data import shortcut_audit
from ladnn.governance.gates.evidence import Evidence
from ladnn.governance.gates.floors import auroc_floor
from ladnn.governance.gates.run import run_gates
from ladnn.governance.gates.verdicts import GateResult, Verdict, overall
from ladnn.statistics import Bootstrap, Interval

CONFIG = GateConfig(min_auroc=0.75, non_inferiority_margin=0.05, max_test_openings=20)
PASS, FAIL, NOT_EVALUATED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_EVALUATED


def diagnosis(auroc):
    """Metrics of 40 images with this AUROC; all else as measured on a perfect classifier."""
    labels = np.repeat([0.0, 1.0], 20)
    metrics = evaluate_diagnosis(
        labels,
        labels,
        [str(i) for i in range(40)],
        threshold=0.5,
        sampling=Bootstrap(n_replicates=10, confidence=0.95, seed=1),
    )
    return metrics.model_copy(update={"auroc": Interval(value=auroc, low=auroc, high=auroc, n=40)})


def interval(value, low, high):
    return Interval(value=value, low=low, high=high, n=40)


def evidence(**changes):
    """A candidate as good as the champion, with whatever the case changes."""
    values = {
        "candidate": diagnosis(0.9),
        "champion": diagnosis(0.9),
        "difference": interval(0.0, -0.02, 0.02),
        "has_champion": True,
        "candidate_is_champion": False,
        "openings": 1,
    }
    return gates.TestEvidence(**(values | changes))


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


def acceptance(*probes):
    return AuditAcceptance(
        dataset_version="d-1", by="Ada", reason="known", accepted=probes, accepted_at=datetime(2020, 6, 1, tzinfo=UTC)
    )


def judged(**changes):
    """The same, with a clean audit."""
    return Evidence(test=evidence(**changes), audit=audit(), acceptance=None)


FIRST = {"champion": None, "difference": None, "has_champion": False}
NO_TEST_SET = {"candidate": None, "champion": None, "difference": None, "openings": 0}


@pytest.mark.parametrize(
    ("candidate", "verdict", "reason"),
    [
        (diagnosis(0.9), PASS, "reaches"),
        (diagnosis(0.75), PASS, "reaches"),
        (diagnosis(np.nextafter(0.75, 0)), FAIL, "below"),
        (diagnosis(0.5), FAIL, "below"),
        (diagnosis(None), FAIL, "cannot be computed"),
        (None, NOT_EVALUATED, "no test set"),
    ],
)
def test_auroc_floor(candidate, verdict, reason):
    result = auroc_floor(evidence(candidate=candidate), CONFIG)

    assert result.verdict == verdict
    assert reason in result.reason
    assert result.limit == 0.75
    assert result.value == (candidate.auroc.value if candidate else None)


@pytest.mark.parametrize(
    ("difference", "verdict", "reason"),
    [
        (interval(0.0, -0.02, 0.02), PASS, "not worse"),
        (interval(0.0, 0.0, 0.0), PASS, "not worse"),
        (interval(0.1, 0.05, 0.15), PASS, "not worse"),
        (interval(-0.02, -0.04, -0.01), PASS, "not worse"),
        (interval(0.0, np.nextafter(-0.05, 0), 0.05), PASS, "not worse"),
        (interval(0.0, -0.05, 0.05), FAIL, "cannot be shown"),
        (interval(0.02, -0.06, 0.1), FAIL, "cannot be shown"),
        (interval(-0.05, -0.1, 0.0), FAIL, "cannot be shown"),
        (interval(-0.1, -0.15, -0.05), FAIL, "worse than the champion:"),
        (interval(None, None, None), FAIL, "cannot be computed"),
        (interval(0.0, None, None), FAIL, "cannot be computed"),
        (None, FAIL, "cannot be computed"),
    ],
)
def test_not_worse_than_champion(difference, verdict, reason):
    result = not_worse_than_champion(evidence(difference=difference), CONFIG)

    assert result.verdict == verdict
    assert reason in result.reason
    assert result.limit == -0.05
    assert result.interval == difference


@pytest.mark.parametrize(
    ("changes", "floor", "comparison", "verdict"),
    [
        ({}, PASS, PASS, PASS),
        (FIRST, PASS, PASS, PASS),
        (FIRST | {"candidate": diagnosis(0.6)}, FAIL, PASS, FAIL),
        (FIRST | {"candidate": diagnosis(None)}, FAIL, PASS, FAIL),
        (NO_TEST_SET, NOT_EVALUATED, NOT_EVALUATED, NOT_EVALUATED),
        (FIRST | NO_TEST_SET, NOT_EVALUATED, PASS, NOT_EVALUATED),
        ({"candidate_is_champion": True}, PASS, FAIL, FAIL),
        (NO_TEST_SET | {"candidate_is_champion": True}, NOT_EVALUATED, FAIL, FAIL),
        ({"candidate": diagnosis(None), "difference": interval(None, None, None)}, FAIL, FAIL, FAIL),
    ],
)
def test_gates_together(changes, floor, comparison, verdict):
    results = run_gates(judged(**changes), CONFIG)

    assert [(result.name, result.verdict) for result in results] == [
        ("auroc_floor", floor),
        ("not_worse_than_champion", comparison),
        ("shortcut_audit", PASS),
    ]
    assert overall(results) == verdict


def test_the_first_champion_and_an_identical_candidate_are_explained():
    first = not_worse_than_champion(evidence(**FIRST), CONFIG)
    identical = not_worse_than_champion(evidence(candidate_is_champion=True), CONFIG)

    assert first.reason == "first champion: nothing to compare with"
    assert identical.reason == "identical to the champion: nothing would change"


@pytest.mark.parametrize(
    ("found", "accepted", "verdict", "reason"),
    [
        (audit(), None, PASS, "no probe"),
        (audit(borders="amber"), None, PASS, "amber"),
        (audit(borders="not enough cases"), None, PASS, "not enough cases"),
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


def test_a_probe_of_the_canonical_form_holds_nothing():
    clean = audit()
    canonical = clean.results[0].model_copy(update={"stage": "canonical", "verdict": AuditVerdict.RED})
    found = clean.model_copy(update={"results": (*clean.results, canonical)})

    assert shortcut_audit(found, None).verdict == PASS


@pytest.mark.parametrize(("openings", "exceeded"), [(1, False), (20, False), (21, True)])
def test_a_test_set_opened_past_its_budget_needs_a_person(openings, exceeded):
    results = run_gates(judged(openings=openings), CONFIG)

    assert overall(results) == (NOT_EVALUATED if exceeded else PASS)
    assert [result.name for result in results[3:]] == (["test_set_budget"] if exceeded else [])
    if exceeded:
        assert (results[3].value, results[3].limit) == (21, 20)
        assert "new patients" in results[3].reason
        assert "by name" in results[3].reason


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
