"""What makes a candidate's bundle: its files, its manifest, and the signature.

Bytes are written before what names them: the files, the signature, and `bundle.json` last.
"""

import hashlib

import numpy as np
from safetensors.numpy import save as save_tensors

from ladnn.evaluation.validation import Validated
from ladnn.model.graph import InferenceGraph
from ladnn.model.preprocessing import Preprocessing
from ladnn.phantoms.study import generate_study
from ladnn.registry.bundle import (
    GOLDEN,
    GRAPH,
    MANIFEST,
    PREFIX,
    SIGNATURE,
    WEIGHTS,
    BundleManifest,
    Lineage,
    bundle_id_of,
)
from ladnn.registry.promotion import champion
from ladnn.retrain import Plan, keep
from ladnn.signing import SigningKey
from ladnn.store import ObjectStore, canonical_json
from ladnn.training.result import Trained, read_file

_N_GOLDEN = 4


def assemble_bundle(
    store: ObjectStore, plan: Plan, trained: Trained, validated: Validated, key: SigningKey, *, synthetic: bool
) -> str:
    """Write the signed bundle of a candidate and return its id; the same candidate gives the same bundle.

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
        lineage=_lineage(store, plan, trained),
        config=plan.config,
        ladnn_version=plan.ladnn_version,
        validation=validated.scores,
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    document = canonical_json(manifest.model_dump(mode="json"))
    bundle_id = bundle_id_of(document)
    for name, data in files.items():
        store.put_if_absent(f"{PREFIX}{bundle_id}/{name}", data)
    store.put(f"{PREFIX}{bundle_id}/{SIGNATURE}", key.sign(document))  # in place of one by a key that was replaced
    store.put_if_absent(f"{PREFIX}{bundle_id}/{MANIFEST}", document)
    return bundle_id


def _lineage(store: ObjectStore, plan: Plan, trained: Trained) -> Lineage:
    """The parent is noted once, so that a candidate that is bundled again after another promotion is the same bundle."""
    current = champion(store)
    noted = keep(store, plan.retrain_id, "parent", {"bundle_id": current.bundle_id if current else None})
    return Lineage(
        retrain_id=plan.retrain_id,
        parent=noted["bundle_id"],
        seed=plan.config.seed_of(trained.variant),
        n_train_images=trained.n_train_images,
        provenance=trained.provenance,
    )


def _golden(graph: bytes, preprocessing: Preprocessing) -> bytes:
    """Golden inputs are phantoms: a bundle carries no patient's image."""
    slices = [generate_study(0, index, n_slices=1).slices[0].pixels for index in range(_N_GOLDEN)]
    pixels = np.stack([preprocessing.apply(piece) for piece in slices])
    return save_tensors({"pixels": pixels, "logits": InferenceGraph(graph).logits(pixels)})
