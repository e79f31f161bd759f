"""How a flow run waits for a person: suspended, so that its process ends and its worker is free, until it is answered.

The answer is given by the form of the Prefect UI or by `ladnn approve`. It counts once it stands in the object store;
what Prefect keeps is the way there. The retrain's id is the key of the suspension, and thus finds the flow run again.
"""

import os
from contextlib import suppress
from datetime import timedelta
from typing import Literal, NoReturn
from uuid import UUID

from prefect import suspend_flow_run
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import Abort, ObjectNotFound
from prefect.input import RunInput
from prefect.states import Cancelled, Completed
from pydantic import Field

from flows.embedded import owns_server
from ladnn.errors import ApprovalError
from ladnn.governance.approval import Answer, Given, until
from ladnn.governance.decision import Decision
from ladnn.progress import say
from ladnn.registry.approvals import give_answer
from ladnn.registry.summary import read_outcome
from ladnn.retrain import is_retrain_id
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore

EXPIRE = "expire"
"""Name of the flow that ends what nobody answered in time, and of its deployment, which `ladnn schedule` serves."""
_CLOCKS_AGREE_WITHIN = timedelta(minutes=1)
_VERDICTS: dict[Literal["approve", "reject"], Given] = {"approve": "approved", "reject": "rejected"}


class ApprovalForm(RunInput):
    """What the form of the Prefect UI asks."""

    decision: Literal["approve", "reject"]
    by: str = Field(min_length=1, pattern=r"\S", description="Who decides it.")
    reason: str = Field(min_length=1, pattern=r"\S", description="Why; kept with the decision.")


def suspended_for() -> str | None:
    """Return the retrain that this flow run waited for before it was resumed; None in a run that never waited."""
    keys = _flow_run().empirical_policy.pause_keys or set()
    return next(filter(is_retrain_id, keys), None)  # other keys are of a person who suspended the run by hand


def wait_for_answer(store: ObjectStore, trusted: TrustedKeys, decision: Decision) -> None:
    """Suspend this flow run until a person answers, then record the answer; return at once where it cannot be suspended.

    Only a run of a deployment can be: something must start it again. A server of the command's own is gone by then. Of a
    retrain one run waits, not each that finds it.

    Raises:
        BundleError: it was approved, but its bundle is damaged, or no trusted key signed it; it waits on for an answer.
    """
    run = _flow_run()
    is_restartable = run.deployment_id is not None and run.parent_task_run_id is None and not owns_server(os.environ)
    if not is_restartable or decision.retrain_id in suspended_runs():
        return
    say(f"retrain {decision.retrain_id} waits for a person until {until(decision)}; this flow run is suspended")
    _wake_at_deadline(decision)
    form = ApprovalForm.with_initial_data(description=_description(decision))
    filled = suspend_flow_run(wait_for_input=form, key=decision.retrain_id)
    if filled is None:
        return
    try:
        give_answer(store, trusted, decision, _VERDICTS[filled.decision], filled.by, filled.reason)
    except ApprovalError as error:  # what holds already is carried out; the form comes too late
        say(f"the answer of {filled.by} changes nothing: {error}")


def suspended_runs() -> dict[str, FlowRun]:
    """Return the flow runs that wait for a person, by their retrain."""
    suspended = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))
    retrains = FlowFilter(name=FlowFilterName(any_=["retrain"]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_filter=retrains, flow_run_filter=suspended)
    keys = ((run.state.state_details.pause_key if run.state else None, run) for run in runs)
    return {key: run for key, run in keys if key is not None and is_retrain_id(key)}


def resume(decision: Decision, given: Answer) -> str | None:
    """Resume the flow run that waits for this answer and return its name; None where none does."""
    run = suspended_runs().get(decision.retrain_id)
    if run is None:
        return None
    verdict = next(word for word, verdict in _VERDICTS.items() if verdict == given.verdict)
    with get_client(sync_client=True) as client:
        form = {"decision": verdict, "by": given.by, "reason": given.reason}
        response = client.resume_flow_run(run.id, run_input=form)
    return run.name if response.status == SetStateStatus.ACCEPT else None


def end_suspended(store: ObjectStore) -> None:
    """End the flow runs that still wait although their retrain has ended, such as by expiry."""
    for retrain_id, run in suspended_runs().items():
        outcome = read_outcome(store, retrain_id)
        if outcome is not None:
            _set_state(run.id, _ended(retrain_id, outcome.status))


def end_flow_run(retrain_id: str, status: str) -> NoReturn:
    """End this flow run and its process; a state that a flow returns would leave a traceback where it is Cancelled."""
    state = _ended(retrain_id, status)
    _set_state(_flow_run().id, state)
    raise Abort(state.message)


def _ended(retrain_id: str, status: str) -> State[None]:
    message = f"retrain {retrain_id}: {status}"
    if status in {"expired", "superseded"}:
        return Cancelled(name=status.capitalize(), message=message)
    return Completed(message=message)


def _wake_at_deadline(decision: Decision) -> None:
    """Schedule what ends this flow run where nobody answers: a suspended one sleeps on past any deadline of ours.

    Prefect's own time-out would end it as failed, and in the store nothing. Where nobody serves that deployment, the next
    retrain or monitor ends it.
    """
    if decision.expires_at is None:
        return
    with suppress(ObjectNotFound):
        run_deployment(
            f"{EXPIRE}/{EXPIRE}",
            scheduled_time=decision.expires_at + _CLOCKS_AGREE_WITHIN,
            flow_run_name=f"{decision.retrain_id}-deadline",
            idempotency_key=f"{decision.retrain_id} {decision.expires_at.isoformat()}",
            timeout=0,
            as_subflow=False,
        )


def _set_state(run_id: UUID, state: State[None]) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, state, force=True)


def _flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("there is no flow run; call this inside of a flow")
    return context.flow_run


def _description(decision: Decision) -> str:
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    return (
        f"Retrain **{decision.retrain_id}** (candidate {decision.variant}) waits for a person until "
        f"**{until(decision)}**; after that it has expired.\n\n{reasons}\n\n"
        "`approve` promotes it, `reject` ends it. Your name and reason are kept with the decision."
    )
