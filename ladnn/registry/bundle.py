"""The bundle: all that serves a model, content-addressed, without a pickle.

`bundles/<id>/bundle.json` names the other files with their digests and is written last; the id is its own digest.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ladnn.config import ExperimentConfig, Variant
from ladnn.errors import BundleError, DigestMismatchError, ObjectNotFoundError
from ladnn.evaluation.attention import AttentionSource
from ladnn.evaluation.calibration import Calibration
from ladnn.evaluation.heads import Heads
from ladnn.evaluation.slices import Scores
from ladnn.evaluation.validation import Validated
from ladnn.labels import LABELS
from ladnn.model.graph import InferenceGraph
from ladnn.model.preprocessing import Preprocessing
from ladnn.phantoms.study import generate_study
from ladnn.retrain import Plan
from ladnn.store import ObjectStore, canonical_json
from ladnn.training.result import Trained, read_file

PREFIX = "bundles/"
MANIFEST = "bundle.json"
GRAPH, WEIGHTS, GOLDEN = "model.onnx", "weights.safetensors", "golden.safetensors"
_GOLDEN_TOLERANCE = 1e-3
"""Largest difference of logits to the golden outputs: room for another CPU's rounding, not for another model."""
_N_GOLDEN = 4
_REMEDY = "restore it or promote another version"


class BundleManifest(BaseModel):
    """The content of `bundle.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ladnn-bundle/2"] = "ladnn-bundle/2"
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
    config: ExperimentConfig
    ladnn_version: str
    validation: Scores
    files: dict[str, str]
    """SHA-256 by file name."""


class Bundle:
    """A bundle, loaded and checked: digests of all files, golden outputs reproduced."""

    def __init__(self, bundle_id: str, manifest: BundleManifest, files: dict[str, bytes]) -> None:
        """Check the files against the manifest and load the graph.

        Raises:
            BundleError: a file is changed, or the graph does not fit or does not reproduce the golden outputs.
        """
        self.id, self.manifest, self.files = bundle_id, manifest, files
        for name, digest in manifest.files.items():
            if hashlib.sha256(files[name]).hexdigest() != digest:
                raise BundleError(f"file {name} of bundle {bundle_id} was changed; {_REMEDY}")
        self.graph = InferenceGraph(files[GRAPH])
        if (self.graph.size_px, self.graph.n_outputs) != (manifest.preprocessing.size_px, len(LABELS)):
            raise BundleError(
                f"the graph of bundle {bundle_id} takes {self.graph.size_px} px and has {self.graph.n_outputs} outputs, "
                f"the bundle states {manifest.preprocessing.size_px} px and {len(LABELS)}; {_REMEDY}"
            )
        golden = load_tensors(files[GOLDEN])
        difference = np.abs(self.graph.logits(golden["pixels"]) - golden["logits"]).max()
        if not difference <= _GOLDEN_TOLERANCE:  # NaN fails too
            raise BundleError(
                f"bundle {bundle_id} does not reproduce its golden outputs (difference {difference:.2g}); do not serve it"
            )

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated float64 (N, 6) probabilities, in the order of `LABELS`, of preprocessed uint8 (N, S, S)."""
        return self.manifest.calibration.probabilities(self.graph.logits(pixels))

    def attention(self) -> AttentionSource:
        """Return what can be asked where the model looks: the served graph with its heads."""
        return AttentionSource(self.graph, Heads.read(self.files[WEIGHTS]), self.manifest.preprocessing)


def assemble_bundle(store: ObjectStore, plan: Plan, trained: Trained, validated: Validated, *, synthetic: bool) -> str:
    """Write the bundle of a candidate and return its id; the same candidate gives the same bundle.

    Raises:
        DigestMismatchError: weights or graph are not those that were trained.
    """
    graph = read_file(store, trained.graph)
    files = {WEIGHTS: read_file(store, trained.weights), GRAPH: graph, GOLDEN: _golden(graph, trained.preprocessing)}
    manifest = BundleManifest(
        variant=trained.variant,
        preprocessing=trained.preprocessing,
        calibration=validated.calibration,
        threshold=validated.threshold,
        dataset_version=plan.dataset_version,
        synthetic=synthetic,
        config=plan.config,
        ladnn_version=plan.ladnn_version,
        validation=validated.scores,
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    document = canonical_json(manifest.model_dump(mode="json"))
    bundle_id = _bundle_id(document)
    for name, data in files.items():
        store.put_if_absent(f"{PREFIX}{bundle_id}/{name}", data)
    store.put_if_absent(f"{PREFIX}{bundle_id}/{MANIFEST}", document)
    return bundle_id


def load_bundle(store: ObjectStore, bundle_id: str) -> Bundle:
    """Load a bundle from the store.

    Raises:
        BundleError: it is incomplete, changed, or does not reproduce its golden outputs.
    """
    return _open(bundle_id, lambda name: store.get(f"{PREFIX}{bundle_id}/{name}"))


def open_bundle(folder: Path) -> Bundle:
    """Load a bundle from a folder that has its id for a name; a file that `bundle.json` does not name is not touched.

    Raises:
        BundleError: it is incomplete, changed, or does not reproduce its golden outputs.
    """
    return _open(folder.name, lambda name: (folder / name).read_bytes())


def _open(bundle_id: str, read: Callable[[str], bytes]) -> Bundle:
    try:
        document = read(MANIFEST)
        manifest = _parse(bundle_id, document)
        return Bundle(bundle_id, manifest, {MANIFEST: document} | {name: read(name) for name in manifest.files})
    except (ObjectNotFoundError, FileNotFoundError) as error:
        raise BundleError(f"bundle {bundle_id} is incomplete: {error}; {_REMEDY}") from error
    except DigestMismatchError as error:
        raise BundleError(f"bundle {bundle_id} was changed: {error}; {_REMEDY}") from error


def _parse(bundle_id: str, document: bytes) -> BundleManifest:
    """Read `bundle.json`; nothing in it is believed before its digest is the one that the id states."""
    if _bundle_id(document) != bundle_id:
        raise BundleError(f"bundle.json of {bundle_id} was changed; {_REMEDY}")
    try:
        manifest = BundleManifest.model_validate_json(document)
    except ValidationError as error:
        raise BundleError(
            f"bundle.json of {bundle_id} does not fit this release of ladnn ({error.error_count()} differences); "
            "use the release that wrote it, or promote another version"
        ) from error
    if manifest.labels != LABELS or set(manifest.files) != {GRAPH, WEIGHTS, GOLDEN}:
        raise BundleError(
            f"bundle {bundle_id} has outputs {', '.join(manifest.labels)} and files {', '.join(sorted(manifest.files))}; "
            f"this release expects {', '.join(LABELS)} and {', '.join(sorted((GRAPH, WEIGHTS, GOLDEN)))}"
        )
    return manifest


def describe(bundle: Bundle) -> dict[str, Any]:
    """Return what a person or MLflow wants to see of a bundle."""
    return bundle.manifest.model_dump(
        mode="json", include={"variant", "dataset_version", "threshold", "synthetic", "intended_use"}
    )


def _bundle_id(document: bytes) -> str:
    return "b-" + hashlib.sha256(document).hexdigest()[:16]


def _golden(graph: bytes, preprocessing: Preprocessing) -> bytes:
    """Golden inputs are phantoms: a bundle carries no patient's image."""
    slices = [generate_study(0, index, n_slices=1).slices[0].pixels for index in range(_N_GOLDEN)]
    pixels = np.stack([preprocessing.apply(piece) for piece in slices])
    return save_tensors({"pixels": pixels, "logits": InferenceGraph(graph).logits(pixels)})
