"""What training leaves behind, readable without torch: epochs, files, and the document that says a variant is trained."""

import hashlib
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ladnn.config import Variant
from ladnn.errors import DigestMismatchError, RetrainError
from ladnn.model.preprocessing import Preprocessing
from ladnn.retrain import read
from ladnn.store import ObjectStore
from ladnn.training.provenance import Provenance


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """How an epoch went. Losses are mean cross-entropies in nats; None stands for a value that does not exist.

    Attributes:
        epoch: from 1.
        train_diagnosis_loss: with label smoothing and drop-out, over the epoch's steps.
        train_lesions_loss: the same of the lesion head; None for a baseline, or if no lesion is known.
        train_auroc: of the diagnosis, by the logits of the epoch's steps; None unless both classes are there.
        validation_diagnosis_loss: without smoothing and drop-out; None if no diagnosis is known.
        validation_lesions_loss: the same of the lesion head; None for a baseline, or if no lesion is known.
        validation_auroc: of the diagnosis; None unless validation holds both classes.
        validation_lesions_auroc: mean over the lesions that validation holds with and without; None if there is none.
        learning_rate: of the heads, at the epoch's last step.
        images_per_second: training images, augmentation included.
        seconds: wall-clock time of training and validation.
        peak_memory_bytes: most memory used since the process began, of the GPU, or resident.
    """

    epoch: int
    train_diagnosis_loss: float
    train_lesions_loss: float | None
    train_auroc: float | None
    validation_diagnosis_loss: float | None
    validation_lesions_loss: float | None
    validation_auroc: float | None
    validation_lesions_auroc: float | None
    learning_rate: float
    images_per_second: float
    seconds: float
    peak_memory_bytes: int


def describe_epoch(record: EpochRecord, n_epochs: int) -> str:
    """Tell a person in one line how an epoch of several went."""
    auroc = "n/a" if record.validation_auroc is None else f"{record.validation_auroc:.3f}"
    return (
        f"epoch {record.epoch}/{n_epochs}, diagnosis loss {record.train_diagnosis_loss:.3f}, validation AUROC {auroc}, "
        f"{record.images_per_second:.1f} images/s"
    )


class StoredFile(BaseModel):
    """A file in the store, with what its bytes must be."""

    model_config = ConfigDict(frozen=True)

    key: str
    sha256: str
    n_bytes: int


class Trained(BaseModel):
    """What training a variant left behind."""

    model_config = ConfigDict(frozen=True)

    variant: Variant
    preprocessing: Preprocessing
    weights: StoredFile
    graph: StoredFile
    epochs: tuple[EpochRecord, ...]
    n_train_images: int
    seconds: float
    provenance: Provenance | None = None
    """Of the process that ended the training; None where it was trained before that was recorded."""


def read_trained(store: ObjectStore, retrain_id: str, variant_name: str) -> Trained | None:
    """Read what training left behind; None where the variant is not trained yet."""
    document = read(store, retrain_id, trained_document(variant_name))
    return None if document is None else Trained.model_validate(document)


def read_file(store: ObjectStore, file: StoredFile) -> bytes:
    """Read a file that training left behind.

    Raises:
        ObjectNotFoundError: it is gone.
        DigestMismatchError: its bytes are not those that training wrote.
    """
    data = store.get(file.key)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DigestMismatchError(f"{file.key} in {store.url} is not what training wrote; restore it from backup")
    return data


def required_trained(store: ObjectStore, retrain_id: str, variant_name: str) -> Trained:
    """Read what training left behind.

    Raises:
        RetrainError: the variant is not trained yet.
    """
    trained = read_trained(store, retrain_id, variant_name)
    if trained is None:
        raise RetrainError(f"variant {variant_name} of retrain {retrain_id} is not trained yet; run the retrain again")
    return trained


def trained_document(variant_name: str) -> str:
    """Name of the document among those of its retrain."""
    return f"variants/{variant_name}/trained"
