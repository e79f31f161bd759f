"""Commands for what is champion: history, promote, rollback, reconcile."""

from typing import Annotated

import typer

from ladnn.cli.options import By, Json
from ladnn.errors import LadnnError
from ladnn.platform import Platform, open_platform
from ladnn.progress import say
from ladnn.result import emit, results_only_on_stdout
from ladnn.store import ObjectStore

_LATER = "ladnn: MLflow's aliases and the cards do not follow yet; `ladnn reconcile` mends them"


def history(as_json: Json = False) -> None:
    """Show promotions and rollbacks with who, when and why, the challenger, and all retrains."""
    from ladnn.cli.promotion_tables import print_history
    from ladnn.registry.history import history as read_history

    document = read_history(open_platform().store)
    if as_json:
        emit(document)
    else:
        print_history(document)


def promote(
    model: Annotated[str, typer.Argument(help="A retrain (r-…), a bundle (b-…) or the model version of a challenger.")],
    reason: Annotated[str, typer.Option(help="Why it shall answer from now on.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Make a candidate champion that passed its gates, or that a person accepted; see `ladnn history`.

    It is refused where another model became champion since it was measured.
    """
    from ladnn.registry.promote_named import promote_named
    from ladnn.registry.reconcile import FLOW_RUN_LATER
    from ladnn.registry.summary import read_held
    from ladnn.registry.tracking import brief_requests, open_tracking

    platform = open_platform()
    with results_only_on_stdout():
        with brief_requests():  # a server that hangs is told within seconds
            tracking = open_tracking(platform.settings)
        trusted = platform.settings.trusted_keys()
        record = promote_named(platform.store, tracking, trusted, model, by=by, reason=reason)
    if as_json:
        emit(record)
    else:
        typer.echo(f"champion is model version {record.model_version} (record {record.number}, by {record.by})")
    if read_held(platform.store, record.retrain_id) is not None:
        say(FLOW_RUN_LATER)


def rollback(
    reason: Annotated[str, typer.Option(help="Why the present model must go.")],
    by: By,
    version: Annotated[
        str | None,
        typer.Argument(
            help="Model version, bundle (b-…) or retrain (r-…) that was champion before.",
            show_default="the one before the champion",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a model that was champion before champion again.

    Without VERSION the model before the present one. Again, it goes back one more; it never brings back what a rollback
    removed: name its version for that. A retrain that is running is not in the way and cannot undo it.
    """
    from ladnn.registry.rollback import roll_back

    platform = open_platform()
    record = roll_back(platform.store, platform.settings.trusted_keys(), by=by, reason=reason, version=version)
    # At once: it holds whatever becomes of the rest, and who does not hear of it would roll back a second time.
    if as_json:
        emit(record)
    else:
        typer.echo(f"champion is model version {record.model_version} again (record {record.number}, by {record.by})")
    with results_only_on_stdout():
        _follow(platform)
    _tell_superseded(platform.store)


def reconcile(as_json: Json = False) -> None:
    """Make promotion log, MLflow's aliases and runs, and checkpoints agree after a crash, and say what was done."""
    from ladnn.cli.promotion_tables import print_reconciled
    from ladnn.registry.reconcile import reconcile as mend

    platform = open_platform()
    with results_only_on_stdout():
        result = mend(platform.settings, platform.store)
    if as_json:
        emit(result)
    else:
        print_reconciled(result)
    if result.needs_a_person:
        raise typer.Exit(1)


def _tell_superseded(store: ObjectStore) -> None:
    from ladnn.registry.damaged import undamaged
    from ladnn.registry.holds import standing
    from ladnn.registry.summary import open_holds

    store, damaged = undamaged(store, "open")
    for what, error in damaged.items():
        say(f"whether {what} still waits for a person cannot be told: {error}")
    for decision in open_holds(store):
        try:
            state = standing(store, decision)
        except LadnnError as error:
            say(f"whether retrain {decision.retrain_id} still waits for a person cannot be told: {error}")
            continue
        if state == "superseded":
            say(f"retrain {decision.retrain_id}, which waited for a person, is superseded: the champion changed since")


def _follow(platform: Platform) -> None:
    """Let MLflow and the papers of the models follow; the rollback holds without them, and where MLflow is not installed."""
    try:
        from ladnn.registry.model_versions import follow_log  # MLflow takes seconds to import
        from ladnn.registry.publication import publish_withdrawals
        from ladnn.registry.tracking import brief_requests, open_tracking

        with brief_requests():
            tracking = open_tracking(platform.settings)
            follow_log(tracking, platform.store)
            for model, problem in publish_withdrawals(platform.store, tracking, platform.settings.trusted_keys()):
                if problem:
                    say(f"ladnn: the card of model version {model.model_version} does not tell it yet: {problem}")
    except ModuleNotFoundError as error:
        say(f"{_LATER} on a host that has {error.name}, which this one lacks")
    except LadnnError as error:
        say(f"{_LATER}: {error.problem}")
