"""Where a fit stands, as one file in the object store: written atomically, verified, and taken up on any host.

A checkpoint is a safetensors file: tensors, and in its header one JSON document. Order, augmentation and drop-out are
drawn anew for every step from the seed and the step's number, so these two are the whole state of the generators and
the sampler. Checkpoints of a variant lie under `checkpoints/<retrain>/<variant>/<steps done>-<digest>.safetensors`.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from ladnn.errors import DigestMismatchError, ObjectNotFoundError, TrainingError
from ladnn.progress import say
from ladnn.store import ObjectStore, canonical_json
from ladnn.store.keys import CHECKPOINTS
from ladnn.training.result import EpochRecord

_HEADER = "ladnn"
_FORMAT = 1
_N_STEP_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a fit between two steps.

    Attributes:
        seed: of the fit; with `step` the state of all random choices.
        step: steps done, the position in schedule and sampler.
        n_steps: all steps of the fit.
        micro_batch: images at a time, where memory did not suffice for a batch.
        scaler: state of the loss scale in float16; empty without.
        epoch_seconds: time already spent on the epoch under way.
        records: epochs that are done.
        tensors: `network.<name>`, `optimizer.<parameter>.<name>` and `epoch.<name>`, on the CPU.
    """

    seed: int
    step: int
    n_steps: int
    micro_batch: int | None
    scaler: dict[str, Any]
    epoch_seconds: float
    records: tuple[EpochRecord, ...]
    tensors: dict[str, Tensor]

    def of(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors of one kind, such as `network.`, without the prefix."""
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def to_bytes(self) -> bytes:
        """Serialise; the same state gives the same bytes."""
        document = {
            "format": _FORMAT,
            "seed": self.seed,
            "step": self.step,
            "n_steps": self.n_steps,
            "micro_batch": self.micro_batch,
            "scaler": self.scaler,
            "epoch_seconds": self.epoch_seconds,
            "records": [asdict(record) for record in self.records],
        }
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        return safetensors.torch.save(tensors, {_HEADER: canonical_json(document).decode()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """Read what `to_bytes` wrote.

        Raises:
            TrainingError: the bytes are no checkpoint, or one of another version of ladnn.
        """
        try:
            tensors = safetensors.torch.load(data)
            n_header_bytes = int.from_bytes(data[:8], "little")
            values = json.loads(json.loads(data[8 : 8 + n_header_bytes])["__metadata__"][_HEADER])
            if values.pop("format") != _FORMAT:
                raise TrainingError(
                    "the checkpoint was written by another version of ladnn; finish the training with it"
                )
            records = tuple(EpochRecord(**record) for record in values.pop("records"))
            return cls(**values, records=records, tensors=tensors)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"the checkpoint cannot be read ({type(error).__name__}); delete it") from error


class Checkpoints:
    """The checkpoints of one fit in the object store; written by one process, in a thread of its own."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        """Keep checkpoints under a name, such as `<retrain>/<variant>`."""
        self._store, self._folder = store, f"{CHECKPOINTS}{name}/"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._written: Future[None] | None = None

    def latest(self) -> Checkpoint | None:
        """Read the newest checkpoint that is whole; None where there is none.

        Raises:
            TrainingError: it was written by another version of ladnn.
            StoreError: the store cannot be used.
        """
        for key in reversed(self._keys()):
            try:
                data = self._store.get(key)
            except (DigestMismatchError, ObjectNotFoundError) as error:
                say(f"  checkpoint passed over: {error}")
                continue
            if _digest(data) in key:
                return Checkpoint.from_bytes(data)
            say(f"  checkpoint passed over: {key} is not what was written")
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in the background, and remove older ones once it is read back whole.

        Raises:
            StoreError: the one before could not be written.
        """
        self.wait()
        self._written = self._thread.submit(self._write, checkpoint.step, checkpoint.to_bytes())

    def wait(self) -> None:
        """Return once the last checkpoint is in the store.

        Raises:
            StoreError: it could not be written.
        """
        if self._written is not None:
            self._written.result()
            self._written = None

    def discard(self) -> None:
        """Remove every checkpoint."""
        self.wait()
        self._discard(self._keys())

    def _write(self, step: int, data: bytes) -> None:
        older = self._keys()
        key = f"{self._folder}{step:0{_N_STEP_DIGITS}}-{_digest(data)}.safetensors"
        self._store.put(key, data)
        if self._store.get(key) != data:
            raise DigestMismatchError(f"checkpoint {key} in {self._store.url} is not what was written; check the store")
        self._discard([other for other in older if other != key])

    def _discard(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._store.discard(key)

    def _keys(self) -> list[str]:
        return list(self._store.list(self._folder))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
