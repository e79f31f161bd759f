"""Runs the real `ladnn` command in a process of its own, as a person would."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LADNN = Path(sys.executable).with_name("ladnn")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Home:
    """A throw-away platform."""

    path: Path
    variables: tuple[tuple[str, str], ...] = ()
    wrapper: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "CI"}  # it silences telemetry
        return inherited | {"LADNN_HOME": str(self.path), "OMP_NUM_THREADS": "1"} | dict(self.variables)

    @property
    def store(self) -> Path:
        return self.path / "store"

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.wrapper, str(LADNN), *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: object) -> Finished:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=800)
        return Finished(process.returncode, stdout, stderr)

    def run_until(self, marker: str, *arguments: object) -> tuple[bool, str]:
        """Kill the command with SIGKILL as soon as it says `marker`; tell whether it got there, and what it said."""
        process = self.start(*arguments)
        said = ""
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if marker in line:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                return True, said
        process.communicate()
        return False, said


def fixed_home(path: Path) -> Home:
    """Make a home with a key of the tests' own: a new key would deal few patients to an odd test set now and then."""
    path.mkdir()
    (path / "pseudonym.key").write_text("the key of the tests")
    return Home(path)


LENIENT = {
    "min_test_patients": 2,
    "min_auroc": 0.5,
    "min_sensitivity": 0.0,
    "min_specificity": 0.0,
    "max_calibration_error": 1.0,
    "min_lesion_auroc": 0.0,
    "min_lesion_images": 1,
    "n_attention_phantoms": 2,
}
"""Gates for models that learned for a minute and are measured on nine patients: the machinery is what is tested."""


def write_config(path: Path, **sections: dict[str, object]) -> Path:
    """Write an experiment for phantoms: one ladnn variant, one baseline, and the given sections."""
    lines = ["seed = 7"]
    for task in ("ladnn", "baseline"):
        lines += ["[[variants]]", 'backbone = "efficientnet_lite0"', f'task = "{task}"']
    for name, values in ({"data": {"synthetic": True}} | sections).items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
