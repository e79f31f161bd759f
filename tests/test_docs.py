"""What the documentation names exists, and what exists is named there."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

from ladnn.config import ExperimentConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_readme_and_has_a_help_text() -> None:
    command = [str(Path(sys.executable).with_name("ladnn")), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^│ ([a-z]+) +(\S.*?) *│$", shown, re.MULTILINE)
    assert {"retrain", "predict", "evaluate", "serve", "history", "approve", "reject", "waiting"} <= {
        name for name, _ in lines
    }
    assert [name for name, _ in lines if f"`ladnn {name}" not in README] == []


def test_every_setting_is_in_the_readme() -> None:
    source = (ROOT / "ladnn" / "settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r"\b(?:LADNN|AWS)_[A-Z0-9_]+\b", source))
    assert {
        name for name in names if name not in README and name not in {"AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"}
    } == set()


def test_every_experiment_value_has_a_line_of_documentation() -> None:
    for section in (ExperimentConfig, *(field.annotation for field in ExperimentConfig.model_fields.values())):
        for name in getattr(section, "model_fields", {}):
            source = Path(inspect.getfile(section)).read_text(encoding="utf-8")
            declared = rf'    {name}: [^\n]*(?:\n        [^\n]*|\n    \))*\n    """'
            assert re.search(declared, source) or name in {"data", "training", "evaluation", "gates"}, name


def test_files_that_the_readme_maps_exist() -> None:
    table = README.split("## Map of files")[1].split("##")[0]
    for path in re.findall(r"`((?:ladnn|flows|infra|tests)/[a-z_./]*)`", table):
        assert (ROOT / path).exists(), path


def test_files_stay_short() -> None:
    files = [path for folder in ("ladnn", "flows", "tests") for path in (ROOT / folder).rglob("*.py")]
    long = {str(p.relative_to(ROOT)): n for p in files if (n := len(p.read_text().splitlines())) > 300}
    assert {name for name in long if not name.startswith("tests/")} == set()
