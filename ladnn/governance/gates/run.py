"""All gates in order, over one candidate's evidence."""

from ladnn.config_gates import GateConfig
from ladnn.governance.change_control import change_control
from ladnn.governance.gates.budget import test_set_budget
from ladnn.governance.gates.champion import not_worse_than_champion, sensitivity_not_worse, specificity_not_worse
from ladnn.governance.gates.data import leak_check, new_data, review_backlog, shortcut_audit
from ladnn.governance.gates.evidence import Beforehand, Evidence
from ladnn.governance.gates.floors import (
    auroc_floor,
    calibration_limit,
    lesion_floor,
    sensitivity_floor,
    specificity_floor,
)
from ladnn.governance.gates.lesions import lesion_sanity
from ladnn.governance.gates.retention import retention
from ladnn.governance.gates.serving import serving
from ladnn.governance.gates.slices import flips, no_slice_worse
from ladnn.governance.gates.verdicts import GateResult, Verdict, counted
from ladnn.governance.gates.withdrawal import not_withdrawn

_OF_TEST = (
    auroc_floor,
    sensitivity_floor,
    specificity_floor,
    calibration_limit,
    lesion_floor,
    not_worse_than_champion,
    sensitivity_not_worse,
    specificity_not_worse,
    no_slice_worse,
    flips,
    retention,
    lesion_sanity,
    test_set_budget,
)


def run_gates_beforehand(evidence: Beforehand, config: GateConfig) -> tuple[GateResult, ...]:
    """Return the verdicts of the gates that need no test set: where one fails it is not worn out for nothing."""
    return (*_of_data(evidence, config), serving(evidence.serving, config))


def run_gates(evidence: Evidence, config: GateConfig) -> tuple[GateResult, ...]:
    """Return every gate's verdict: the data, the test set, the service."""
    tested = (gate(evidence.test, config) for gate in _OF_TEST)
    if evidence.test.shut is not None:
        tested = (_not_run(gate, evidence.test.shut) for gate in tested)
    return (*_of_data(evidence, config), *tested, serving(evidence.serving, config))


def _of_data(evidence: Beforehand, config: GateConfig) -> tuple[GateResult, ...]:
    return (
        new_data(evidence.data, config),
        leak_check(evidence.data),
        shortcut_audit(evidence.audit, evidence.acceptance),
        review_backlog(evidence.data, config),
        change_control(evidence.changes),
        *not_withdrawn(evidence.withdrawn),
    )


def _not_run(gate: GateResult, shut: str) -> GateResult:
    """Return a gate by its name and limit, without a verdict: there is nothing that it could have looked at."""
    reason = f"not run, as the test set was not opened: {shut}"
    return counted(gate.name, None, gate.limit, Verdict.NOT_EVALUATED, reason)
