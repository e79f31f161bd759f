"""An experiment from its TOML file and from flags, all errors reported at once."""

import copy
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ladnn.config import ExperimentConfig
from ladnn.errors import ConfigError


def load_config(path: Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment from a TOML file.

    Args:
        path: the file.
        overrides: `KEY=VALUE` each, such as `training.epochs=3`, in place of what the file says.

    Raises:
        ConfigError: the file is missing, is no TOML, or holds unknown keys or values out of range (all are listed); an
            override is none.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read config {path}: {error.strerror}; name a file such as infra/configs/weekly.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path} is not valid TOML: {error}") from error
    return parse_config(values, str(path), overrides)


def _override(values: dict[str, object], override: str) -> None:
    """Set one value, given as `KEY=VALUE`; a value that is no TOML is taken as the text that it is."""
    key, equals, text = (part.strip() for part in override.partition("="))
    *sections, name = key.split(".")
    if not equals or not all([*sections, name]):
        raise ConfigError(f"--set {override!r} is no KEY=VALUE; write it such as --set training.epochs=3")
    table = values
    for depth, section in enumerate(sections, start=1):
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override!r}: {'.'.join(sections[:depth])} is no section; see the config file")
        table = inner
    try:
        table[name] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if not re.fullmatch(r"[A-Za-z][\w+-]*", text):
            raise ConfigError(
                f"--set {override!r}: the value is no TOML ({error}); quote text as in the file"
            ) from error
        table[name] = text


def parse_config(values: dict[str, object], origin: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Check an experiment; `origin` names it in errors, `overrides` are those of `load_config`.

    Raises:
        ConfigError: unknown keys or values out of range (all are listed); an override is none.
    """
    values, origin = copy.deepcopy(values), " with ".join([origin, *overrides])
    for override in overrides:
        _override(values, override)
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
