"""An experiment is read whole or refused with everything that is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from ladnn.config import ExperimentConfig
from ladnn.config_file import load_config, parse_config
from ladnn.errors import ConfigError

SHIPPED = sorted((Path(__file__).parents[1] / "infra" / "configs").glob("*.toml"))
LADNN = {"backbone": "efficientnet_lite0", "task": "ladnn"}


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(values, "of this test")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("config of this test: ")
    return message


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_config_loads(path: Path) -> None:
    config = load_config(path)
    assert any(variant.task == "ladnn" for variant in config.variants)


def test_configs_are_shipped() -> None:
    assert {"demo.toml", "weekly.toml"} <= {path.name for path in SHIPPED}


def test_an_unknown_key_is_named_with_its_section() -> None:
    message = refusal({"variants": [LADNN], "trainin": {}, "training": {"epoch": 3}, "gates": {"min_auc": 0.8}})
    for key in ("'trainin'", "'training.epoch'", "'gates.min_auc'"):
        assert f"unknown key {key}" in message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("training", "epochs", 0),
        ("training", "epochs", 1.5),
        ("training", "epochs", "12"),
        ("training", "epochs", True),
        ("training", "batch_size", 1),
        ("training", "learning_rate", float("nan")),
        ("training", "learning_rate", -1e-3),
        ("training", "warmup_epochs", float("inf")),
        ("training", "weights", "mine"),
        ("training", "lesion_mask", "all"),
        ("training", "lesion_weight", 0.0),
        ("training", "label_smoothing", 0.5),
        ("evaluation", "target_sensitivity", 1.0),
        ("evaluation", "n_bootstrap", 10),
        ("gates", "min_auroc", 0.4),
        ("gates", "min_auroc", float("nan")),
        ("gates", "non_inferiority_margin", 0.0),
        ("data", "synthetic", "no"),
    ],
)
def test_a_bad_value_is_named(section: str, key: str, value: object) -> None:
    assert f"{section}.{key}: " in refusal({"variants": [LADNN], section: {key: value}})


def test_all_problems_are_listed_at_once_in_one_line() -> None:
    message = refusal(
        {
            "seed": -1,
            "variants": [{"backbone": "a", "task": "baseline"}, {"backbone": "a", "task": "baseline"}],
            "training": {"epochs": 0, "speed": 2},
            "gates": "strict",
        }
    )
    for problem in (
        "seed: ",
        "variants: named twice: a-baseline; none has task 'ladnn'",
        "training.epochs: ",
        "unknown key 'training.speed'",
        "gates: ",
    ):
        assert problem in message


@pytest.mark.parametrize(
    ("variants", "problem"),
    [
        ([], "variants: "),
        ([LADNN, LADNN], "named twice: efficientnet_lite0-ladnn"),
        ([{"backbone": "b", "task": "baseline"}], "none has task 'ladnn'"),
        ([{"backbone": "b", "task": "lesions"}], "variants.0.task: "),
        ([{"task": "ladnn"}], "variants.0.backbone is missing"),
    ],
)
def test_variants_must_be_distinct_and_hold_a_promotable_one(variants: list[Any], problem: str) -> None:
    assert problem in refusal({"variants": variants})


def test_a_config_without_variants_says_so() -> None:
    assert "variants is missing" in refusal({})


def test_the_digest_depends_on_the_resolved_values_alone() -> None:
    config = parse_config({"variants": [LADNN]}, "a")
    spelled_out = parse_config({"variants": [LADNN], "training": {"warmup_epochs": 1}, "seed": 2020}, "b")
    assert config.digest == spelled_out.digest
    assert config.digest == ExperimentConfig.model_validate_json(config.model_dump_json()).digest
    others = [
        {"variants": [LADNN], "seed": 1},
        {"variants": [LADNN, LADNN | {"task": "baseline"}]},
        {"variants": [LADNN], "gates": {"min_auroc": 0.8}},
    ]
    assert len({config.digest, *(parse_config(other, "c").digest for other in others)}) == 4


def test_each_variant_is_trained_by_n_seeds_of_which_the_first_is_the_experiments() -> None:
    variants = [LADNN, LADNN | {"task": "baseline"}, LADNN | {"backbone": "resnet18", "seed": 90}]
    config = parse_config({"variants": variants, "seed": 7, "n_seeds": 3}, "a")
    assert [variant.name for variant in config.variants] == [
        "efficientnet_lite0-ladnn",
        "efficientnet_lite0-ladnn-seed8",
        "efficientnet_lite0-ladnn-seed9",
        "efficientnet_lite0-baseline",
        "efficientnet_lite0-baseline-seed8",
        "efficientnet_lite0-baseline-seed9",
        "resnet18-ladnn-seed90",  # a seed of its own is kept
    ]
    assert [config.seed_of(variant) for variant in config.variants] == [7, 8, 9, 7, 8, 9, 90]
    assert parse_config(config.model_dump(mode="json"), "b") == config
    last = parse_config({"variants": [LADNN], "seed": 2**32 - 1, "n_seeds": 2}, "c")
    assert [last.seed_of(variant) for variant in last.variants] == [2**32 - 1, 0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text('seed = 3\n[[variants]]\nbackbone = "resnet18"\ntask = "ladnn"\n[training]\nepochs = 9\n')
    return path


def test_a_value_that_is_set_replaces_that_of_the_file(file: Path) -> None:
    changed = ("training.epochs=2", "training.augmentation.mirror = false", "n_seeds=2", "data.cut=D0", "seed=1")
    config = load_config(file, changed)
    assert (config.training.epochs, config.training.augmentation.mirror) == (2, False)
    assert (config.seed, config.data.cut) == (1, "D0")
    assert [variant.name for variant in config.variants] == ["resnet18-ladnn", "resnet18-ladnn-seed2"]
    quoted = load_config(file, ['training.weights="random"', "training.learning_rate=1e-4", "training.epochs=4"])
    assert (quoted.training.weights, quoted.training.learning_rate) == ("random", 1e-4)
    assert load_config(file).training.epochs == 9


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training.epochs", "is no KEY=VALUE"),
        ("=3", "is no KEY=VALUE"),
        ("training..epochs=3", "is no KEY=VALUE"),
        ("seed.value=3", "seed is no section"),
        ("training.epochs=1 2", "is no TOML"),
        ("training.epoch=3", "unknown key 'training.epoch'"),
        ("training.epochs=0", "training.epochs: .* (got 0)"),
    ],
)
def test_an_override_that_cannot_be_is_named(file: Path, override: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(file, [override])
    assert problem.partition(" .* ")[0] in str(caught.value)
    assert problem.rpartition(" .* ")[2] in str(caught.value)
    assert override in str(caught.value)


@pytest.mark.parametrize("never", ["false", '"never"', "never"])
def test_a_trigger_that_is_not_wanted_is_switched_off_in_words_of_toml(file: Path, never: str) -> None:
    config = load_config(file, [f"triggers.schedule={never}", f"triggers.new_studies={never}"])
    assert (config.triggers.schedule, config.triggers.new_studies) == (None, None)
    assert parse_config(config.model_dump(mode="json"), "handed on") == config


@pytest.mark.parametrize("key", ["schedule", "monitor"])
def test_what_is_no_cron_expression_is_refused_when_it_is_read(file: Path, key: str) -> None:
    for text in ("None", "weekly", '"0 3 * *"', "true"):
        with pytest.raises(ConfigError, match=f"triggers.{key}: "):
            load_config(file, [f"triggers.{key}={text}"])
    for cron in ("@weekly", "0 3 * * 1", "0 0 3 * * 1"):
        assert load_config(file, [f'triggers.{key}="{cron}"'])
    with pytest.raises(ConfigError, match=r"triggers\.monitor: "):
        load_config(file, ["triggers.monitor=never"])


def test_a_frozen_config_cannot_be_changed() -> None:
    config = parse_config({"variants": [LADNN]}, "a")
    with pytest.raises(ValueError, match="frozen"):
        config.training.epochs = 1  # type: ignore[misc]


def test_a_missing_file_and_a_file_that_is_no_toml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read config .*nothing\.toml"):
        load_config(tmp_path / "nothing.toml")
    for content in (b"seed = = 1", b"\xff\xfe", b"seed = 1\nseed = 2"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML") as caught:
            load_config(tmp_path / "bad.toml")
        assert "\n" not in str(caught.value)
