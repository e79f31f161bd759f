"""Flow runs of killed processes: Prefect cannot know that they died, so the next retrain says so."""

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

_LOCKED = ["retrain", "train-variant"]
"""Flows that run under the lock. The monitor does not: it may run beside a retrain, or be the one that set it off."""


def end_abandoned_runs(own_run: UUID | None) -> int:
    """Mark every running retrain but one's own as crashed; to be called by the holder of the only lock.

    Returns:
        How many there were.
    """
    running = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])))
    locked = FlowFilter(name=FlowFilterName(any_=_LOCKED))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_filter=locked, flow_run_filter=running)
        abandoned = [run for run in found if run.id != own_run]
        for run in abandoned:
            client.set_flow_run_state(run.id, Crashed(message="its process was killed"), force=True)
    return len(abandoned)
