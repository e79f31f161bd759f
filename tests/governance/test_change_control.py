"""What a retrain may change without a person: what was declared beforehand, and nothing else."""

from pathlib import Path

import pytest

from ladnn.config import ExperimentConfig
from ladnn.config_file import load_config, parse_config
from ladnn.envelope import SOFTWARE
from ladnn.errors import ConfigError
from ladnn.governance.change_control import ChangeSheet, Model, change_control, change_sheet
from ladnn.governance.gates.verdicts import Verdict

ENVELOPE = {
    "backbones": ["efficientnet_lite1"],
    "sites": ["hospital-*"],
    "ranges": {"training.epochs": [4, 20], "training.learning_rate": [1e-5, 1e-2]},
}


def experiment(envelope=None, **sections) -> ExperimentConfig:
    values = {
        "variants": [{"backbone": "efficientnet_lite0", "task": "ladnn"}],
        "envelope": ENVELOPE if envelope is None else envelope,
    }
    return parse_config(values | sections, "of this test")


SOFTWARE_THEN = dict.fromkeys(SOFTWARE, "1.0")


def model(
    config=None, backbone="efficientnet_lite0", sites=("clinic",), bundle_id="b-1", extractors=("rules/1",), **software
):
    versions = {name: version for name, version in (SOFTWARE_THEN | software).items() if version}
    return Model(bundle_id, backbone, config or experiment(), frozenset(sites), frozenset(extractors), versions)


CHAMPION = model(bundle_id="b-0")
SHIPPED = sorted((Path(__file__).parents[2] / "infra" / "configs").glob("*.toml"))


def outside(candidate, champion=CHAMPION):
    sheet = change_sheet(candidate, champion)
    gate = change_control(sheet)
    named = [item.what for item in sheet.outside]
    assert gate.name == "change_control"
    assert (gate.value, gate.limit, gate.n) == (len(named), 0, len(sheet.items))
    assert gate.verdict is (Verdict.NOT_EVALUATED if named else Verdict.PASS)
    assert all(name in gate.reason for name in named)
    return named


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (model(), []),
        (model(backbone="efficientnet_lite1"), []),
        (model(backbone="resnet18"), ["backbone"]),
        (model(sites=("clinic", "hospital-b")), []),
        (model(sites=("clinic", "practice")), ["sites"]),
        (model(sites=()), []),
        (model(experiment(training={"epochs": 20})), []),
        (model(experiment(training={"epochs": 4})), []),
        (model(experiment(training={"epochs": 21})), ["training.epochs"]),
        (
            model(experiment(training={"epochs": 3, "learning_rate": 0.5})),
            ["training.epochs", "training.learning_rate"],
        ),
        (model(experiment(training={"batch_size": 7})), ["training.batch_size"]),
        (model(experiment(training={"canonical_form": True})), ["training.canonical_form"]),
        (model(experiment(gates={"min_auroc": 0.5})), ["gates.min_auroc"]),
        (model(experiment(evaluation={"target_sensitivity": 0.5})), ["evaluation.target_sensitivity"]),
        (model(experiment(data={"cut": "D0"})), ["data.cut"]),
        (model(experiment(envelope=ENVELOPE | {"sites": ["*"]}), sites=("practice",)), ["envelope"]),
        (model(experiment(seed=7, n_seeds=3)), []),
        (model(experiment(training={"processes": 2, "checkpoint_minutes": 1, "compile": True})), []),
    ],
)
def test_only_what_was_declared_may_change(candidate, expected):
    assert outside(candidate) == expected


@pytest.mark.parametrize(
    ("declared", "candidate", "expected"),
    [
        (False, {}, []),
        (False, {"torch": "1.0.1"}, ["software.torch"]),
        (False, {"ladnn": "2.0", "commit": "abc"}, ["software.ladnn", "software.commit"]),
        (False, {"commit": None}, ["software.commit"]),
        (False, {"extractors": ()}, []),
        (False, {"extractors": ("rules/1", "rules/2")}, ["software.report_extractor"]),
        (["report_*"], {"extractors": ("rules/2",)}, []),
        (["torch*"], {"torch": "2.0", "torchvision": "2.0", "numpy": "2.0"}, ["software.numpy"]),
        ([], {"mlflow": "2.0"}, ["software.mlflow"]),
        (True, {"mlflow": "2.0", "commit": None, "extractors": ("rules/2",)}, []),
    ],
)
def test_other_software_waits_for_a_person_unless_it_was_declared(declared, candidate, expected):
    declaring = experiment(ENVELOPE | {"software": declared})
    champion = model(declaring, bundle_id="b-0")

    assert outside(model(declaring, **candidate), champion) == expected
    assert outside(model(declaring, **candidate), None) == [
        "backbone",
        "sites",
    ]  # a first champion has nothing to differ from


def test_what_is_not_known_of_either_model_has_not_changed():
    assert outside(model(commit=None), model(commit=None, bundle_id="b-0")) == []
    items = {item.what: item for item in change_sheet(model(commit=None, torch="2.0"), CHAMPION).items}
    assert (items["software.commit"].before, items["software.commit"].now) == ("1.0", "not known")
    assert (items["software.torch"].before, items["software.torch"].now) == ("1.0", "2.0")
    assert {name.removeprefix("software.") for name in items if name.startswith("software.")} == set(SOFTWARE)


def test_a_component_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="no component is named pytorch; there are ladnn, commit"):
        experiment({"software": ["pytorch"]})


def test_without_a_declared_envelope_nothing_may_change():
    undeclared = experiment(envelope={})
    champion = model(undeclared, bundle_id="b-0")

    assert outside(model(undeclared), champion) == []
    changed = experiment(envelope={}, training={"epochs": 9})
    assert outside(model(changed, backbone="resnet18", sites=("clinic", "practice")), champion) == [
        "backbone",
        "sites",
        "training.epochs",
    ]


def test_a_first_champion_is_held_against_what_is_declared_alone():
    assert outside(model(experiment(envelope={}), backbone="resnet18"), None) == []
    assert outside(model(experiment(training={"epochs": 30}), backbone="resnet18"), None) == [
        "backbone",
        "sites",
        "training.epochs",
    ]
    assert outside(model(backbone="efficientnet_lite1", sites=("hospital-b",)), None) == []


def test_the_sheet_shows_before_now_and_what_is_allowed():
    sheet = change_sheet(model(experiment(training={"epochs": 30, "batch_size": 7})), CHAMPION)

    assert sheet.champion == "b-0"
    shown = {item.what: (item.before, item.now, item.allowed, item.inside) for item in sheet.items}
    epochs, batch = experiment().training.epochs, experiment().training.batch_size
    assert shown["training.epochs"] == (str(epochs), "30", "4 to 20", False)
    assert shown["training.batch_size"] == (str(batch), "7", "as at the champion", False)
    assert shown["sites"] == ("clinic", "clinic", "hospital-*, those of the champion", True)
    compared = {name for name in shown if not name.startswith("software.")}
    assert compared == {"backbone", "sites", "training.epochs", "training.learning_rate", "training.batch_size"}


def test_an_empty_sheet_is_no_pass():
    assert change_control(ChangeSheet(champion=None, items=())).verdict is Verdict.NOT_EVALUATED


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ({"training.epochz": [1, 2]}, "no numbers that are compared with the champion: training.epochz"),
        ({"training.pooling": [1, 2]}, "no numbers that are compared with the champion: training.pooling"),
        ({"drift.alpha": [0.01, 0.02]}, "no numbers that are compared with the champion: drift.alpha"),
        ({"promotion.approval_hours": [1, 9], "seed": [1, 2]}, "champion: promotion.approval_hours, seed"),
        ({"triggers.new_studies": [1, 9]}, "no numbers that are compared with the champion: triggers.new_studies"),
        ({"training.epochs": [9, 2]}, "lowest value stands after the highest: training.epochs"),
        ({"training.epochs": [9]}, "envelope.ranges.training.epochs"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(ranges, problem):
    with pytest.raises(ConfigError, match=problem):
        experiment(envelope={"ranges": ranges})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_first_champion_of_a_shipped_config_waits_for_nobody(path):
    config = load_config(path)
    for variant in config.variants:
        assert outside(model(config, variant.backbone, sites=("phantom-a",)), None) == []
