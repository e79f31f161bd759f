"""The bundle: all that serves a model, content-addressed, without a pickle.

`bundles/<id>/bundle.json` names the other files with their digests and is written last; the id is its own digest, and
`bundle.sig` is its Ed25519 signature. Bytes are parsed after they are verified, never before: first the signature, then
the digest of each file.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from ladnn.config import ExperimentConfig, Variant
from ladnn.errors import BundleError, DigestMismatchError, LadnnError, ObjectNotFoundError, UnusableObjectError
from ladnn.evaluation.attention import AttentionSource
from ladnn.evaluation.calibration import Calibration
from ladnn.evaluation.heads import Heads
from ladnn.evaluation.slices import Scores
from ladnn.labels import LABELS
from ladnn.model.graph import InferenceGraph
from ladnn.model.preprocessing import Preprocessing
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore, canonical_json
from ladnn.training.provenance import Provenance

PREFIX = "bundles/"
_BUNDLE = "b-"
MANIFEST, SIGNATURE = "bundle.json", "bundle.sig"
GRAPH, WEIGHTS, GOLDEN = "model.onnx", "weights.safetensors", "golden.safetensors"
_GOLDEN_TOLERANCE = 1e-3
"""Largest difference of logits to the golden outputs: room for another CPU's rounding, not for another model."""
_REMEDY = "restore it from backup"
_UNSIGNED = f"restore its {SIGNATURE} from backup, or retrain with --force"
_UNKNOWN_SIGNER = (
    "if your own installation made it, add the public key that `ladnn keys` shows there to LADNN_TRUSTED_KEYS; else do not "
    "use it, and retrain with --force"
)
_MISSING = (ObjectNotFoundError, FileNotFoundError, IsADirectoryError, NotADirectoryError)


class Lineage(BaseModel):
    """Where a model comes from.

    Attributes:
        parent: bundle that was champion when this candidate was bundled; None for a first one.
        provenance: code, libraries and device that trained it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    retrain_id: str
    parent: str | None
    seed: int
    n_train_images: int
    provenance: Provenance | None


class BundleManifest(BaseModel):
    """The content of `bundle.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ladnn-bundle/3"] = "ladnn-bundle/3"
    intended_use: str = (
        "Research and decision support: one axial chest CT slice in lung window, 8-bit grey; not a diagnosis by itself."
    )
    variant: Variant
    preprocessing: Preprocessing
    labels: tuple[str, ...] = LABELS
    """Order of the graph's outputs."""
    calibration: Calibration
    """What the logits are divided by before they become probabilities."""
    threshold: float
    """Operating point: positive at or above this calibrated probability."""
    dataset_version: str
    synthetic: bool
    """True if it was trained on phantoms."""
    lineage: Lineage
    config: ExperimentConfig
    ladnn_version: str
    validation: Scores
    files: dict[str, str]
    """SHA-256 by file name."""

    @property
    def model_digest(self) -> str:
        """SHA-256 of what is served: the same for the same model, whichever retrain trained it, and when."""
        served = self.model_dump(mode="json", include={"preprocessing", "labels", "calibration", "threshold"})
        served["files"] = {name: self.files[name] for name in (GRAPH, WEIGHTS)}
        return hashlib.sha256(canonical_json(served)).hexdigest()


class Bundle:
    """A bundle, loaded and checked: signature, digests of all files, golden outputs reproduced."""

    def __init__(self, bundle_id: str, manifest: BundleManifest, files: dict[str, bytes], signed_by: str) -> None:
        """Check the files against the manifest, whose signature has been verified, and load the graph.

        Raises:
            BundleError: a file is changed, or the graph does not fit or does not reproduce the golden outputs.
        """
        self.id, self.manifest, self.files, self.signed_by = bundle_id, manifest, files, signed_by
        for name, digest in manifest.files.items():
            if hashlib.sha256(files[name]).hexdigest() != digest:
                raise BundleError(f"file {name} of bundle {bundle_id} was changed", _REMEDY)
        self.graph = InferenceGraph(files[GRAPH])
        if (self.graph.size_px, self.graph.n_outputs) != (manifest.preprocessing.size_px, len(LABELS)):
            raise BundleError(
                f"the graph of bundle {bundle_id} takes {self.graph.size_px} px and has {self.graph.n_outputs} outputs, "
                f"the bundle states {manifest.preprocessing.size_px} px and {len(LABELS)}",
                _REMEDY,
            )
        pixels, logits = _read_golden(bundle_id, files[GOLDEN])
        difference = np.abs(self.graph.logits(pixels) - logits).max()
        if not difference <= _GOLDEN_TOLERANCE:  # NaN fails too
            raise BundleError(
                f"bundle {bundle_id} does not reproduce its golden outputs (difference {difference:.2g})",
                "do not serve it",
            )

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated float64 (N, 6) probabilities, in the order of `LABELS`, of preprocessed uint8 (N, S, S)."""
        return self.manifest.calibration.probabilities(self.graph.logits(pixels))

    def attention(self) -> AttentionSource:
        """Return what can be asked where the model looks: the served graph with its heads."""
        return AttentionSource(self.graph, Heads.read(self.files[WEIGHTS]), self.manifest.preprocessing)


def load_bundle(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> Bundle:
    """Load a bundle from the store.

    Raises:
        BundleError: it is incomplete, changed, not signed by a trusted key, or does not reproduce its golden outputs.
    """
    return _open(bundle_id, lambda name: store.get(f"{PREFIX}{bundle_id}/{name}"), trusted)


def damage_of(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> BundleError | None:
    """Return why a bundle of the store cannot be loaded; None where it can."""
    try:
        load_bundle(store, bundle_id, trusted)
    except BundleError as error:
        return error
    return None


def open_bundle(folder: Path, trusted: TrustedKeys) -> Bundle:
    """Load a bundle from a folder that has its id for a name; a file that `bundle.json` does not name is not touched.

    Raises:
        BundleError: it is incomplete, changed, not signed by a trusted key, or does not reproduce its golden outputs.
    """
    return _open(folder.name, lambda name: (folder / name).read_bytes(), trusted)


def read_manifest(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> BundleManifest:
    """Read what a bundle states, without its files.

    Raises:
        BundleError: it is incomplete, changed, or not signed by a trusted key.
    """
    with _damage_explained(bundle_id):
        document, _, _ = _verified(bundle_id, lambda name: store.get(f"{PREFIX}{bundle_id}/{name}"), trusted)
        return _parse(bundle_id, document)


def _open(bundle_id: str, read: Callable[[str], bytes], trusted: TrustedKeys) -> Bundle:
    with _damage_explained(bundle_id):
        document, signature, signed_by = _verified(bundle_id, read, trusted)
        manifest = _parse(bundle_id, document)
        files = {MANIFEST: document, SIGNATURE: signature} | {name: read(name) for name in manifest.files}
        return Bundle(bundle_id, manifest, files, signed_by)


@contextmanager
def _damage_explained(bundle_id: str) -> Iterator[None]:
    try:
        yield
    except (*_MISSING, DigestMismatchError) as error:
        what = "was changed" if isinstance(error, DigestMismatchError) else "is incomplete"
        problem = error.problem if isinstance(error, LadnnError) else error
        raise BundleError(f"bundle {bundle_id} {what}: {problem}", _REMEDY) from error
    except UnusableObjectError as error:  # names its own remedy
        raise BundleError(f"bundle {bundle_id} cannot be read: {error}") from error


def _verified(bundle_id: str, read: Callable[[str], bytes], trusted: TrustedKeys) -> tuple[bytes, bytes, str]:
    """Return `bundle.json`, its signature and its signer; anyone can compute the digest in a name, but not a signature."""
    document = read(MANIFEST)
    if bundle_id_of(document) != bundle_id:
        remedy = _REMEDY if is_bundle_id(bundle_id) else f"{_REMEDY}, or name its folder by its id, {_BUNDLE}…"
        raise BundleError(f"bundle.json of {bundle_id} was changed", remedy)
    try:
        signature = read(SIGNATURE)
    except _MISSING as error:
        raise BundleError(f"bundle {bundle_id} is not signed", _UNSIGNED) from error
    signed_by = trusted.signer(document, signature)
    if signed_by is None:
        raise BundleError(
            f"bundle {bundle_id} is not signed by a key that is trusted here ({trusted})", _UNKNOWN_SIGNER
        )
    return document, signature, signed_by


def _parse(bundle_id: str, document: bytes) -> BundleManifest:
    try:
        manifest = BundleManifest.model_validate_json(document)
    except ValidationError as error:
        raise BundleError(
            f"bundle.json of {bundle_id} does not fit this release of ladnn ({error.error_count()} differences)",
            "use the release that wrote it",
        ) from error
    if manifest.labels != LABELS or set(manifest.files) != {GRAPH, WEIGHTS, GOLDEN}:
        raise BundleError(
            f"bundle {bundle_id} has outputs {', '.join(manifest.labels)} and files {', '.join(sorted(manifest.files))}; "
            f"this release expects {', '.join(LABELS)} and {', '.join(sorted((GRAPH, WEIGHTS, GOLDEN)))}"
        )
    return manifest


def is_bundle_id(name: str) -> bool:
    """Tell whether a name is formed as the id of a bundle."""
    return name.startswith(_BUNDLE)


def describe(bundle: Bundle) -> dict[str, Any]:
    """Return what a person or MLflow wants to see of a bundle."""
    return bundle.manifest.model_dump(
        mode="json", include={"variant", "dataset_version", "threshold", "synthetic", "intended_use"}
    )


def bundle_id_of(document: bytes) -> str:
    """Return the id that the bytes of a `bundle.json` give their bundle."""
    return _BUNDLE + hashlib.sha256(document).hexdigest()[:16]


def _read_golden(bundle_id: str, data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        golden = load_tensors(data)
        return golden["pixels"], golden["logits"]
    except (SafetensorError, KeyError) as error:
        raise BundleError(f"bundle {bundle_id} has no golden inputs and outputs ({error})", _REMEDY) from error
