"""`ladnn approve` and `ladnn reject`: a person's answer to a held candidate.

The answer is recorded in the object store first. Then the flow run that waits for it is resumed; where none waits, or no
Prefect server is set or can be reached, the command itself promotes or ends the retrain.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from flows.embedded import prefect_errors_explained
from flows.environment import prepare_prefect
from ladnn.cli.options import By, Json, Reason
from ladnn.errors import ApprovalError, PromotionLogError, RetrainError
from ladnn.platform import Platform, open_platform
from ladnn.progress import say
from ladnn.result import emit, results_only_on_stdout
from ladnn.store import ObjectStore

if TYPE_CHECKING:
    from ladnn.governance.approval import Answer, Given
    from ladnn.governance.decision import Decision

T = TypeVar("T")
Retrain = Annotated[
    str | None, typer.Argument(help="A held retrain, see `ladnn waiting`.", metavar="RETRAIN", show_default=False)
]


def approve(retrain_id: Retrain = None, *, reason: Reason, by: By, as_json: Json = False) -> None:
    """Accept a held candidate by name and reason, and promote it."""
    _answer(retrain_id, "approved", by, reason, as_json=as_json)


def reject(retrain_id: Retrain = None, *, reason: Reason, by: By, as_json: Json = False) -> None:
    """Reject a held candidate by name and reason; the champion stays."""
    _answer(retrain_id, "rejected", by, reason, as_json=as_json)


def _answer(retrain_id: str | None, verdict: "Given", by: str, reason: str, *, as_json: bool) -> None:
    from ladnn.registry.approvals import give_answer, held_decision
    from ladnn.registry.summary import promoted_version

    platform = open_platform()
    decision = held_decision(platform.store, retrain_id)
    with results_only_on_stdout():
        try:
            given = give_answer(platform.store, platform.settings.trusted_keys(), decision, verdict, by, reason)
        except ApprovalError:
            _end(platform, decision)  # of what has expired or was overtaken the waiting flow run ends now, too
            raise
        flow_run = _resumed(platform.settings.home, decision, given)
        status = None if flow_run else _end(platform, decision)
    version = promoted_version(platform.store, decision.retrain_id)
    if status == "superseded":
        raise ApprovalError(
            f"retrain {decision.retrain_id} was {verdict}, but the champion changed since it was measured; "
            "run `ladnn retrain` again, which measures against the new champion"
        )
    if as_json:
        shown = {"retrain_id": decision.retrain_id, "status": status or verdict, "model_version": version}
        emit(shown | {"flow_run": flow_run, "approval": given})
    else:
        _print(platform.store, decision.retrain_id, given, flow_run)


def _resumed(home: Path, decision: "Decision", given: "Answer") -> str | None:
    """Resume the flow run that waits for the answer; return its name, None where there is none to resume."""

    def resume_run() -> str | None:
        from flows.approval import resume

        return resume(decision, given)

    return _by_prefect(resume_run, home, "the answer is recorded, but no flow run can be resumed")


def _end(platform: Platform, decision: "Decision") -> str | None:
    """Promote or end a retrain here, and the flow run that may still wait for it; return how it ended."""
    from ladnn.registry.approvals import settle
    from ladnn.registry.tracking import open_tracking

    def end_runs() -> None:
        from flows.approval import end_suspended

        end_suspended(platform.store)

    tracking, trusted = open_tracking(platform.settings), platform.settings.trusted_keys()
    outcome = settle(platform.store, tracking, trusted, decision)
    _by_prefect(end_runs, platform.settings.home, "a flow run may stay suspended until the next retrain")
    return outcome.status if outcome else None


def _by_prefect(act: Callable[[], T], home: Path, otherwise: str) -> T | None:
    """Do what needs the operator's Prefect server, where there is one; what the store says holds without it."""
    if not os.environ.get("PREFECT_API_URL"):
        return None
    prepare_prefect(os.environ, home)
    try:
        with prefect_errors_explained(home):
            return act()
    except RetrainError as error:
        say(f"{otherwise}: {error}")
        return None


def _print(store: ObjectStore, retrain_id: str, given: "Answer", flow_run: str | None) -> None:
    answered = f"{given.verdict} by {given.by}: {given.reason}"
    if flow_run:
        typer.echo(f"{answered}; flow run {flow_run} goes on with retrain {retrain_id}, see `ladnn history`")
    elif given.verdict == "approved":
        typer.echo(_promoted(store, retrain_id, given))
    else:
        typer.echo(f"retrain {retrain_id} {answered}; the champion stays")


def _promoted(store: ObjectStore, retrain_id: str, given: "Answer") -> str:
    """Say what an approval came to, which may have been given, and followed by other champions, long ago."""
    from ladnn.registry.promotion import promotions

    log = promotions(store)
    own = next((item for item in log if item.action == "promote" and item.retrain_id == retrain_id), None)
    if own is None:
        what = f"the promotion log has no record of retrain {retrain_id}, which was approved by {given.by}"
        raise PromotionLogError(what, "run `ladnn reconcile`, which says what to restore")
    if log[-1].bundle_id == own.bundle_id:
        return f"promoted: model version {own.model_version} (models:/ladnn@champion), approved by {given.by}: {given.reason}"
    last = max(record.number for record in log if record.bundle_id == own.bundle_id)
    return (
        f"retrain {retrain_id} was approved by {given.by} on {given.answered_at:%Y-%m-%d}: {given.reason}; its model version "
        f"{own.model_version} was champion until record {last + 1}, now that is model version {log[-1].model_version}"
    )
