"""`ladnn decision`, `ladnn card`, `ladnn verify` and `ladnn keys`."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from ladnn.cli import app
from ladnn.errors import SettingsError
from ladnn.governance.change_control import ChangeItem, ChangeSheet
from ladnn.governance.decision import Decision
from ladnn.governance.gates.verdicts import GateResult, Verdict
from ladnn.registry.test_set import open_test_set
from ladnn.retrain import keep
from ladnn.signing import SigningKey


@pytest.fixture
def decided(champion_platform):
    """A platform whose retrain opened its test set and was held."""
    platform = champion_platform
    open_test_set(
        platform.store, platform.plan, platform.version, platform.bundle_id, platform.trusted, platform.settings.cache
    )
    gate = GateResult(
        name="auroc_floor", value=0.9, limit=0.75, interval=None, n=4, verdict=Verdict.NOT_EVALUATED, reason="too few"
    )
    item = ChangeItem(what="backbone", before=None, now="lite0", allowed="lite1", inside=False)
    decision = Decision(
        retrain_id=platform.retrain_id,
        variant=platform.trained.variant.name,
        bundle_id=platform.bundle_id,
        outcome="hold",
        policy="automatic",
        expires_at=None,
        gates=(gate,),
        reasons=("auroc_floor: too few",),
        changes=ChangeSheet(champion=None, items=(item,)),
        decided_at=platform.plan.planned_at,
    )
    keep(platform.store, platform.retrain_id, "decision", decision.model_dump(mode="json"))
    return platform


def run(platform, *arguments, **variables):
    environment = {"LADNN_HOME": str(platform.home), "COLUMNS": "200"} | variables
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def test_the_decision_is_shown_written_and_given_to_programs(decided, tmp_path):
    shown = run(decided, "decision").stdout
    for word in ("held for a person", "policy: automatic", "auroc_floor", "too few", "backbone", "outside"):
        assert word in shown

    written = run(decided, "decision", decided.retrain_id, "--html", tmp_path / "d.html", "--json")

    assert json.loads(written.stdout)["gates"][0]["verdict"] == "not evaluated"
    assert "<title>Decision on retrain" in (tmp_path / "d.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["decision", "card"])
def test_a_page_that_cannot_be_written_is_one_error_that_names_it(decided, tmp_path, command):
    asked = tmp_path / "no folder" / "page.html"
    refused = run(decided, command, "--html", asked)
    assert isinstance(refused.exception, SettingsError)
    assert str(asked) in str(refused.exception)


@pytest.mark.parametrize("name", ["champion", "1", "last", "the retrain", None])
def test_the_card_of_a_model_by_any_of_its_names(decided, tmp_path, name):
    name = decided.retrain_id if name == "the retrain" else name
    shown = run(decided, "card", *([name] if name else []))
    assert "**Limits.**" in shown.stdout

    written = run(decided, "card", name or decided.bundle_id, "--html", tmp_path / "c.html", "--json")

    assert json.loads(written.stdout)["bundle_id"] == decided.bundle_id
    assert "<title>Model card" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_a_bundle_is_verified_by_name_and_as_a_folder(champion_platform):
    platform = champion_platform
    folder = platform.home / "store" / "bundles" / platform.bundle_id
    for name in ("champion", "1", platform.bundle_id, folder):
        done = run(platform, "verify", name)
        assert done.exit_code == 0
        assert f"bundle {platform.bundle_id} is whole, signed by {platform.trusted}" in done.stdout

    (folder / "bundle.sig").write_bytes(SigningKey.new().sign((folder / "bundle.json").read_bytes()))

    done = run(platform, "verify", folder)
    assert done.exit_code == 1
    assert "is not signed by a key that is trusted here" in str(done.exception)
    assert "no model version 7" in str(run(platform, "verify", "7").exception)


def test_a_bundle_in_a_folder_of_another_name_is_refused_with_a_word_on_its_name(platform, tmp_path):
    folder = tmp_path / "my bundle"
    shutil.copytree(platform.home / "store" / "bundles" / platform.bundle_id, folder)
    assert "restore it from backup, or name its folder by its id" in str(run(platform, "verify", folder).exception)


def test_new_keys_are_printed_ready_to_be_set(champion_platform):
    made = json.loads(run(champion_platform, "keys", "--new", "--json").stdout)
    assert SigningKey.read(made["LADNN_SIGNING_KEY"], "this test").public == made["public"]

    shown = run(champion_platform, "keys", "--json", LADNN_TRUSTED_KEYS=made["public"])

    own = str(champion_platform.trusted)
    assert json.loads(shown.stdout) == {"signs": own, "trusted": [made["public"], own]}
    assert made["LADNN_SIGNING_KEY"] not in run(champion_platform, "keys").stdout
