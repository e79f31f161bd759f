"""What makes a model champion, killed before every write: a champion always answers, and a reconcile mends the rest.

A home is copied while the process stands still before each of its writes; one test holds such copies against homes that
a killed process left, at every write of a promotion and of a rollback.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from challengers import SECOND, aliases, copied, decide, promote_decided
from dying import killed_before_write, stopped_before_each_write
from killed_homes import UNPOOLED, Installation, RestorableHome, State
from trained_platform import VARIANT, TrainedPlatform

from ladnn.governance.decision import read_decision
from ladnn.registry import bundle, retrain_runs
from ladnn.registry.approvals import give_answer, settle
from ladnn.registry.challenger import challenge
from ladnn.registry.model_versions import MODEL
from ladnn.registry.promote_named import promote_named
from ladnn.registry.promotion import before_champion, champion, promotions
from ladnn.registry.publication import end_retrain, publish
from ladnn.registry.reconcile import reconcile
from ladnn.registry.rollback import roll_back
from ladnn.registry.summary import begin_wait, status_of, summarise
from ladnn.registry.test_set import required_test_result
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import read, required_plan
from ladnn.serving.predictor import load_champion

pytestmark = pytest.mark.slow
_BY = ("--by", "Ada", "--reason", "looked at it")


def by_command(platform: Installation, *arguments: str) -> None:
    """Do what an operator types; in a process of its own."""
    from ladnn.cli import app

    os.environ.update(platform.environment)
    for entry in entry_points(group="ladnn.commands"):
        entry.load()(app)
    app([*arguments, *_BY], standalone_mode=False)


def end_rejected(platform: Installation) -> None:
    """Do what a retrain does that its gates rejected."""
    plan = required_plan(platform.store, SECOND)
    end_retrain(platform.store, open_tracking(platform.settings), platform.trusted, plan, "rejected")


def leave_passed(platform: Installation) -> None:
    """Leave a candidate that its gates passed; runs of its retrain are open, and a checkpoint was forgotten."""
    decide(platform, SECOND, platform.another_bundle(0.3))
    open_tracking(platform.settings).variant_run(SECOND, VARIANT, {})
    platform.store.put(f"checkpoints/{SECOND}/{VARIANT}/0000000001-a.safetensors", b"left by a killed training")


def leave_rejected(platform: Installation) -> None:
    decide(platform, SECOND, platform.another_bundle(0.3), "reject")
    open_tracking(platform.settings).parent_run(SECOND, {})


def leave_decided_to_hold(platform: Installation) -> None:
    decide(platform, SECOND, platform.another_bundle(0.3), "hold")
    open_tracking(platform.settings).variant_run(SECOND, VARIANT, {})


def hold(platform: Installation) -> None:
    """Do what a retrain does whose candidate is to wait for a person."""
    store, tracking, trusted = platform.store, open_tracking(platform.settings), platform.trusted
    plan = required_plan(store, SECOND)
    challenge(store, tracking, trusted, read_decision(store, SECOND), required_test_result(store, SECOND))
    publish(store, tracking, trusted, plan)
    retrain_runs.end(tracking, summarise(store, plan))
    begin_wait(store, SECOND, ())


def leave_held(platform: Installation) -> None:
    """Leave a candidate that waits for a person."""
    leave_decided_to_hold(platform)
    hold(platform)
    reconcile(platform.settings, platform.store)


def leave_promoted(platform: Installation) -> None:
    leave_passed(platform)
    promote_decided(platform, SECOND)
    reconcile(platform.settings, platform.store)


def approve_again(platform: Installation) -> None:
    decision = read_decision(platform.store, SECOND)
    give_answer(platform.store, platform.trusted, decision, "approved", "Ada", "looked at it")
    settle(platform.store, open_tracking(platform.settings), platform.trusted, decision)


def promote_again(platform: Installation) -> None:
    tracking = open_tracking(platform.settings)
    promote_named(platform.store, tracking, platform.trusted, SECOND, by="Ada", reason="looked at it")


def roll_back_again(platform: Installation) -> None:
    roll_back(platform.store, platform.trusted, by="Ada", reason="looked at it")
    reconcile(platform.settings, platform.store)


@dataclass(frozen=True)
class Case:
    """An act that is killed.

    Attributes:
        leave: makes what the act finds.
        act: what is killed, in a process of its own.
        again: what finishes it where a reconcile does not.
        first_write: tells of its writes the one from which on a reconcile finishes it.
        before: status of the retrain until then; `after` from then on.
        ends: the aliases when all is done.
        repeatable: whether the same command also finishes what was killed, without a reconcile.
    """

    leave: Callable[[Installation], None]
    act: tuple[Callable[..., None], ...]
    again: Callable[[Installation], None]
    first_write: str
    before: str
    after: str
    ends: dict[str, str]
    repeatable: bool = False


SECOND_CHAMPION = {"champion": "2", "previous-champion": "1"}
PROMOTION = "put_if_absent promotions/000002.json"
CASES = {
    "retrain": Case(
        leave_passed,
        (promote_decided, SECOND),
        lambda platform: promote_decided(platform, SECOND),
        PROMOTION,
        "unfinished",
        "promoted",
        SECOND_CHAMPION,
    ),
    "promote": Case(
        leave_passed,
        (by_command, "promote", SECOND),
        promote_again,
        PROMOTION,
        "unfinished",
        "promoted",
        SECOND_CHAMPION,
    ),
    "approve": Case(
        leave_held,
        (by_command, "approve", SECOND),
        approve_again,
        f"put_if_absent retrains/{SECOND}/answer.json",
        "held",
        "promoted",
        SECOND_CHAMPION,
        repeatable=True,
    ),
    "hold": Case(
        leave_decided_to_hold,
        (hold,),
        hold,
        "put_if_absent challengers/",
        "held",
        "held",
        {"champion": "1", "challenger": "2"},
    ),
    "rejected": Case(leave_rejected, (end_rejected,), end_rejected, "", "rejected", "rejected", {"champion": "1"}),
    "rollback": Case(
        leave_promoted,
        (by_command, "rollback"),
        roll_back_again,
        "put_if_absent promotions/000003.json",
        "promoted",
        "promoted",
        {"champion": "1", "previous-champion": "2"},
    ),
}


@pytest.fixture(scope="module")
def measured(trained_platform, migrated_database, tmp_path_factory) -> tuple[TrainedPlatform, State]:
    """A home with a champion, and how it was then."""
    folder = tmp_path_factory.mktemp("killed")
    platform = copied(trained_platform, folder / "home")
    (platform.home / "mlflow").mkdir()
    shutil.copy(migrated_database, platform.home / "mlflow" / "mlflow.db")
    decide(platform, platform.retrain_id, platform.bundle_id)
    promote_decided(platform, platform.retrain_id)
    return platform, RestorableHome(platform, folder / "states").keep()


@pytest.fixture
def home(measured, tmp_path, monkeypatch) -> RestorableHome:
    """The same home, as it was before the test."""
    for name, value in UNPOOLED.items():
        monkeypatch.setenv(name, value)
    platform, first = measured
    home = RestorableHome(platform, tmp_path / "states", first)
    home.restore(first)
    return home


@pytest.fixture
def open_bundles_once(monkeypatch) -> None:
    """Open each bundle once in this process: none of the acts writes to one, and all look into some again and again."""
    opened, whole = {}, bundle._open

    def open_once(bundle_id, *arguments):
        if bundle_id not in opened:
            opened[bundle_id] = whole(bundle_id, *arguments)
        return opened[bundle_id]

    monkeypatch.setattr(bundle, "_open", open_once)


def assert_consistent(platform: Installation) -> None:
    """Log, aliases, versions, runs and checkpoints say the same, and a second reconcile finds nothing."""
    store, tracking = platform.store, open_tracking(platform.settings)
    log = promotions(store)
    before = before_champion(log)
    waiting = champion(store).number == 1 and {"challenger": "2"}  # unless it was killed before it had a version
    expected = {"champion": log[-1].model_version} | ({"previous-champion": before.model_version} if before else {})
    assert aliases(tracking) in (expected, expected | (waiting or {}))
    versions = tracking.client.search_model_versions(f"name = '{MODEL}'")
    bundles = [version.tags["ladnn.bundle_id"] for version in versions]
    assert len(bundles) == len(set(bundles))
    assert {record.bundle_id for record in log} <= set(bundles)
    runs = tracking.client.search_runs([tracking.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    assert list(store.list("checkpoints/")) == [] or status_of(store, SECOND) == "unfinished"
    again = reconcile(platform.settings, store)
    assert (again.mended, again.at_work, again.needs_a_person) == ((), (), ())


def assert_on_paper(platform: Installation) -> None:
    """The decision record, the card and MLflow's tags tell how the retrain ended, or that it waits."""
    store, tracking = platform.store, open_tracking(platform.settings)
    ended = status_of(store, SECOND)
    assert read(store, SECOND, "record")["ended"] == {"held": "held for a person"}.get(ended, ended)
    (run,) = tracking.client.search_runs(
        [tracking.experiment_id], f"tags.`ladnn.retrain_id` = '{SECOND}' and tags.`ladnn.variant` = ''"
    )
    assert run.data.tags["ladnn.status"] == ended
    kept = {item.path for item in tracking.client.list_artifacts(run.info.run_id)}
    assert {"decision_record.json", "decision_record.html", "summary.json"} <= kept
    if ended == "promoted":
        assert "model_card.html" in kept
        bundle_id, version = read_decision(store, SECOND).bundle_id, run.data.tags["ladnn.model_version"]
        assert store.exists(f"cards/{bundle_id}/card.json")
        description = tracking.client.get_model_version(MODEL, version).description
        assert "**Intended use.**" in description
        is_withdrawn = champion(store).bundle_id != bundle_id
        assert ("It was withdrawn by" in description) is is_withdrawn
        assert (read(store, SECOND, "record")["withdrawal"] is not None) is is_withdrawn


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("retrain", "s3"),
        ("promote", "file"),
        ("approve", "file"),
        ("hold", "file"),
        ("rejected", "file"),
        ("rollback", "file"),
        ("rollback", "s3"),
    ],
)
def test_killed_before_any_write_a_champion_answers_and_a_reconcile_mends_the_rest(
    name, kind, request, home, forkserver, open_bundles_once
):
    case = CASES[name]
    case.leave(home.restore(home.keep()))
    if kind == "s3":
        home.move_to_bucket(request.getfixturevalue("s3_server"))
    start = home.keep()
    stops = stopped_before_each_write(forkserver, case.act[0], home.restore(start), *case.act[1:])
    # Uploads go to MLflow's folder, whatever holds the objects.
    states = [(write, home.keep()) for write in stops if kind == "file" or not write.startswith("upload")]
    assert not [write for write, _ in states if "bundles/" in write]

    holds = False
    for write, state in states:
        platform = home.restore(state)
        log = promotions(platform.store)
        assert load_champion(platform.store, platform.trusted).model_version == log[-1].model_version, write

        reconcile(platform.settings, platform.store)

        assert_consistent(platform)
        assert promotions(platform.store)[: len(log)] == log, write
        assert status_of(platform.store, SECOND) == (case.after if holds else case.before), write
        if status_of(platform.store, SECOND) in {"promoted", "rejected"}:
            assert_on_paper(platform)
        if not holds:
            case.again(platform)
            assert_on_paper(platform)
        assert aliases(open_tracking(platform.settings)) == case.ends, write
        if case.repeatable:
            platform = home.restore(state)
            case.again(platform)
            assert_on_paper(platform)
            assert [record.number for record in promotions(platform.store)] == [1, 2], write
            assert aliases(open_tracking(platform.settings)) == case.ends, write
        holds = holds or write.startswith(case.first_write)
    assert holds


@pytest.mark.parametrize("name", ["retrain", "rollback"])
def test_a_process_killed_at_any_write_leaves_what_lay_there_while_it_stood_still(name, home, tmp_path, forkserver):
    case = CASES[name]
    case.leave(home.restore(home.keep()))
    start = home.keep()
    stopped = [
        (write, home.keep())
        for write in stopped_before_each_write(forkserver, case.act[0], home.restore(start), *case.act[1:])
    ]
    assert name == "rollback" or {write.split()[0] for write, _ in stopped} == {
        "upload",
        "commit",
        "put",
        "put_if_absent",
    }

    for number, (write, state) in enumerate(stopped, 1):
        killed_before_write(forkserver, tmp_path, number, case.act[0], home.restore(start), *case.act[1:])
        assert seen_in(home.keep()) == seen_in(state), write


def seen_in(state: State) -> tuple[set[Path], int, dict[str, int]]:
    """The objects of a state, how many files were uploaded, and how many rows MLflow's tables have."""
    (database,) = [copy for place, copy in state.files.items() if place.suffix == ".db"]
    journal = {"journal" for place in state.files if place.name.endswith(".db-journal")}
    places = {place for place in state.files if place.parts[:2] != ("store", ".tmp") and ".db" not in place.name}
    uploads = {place for place in places if place.is_relative_to("mlflow/artifacts")}  # of a folder in any order
    with sqlite3.connect(database) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    connection.close()
    return (places - uploads) | journal, len(uploads), rows
