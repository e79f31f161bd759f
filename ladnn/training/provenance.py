"""With which code, libraries and device a variant was trained."""

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ladnn import __version__

_LIBRARIES = ("torch", "torchvision", "accelerate", "numpy", "onnxruntime", "mlflow")


class Provenance(BaseModel):
    """What ran a training.

    Attributes:
        commit: of the code, with `-changed` where it differed; None outside a working copy.
        libraries: versions by name, Python's too.
        device: such as `cuda: NVIDIA L4` or `cpu: x86_64, 8 threads`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ladnn_version: str
    commit: str | None
    libraries: dict[str, str]
    device: str

    @property
    def versions(self) -> dict[str, str]:
        """Version by name: of ladnn, its commit where it is known, and the libraries."""
        return {"ladnn": self.ladnn_version} | ({"commit": self.commit} if self.commit else {}) | self.libraries


def present_provenance(device: str) -> Provenance:
    """Return what would train on a device now."""
    found = {name: known for name in _LIBRARIES if (known := _version(name)) is not None}
    return Provenance(
        ladnn_version=__version__,
        commit=code_commit(Path(__file__).parent),
        libraries={"python": platform.python_version()} | found,
        device=device,
    )


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
