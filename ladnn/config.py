"""What an experiment is: frozen values, read from one TOML file, all errors reported at once.

Owns the defaults of every experiment value. Where ladnn runs (stores, servers, keys) is in `ladnn.settings`.
"""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from ladnn.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Variant(_Section):
    """A backbone with its task."""

    backbone: str
    """Name of an entry of `ladnn.model.backbones`."""
    task: Literal["ladnn", "baseline"]
    """`ladnn` trains diagnosis and lesions together, `baseline` the diagnosis alone."""

    @property
    def name(self) -> str:
        """Name used for the run, the job and the store's keys."""
        return f"{self.backbone}-{self.task}"


class DataConfig(_Section):
    """Which records enter a dataset version."""

    synthetic: bool = False
    """True: phantoms only; false: real contributions only. The two never mix."""


class TrainingConfig(_Section):
    """How a variant is trained."""

    epochs: int = Field(default=12, ge=1, le=1000)
    """Passes over the training part."""
    batch_size: int = Field(default=32, ge=2, le=4096)
    """Images a step."""
    learning_rate: float = Field(default=1e-3, gt=0, lt=1)
    """Peak learning rate, reached after the warm-up, followed by a cosine decay to zero."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Epochs of linear warm-up."""
    weight_decay: float = Field(default=1e-2, ge=0, lt=1)
    """Decoupled weight decay (AdamW) of the convolution and linear weights."""
    diagnosis_weight: float = Field(default=5.0, gt=0)
    """Weight of the diagnosis loss against the lesion loss; 5 in the authors' released code."""
    label_smoothing: float = Field(default=0.05, ge=0, lt=0.5)
    """Targets become smoothing/2 and 1 - smoothing/2."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Drop-out before the heads."""
    pretrained: bool = True
    """False trains from random weights; only meant for tests of the machinery."""


class EvaluationConfig(_Section):
    """How metrics and their intervals are computed."""

    target_sensitivity: float = Field(default=0.9, gt=0, lt=1)
    """Sensitivity that the operating point reaches on validation."""
    n_bootstrap: int = Field(default=1000, ge=100, le=100_000)
    """Bootstrap replicates, over patients."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Two-sided coverage of every interval."""


class GateConfig(_Section):
    """Limits that a candidate must hold on the test set."""

    min_auroc: float = Field(default=0.75, ge=0.5, le=1)
    """Absolute floor of the diagnosis AUROC."""
    non_inferiority_margin: float = Field(default=0.05, gt=0, lt=0.5)
    """How much AUROC the candidate may lose to the champion at the lower confidence bound."""
    max_test_openings: int = Field(default=20, ge=1)
    """Openings of one test-set version after which promotion needs a person."""


class ExperimentConfig(_Section):
    """One experiment: what is trained on what, and what it must reach."""

    seed: int = Field(default=2020, ge=0, lt=2**32)
    """Seed of every random choice of the retrain."""
    variants: tuple[Variant, ...] = Field(min_length=1, strict=False)
    """Trained in this order; `ladnn` variants compete, `baseline` variants are their controls."""
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gates: GateConfig = GateConfig()

    @field_validator("variants")
    @classmethod
    def _check_variants(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        names = [variant.name for variant in variants]
        repeated = sorted({name for name in names if names.count(name) > 1})
        problems = [f"named twice: {', '.join(repeated)}"] if repeated else []
        if not any(variant.task == "ladnn" for variant in variants):
            problems.append("none has task 'ladnn'; a baseline has no lesion head and cannot be promoted")
        if problems:
            raise ValueError("; ".join(problems))
        return variants

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved values, hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_config(path: Path) -> ExperimentConfig:
    """Read an experiment from a TOML file.

    Raises:
        ConfigError: the file is missing, is no TOML, or holds unknown keys or values out of range (all are listed).
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read config {path}: {error.strerror}; name a file such as infra/configs/weekly.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path} is not valid TOML: {error}") from error
    return parse_config(values, str(path))


def parse_config(values: dict[str, object], origin: str) -> ExperimentConfig:
    """Check a resolved experiment; `origin` names it in errors.

    Raises:
        ConfigError: unknown keys or values out of range (all are listed).
    """
    try:
        return ExperimentConfig.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise ConfigError(f"config {origin}: {problems}") from error


def _problem(item: ErrorDetails) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "experiment"
    if item["type"] == "extra_forbidden":
        return f"unknown key {where!r}; remove it or correct its spelling"
    if item["type"] == "missing":
        return f"{where} is missing"
    message = item["msg"].removeprefix("Value error, ")
    shown = isinstance(item["input"], (str, int, float))  # a whole table or list would bury the message
    return f"{where}: {message} (got {item['input']!r})" if shown else f"{where}: {message}"
