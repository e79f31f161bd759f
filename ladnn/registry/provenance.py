"""With which code, libraries and device a variant was trained, as tags of its run."""

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ladnn import __version__
from ladnn.registry.tracking import Tracking

_LIBRARIES = ("torch", "torchvision", "accelerate", "numpy", "onnxruntime", "mlflow")


def log_provenance(tracking: Tracking, run_id: str, device: str) -> None:
    """Tag a run; of several hosts that took a training up, the last one's tags stay.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    libraries = {f"library.{name}": found for name in _LIBRARIES if (found := _version(name)) is not None}
    tags = {"ladnn.version": __version__, "ladnn.device": device, "library.python": platform.python_version()}
    commit = code_commit(Path(__file__).parent)
    tracking.log_summary(run_id, {}, tags | libraries | ({"ladnn.commit": commit} if commit else {}))


def code_commit(folder: Path) -> str | None:
    """Return the git commit of a folder's code, with `-changed` where it differs; None outside a working copy."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=-changed"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
