"""Training of one variant of a retrain: from a dataset version to weights and inference graph in the store.

`variants/<name>/trained.json` is written last; a variant that has it is not trained again. Until then checkpoints say
where a killed training stood, on whatever host it goes on.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from ladnn.config import Variant
from ladnn.dataset.pipeline import LabelledPixels
from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.split import Split
from ladnn.dataset.version import label_matrix, load_manifest, rows_of
from ladnn.errors import TrainingError
from ladnn.model.export import export_onnx, weights_to_safetensors
from ladnn.model.network import build_network
from ladnn.model.preprocessing import Preprocessing
from ladnn.model.weights import WeightsSource
from ladnn.progress import Steps, no_steps
from ladnn.retrain import Plan, folder, keep, required_plan
from ladnn.store import ObjectStore
from ladnn.training.checkpoint import Checkpoints
from ladnn.training.devices import device_name, open_devices
from ladnn.training.fit import Progress, fit
from ladnn.training.loop import NonFiniteLossError
from ladnn.training.provenance import present_provenance
from ladnn.training.result import StoredFile, Trained, read_trained, required_trained, trained_document


@dataclass(frozen=True, slots=True)
class VariantParts:
    """The arrays a variant is trained and watched on."""

    train: LabelledPixels
    validation: LabelledPixels
    train_images: tuple[str, ...]


def train_variant(
    store: ObjectStore,
    retrain_id: str,
    variant_name: str,
    cache: Path,
    weights: WeightsSource = WeightsSource(),  # noqa: B008 (frozen)
    on_decoded: Steps = no_steps,
    progress: Progress = Progress(),  # noqa: B008 (frozen)
    micro_batch: int | None = None,
) -> Trained:
    """Train a variant, or return what an earlier run trained.

    In a job of several processes all of them call this, and the first one writes.

    Args:
        store: holds the retrain and its dataset version.
        retrain_id: a planned retrain.
        variant_name: one of its variants.
        cache: folder of the pixel cache.
        weights: where ImageNet weights come from.
        on_decoded: told how many images are decoded.
        progress: told of steps and epochs.
        micro_batch: images at a time in each process; None tries the whole batch.

    Raises:
        RetrainError: no such retrain or variant.
        WeightsError: the backbone's weights are not to be had.
        TrainingError: the loss became non-finite; names the batch's images.
        OutOfMemoryError: memory does not suffice.
    """
    checkpoints = variant_checkpoints(store, retrain_id, variant_name)
    if (done := read_trained(store, retrain_id, variant_name)) is not None:
        checkpoints.discard()  # what a crash right after the end left
        return done
    started_s = time.perf_counter()
    plan = required_plan(store, retrain_id)
    variant = plan.variant(variant_name)
    training, seed = plan.config.training, plan.config.seed_of(variant)
    accelerator = open_devices()
    with accelerator.local_main_process_first():  # the others find weights and pixels in the caches
        network = build_network(variant, training, seed, weights)
        parts = _parts(store, plan, network.preprocessing, cache, on_decoded)
    try:
        epochs = fit(network, parts.train, parts.validation, training, seed, progress, checkpoints, micro_batch)
    except NonFiniteLossError as error:
        images = ", ".join(parts.train_images[row] for row in error.rows)
        raise TrainingError(f"variant {variant_name}: {error}; the batch's images are {images}") from error
    if accelerator.is_main_process:
        trained = Trained(
            variant=variant,
            preprocessing=network.preprocessing,
            weights=_keep_file(store, retrain_id, variant, "weights.safetensors", weights_to_safetensors(network)),
            graph=_keep_file(store, retrain_id, variant, "model.onnx", export_onnx(network)),
            epochs=tuple(epochs),
            n_train_images=len(parts.train_images),
            seconds=time.perf_counter() - started_s,
            provenance=present_provenance(device_name()),
        )
        keep(store, retrain_id, trained_document(variant_name), trained.model_dump(mode="json"))
        checkpoints.discard()
    accelerator.wait_for_everyone()
    return required_trained(store, retrain_id, variant_name)


def variant_checkpoints(store: ObjectStore, retrain_id: str, variant_name: str) -> Checkpoints:
    """Return the checkpoints of a variant of a retrain; there are none once it is trained."""
    return Checkpoints(store, f"{retrain_id}/{variant_name}")


def _parts(
    store: ObjectStore, plan: Plan, preprocessing: Preprocessing, cache: Path, on_decoded: Steps
) -> VariantParts:
    manifest = load_manifest(store, plan.dataset_version)

    def part(split: Split) -> LabelledPixels:
        rows = rows_of(manifest, split)
        return LabelledPixels(
            load_pixels(store, list(rows["image"]), preprocessing, cache, on_decoded), label_matrix(rows)
        )

    return VariantParts(part("train"), part("validation"), tuple(rows_of(manifest, "train")["image"]))


def _keep_file(store: ObjectStore, retrain_id: str, variant: Variant, name: str, data: bytes) -> StoredFile:
    digest = hashlib.sha256(data).hexdigest()
    # The digest in the key keeps two runs of one variant, at the same time on two hosts, from mixing their files.
    key = f"{folder(retrain_id)}variants/{variant.name}/{digest[:16]}-{name}"
    store.put_if_absent(key, data)
    return StoredFile(key=key, sha256=digest, n_bytes=len(data))
