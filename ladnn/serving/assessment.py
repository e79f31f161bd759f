"""Models scored on a labelled folder of images that no retrain has seen: the champion, or whatever was trained."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.config import EvaluationConfig
from ladnn.dataset.shortcuts.audit import ShortcutAudit, read_audit
from ladnn.dataset.version import load_manifest
from ladnn.errors import ContributionError, ImageRejectedError, RetrainError
from ladnn.evaluation.calibration import Calibration
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.comparison import Comparison, compare_variants
from ladnn.evaluation.slices import Scores, score
from ladnn.evaluation.validation import read_validated, sampling_of
from ladnn.intake.covid_ct import read_labelled_images
from ladnn.intake.decode import decode
from ladnn.labels import DIAGNOSIS, LABELS
from ladnn.model.graph import InferenceGraph
from ladnn.model.preprocessing import Preprocessing
from ladnn.progress import Steps, no_steps
from ladnn.registry.bundle import Bundle
from ladnn.registry.named_models import TrainedVariant
from ladnn.registry.promotion import promotions
from ladnn.retrain import Plan
from ladnn.statistics import Bootstrap
from ladnn.store import ObjectStore
from ladnn.training.result import read_file


class Skipped(BaseModel):
    """An image that could not be scored."""

    model_config = ConfigDict(frozen=True)

    image: str
    reason: str


class Assessment(BaseModel):
    """Metrics of one model on the folder.

    Attributes:
        model: its name.
        model_version: the one it was promoted as; None where it was not.
        n_known_to_model: images that stand in the model's own dataset version, so that it is no fresh judge of them.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    model_version: str | None
    n_scored: int
    n_known_to_model: int
    skipped: tuple[Skipped, ...]
    scores: Scores


class RetrainOnFolder(BaseModel):
    """Variants of one retrain on the folder, together.

    Attributes:
        comparisons: ladnn against baseline by backbone, mean over seeds.
        audit: how well the diagnosis can be predicted without the disease in the data that they were trained on.
    """

    model_config = ConfigDict(frozen=True)

    retrain_id: str
    canonical_form: bool
    comparisons: tuple[Comparison, ...]
    audit: ShortcutAudit | None


class FolderAssessment(BaseModel):
    """What all models that were asked showed on the folder."""

    model_config = ConfigDict(frozen=True)

    models: tuple[Assessment, ...]
    retrains: tuple[RetrainOnFolder, ...]


@dataclass(frozen=True, slots=True)
class _Model:
    """What is needed to score images with a model, wherever it comes from."""

    graph: Callable[[], InferenceGraph]
    preprocessing: Preprocessing
    calibration: Calibration
    threshold: float
    dataset_version: str
    sampling: Bootstrap
    model_version: str | None = None

    @classmethod
    def of(cls, store: ObjectStore, source: Bundle | TrainedVariant) -> "_Model":
        if isinstance(source, Bundle):
            manifest = source.manifest
            as_champion = [record.model_version for record in promotions(store) if record.bundle_id == source.id]
            return cls(
                lambda: source.graph,
                manifest.preprocessing,
                manifest.calibration,
                manifest.threshold,
                manifest.dataset_version,
                sampling_of(EvaluationConfig(), manifest.config.seed),
                as_champion[-1] if as_champion else None,
            )
        plan, trained = source.plan, source.trained
        validated = read_validated(store, plan.retrain_id, trained.variant.name)
        if validated is None:
            raise RetrainError(
                f"variant {trained.variant.name} of retrain {plan.retrain_id} has no operating point yet; "
                "run the retrain again"
            )
        return cls(
            lambda: InferenceGraph(read_file(store, trained.graph)),
            trained.preprocessing,
            validated.calibration,
            validated.threshold,
            plan.dataset_version,
            sampling_of(plan.config.evaluation, plan.config.seed),
        )


@dataclass(frozen=True, slots=True)
class _Folder:
    """The readable images of a folder.

    Attributes:
        rows: of the table (N), with `group`.
        digests: of their pixels (N).
        pixels: uint8 (N, S, S) by the preprocessing of the models.
    """

    rows: pd.DataFrame
    digests: tuple[str, ...]
    pixels: Mapping[Preprocessing, NDArray[np.uint8]]
    skipped: tuple[Skipped, ...]


def assess(
    store: ObjectStore,
    models: Mapping[str, Bundle | TrainedVariant],
    images: Path,
    table: Path,
    on_step: Steps = no_steps,
) -> FolderAssessment:
    """Score every image that the table names and the folder holds.

    Args:
        store: holds the models' dataset versions.
        models: by name; a retrain's variants are compared with each other, too.
        images: folder of the image files.
        table: CSV with `image`, `patient_id`, `covid` and lesion columns; the latter may be missing.
        on_step: told how many images are read and models are done.

    Raises:
        ContributionError: no such table, or not one image can be scored.
        RetrainError: a variant is not validated yet.
    """
    opened = {name: _Model.of(store, source) for name, source in models.items()}
    frame = read_labelled_images(table)
    n_steps = len(frame) + len(opened)
    folder = _read(frame, images, table, {m.preprocessing for m in opened.values()}, lambda n: on_step(n, n_steps))
    assessments, cases = [], {}
    for done, (name, model) in enumerate(opened.items(), start=len(frame) + 1):
        probabilities = model.calibration.probabilities(model.graph().logits(folder.pixels[model.preprocessing]))
        cases[name] = known_cases(
            folder.rows[DIAGNOSIS].to_numpy(dtype=np.float64), probabilities[:, 0], list(folder.rows["group"])
        )
        known = set(load_manifest(store, model.dataset_version)["image"])
        assessments.append(
            Assessment(
                model=name,
                model_version=model.model_version,
                n_scored=len(folder.rows),
                n_known_to_model=len(set(folder.digests) & known),
                skipped=folder.skipped,
                scores=score(folder.rows, probabilities, model.threshold, model.sampling),
            )
        )
        on_step(done, n_steps)
    variants = {name: source for name, source in models.items() if isinstance(source, TrainedVariant)}
    return FolderAssessment(models=tuple(assessments), retrains=tuple(_by_retrain(store, variants, cases)))


def _by_retrain(
    store: ObjectStore, variants: Mapping[str, TrainedVariant], cases: Mapping[str, Cases]
) -> Iterator[RetrainOnFolder]:
    plans: dict[str, Plan] = {source.plan.retrain_id: source.plan for source in variants.values()}
    for plan in plans.values():
        config = plan.config
        own = {v.trained.variant.name: cases[name] for name, v in variants.items() if v.plan == plan}
        sampling = sampling_of(config.evaluation, config.seed)
        yield RetrainOnFolder(
            retrain_id=plan.retrain_id,
            canonical_form=config.training.canonical_form,
            comparisons=compare_variants(config, own, sampling),
            audit=read_audit(store, plan.dataset_version, config.audit, sampling),
        )


def _read(
    frame: pd.DataFrame, images: Path, table: Path, forms: Set[Preprocessing], on_image: Callable[[int], None]
) -> _Folder:
    pixels: dict[Preprocessing, list[NDArray[np.uint8]]] = {form: [] for form in forms}
    kept, digests, skipped = [], [], []
    repeated = _repeated(frame)
    for done, (position, name) in enumerate(frame["image"].items(), start=1):
        on_image(done)
        if position in repeated:
            skipped.append(Skipped(image=name, reason=repeated[position]))
            continue
        try:
            canonical = decode((images / name).read_bytes())
            digests.append(canonical.digest)
            kept.append(position)
            for form, of_form in pixels.items():
                of_form.append(form.apply(canonical.pixels))
        except OSError as error:
            skipped.append(Skipped(image=name, reason=f"cannot be read from {images}: {error.strerror}"))
        except ImageRejectedError as error:
            skipped.append(Skipped(image=name, reason=str(error)))
    if not kept:
        first = f"{skipped[0].image}: {skipped[0].reason}" if skipped else "the table has no row"
        raise ContributionError(f"not one image of {table} can be read from {images}; first: {first}")
    stacked = {form: np.stack(of_form) for form, of_form in pixels.items()}
    return _Folder(_rows(frame.loc[kept]), tuple(digests), stacked, tuple(skipped))


def _repeated(frame: pd.DataFrame) -> dict[Hashable, str]:
    """Say why rows of images that are named more than once are left out; where all agree the first one counts."""
    judged = ["image", "patient_id", *LABELS]
    unclear = frame["image"].duplicated(keep=False) & ~frame.duplicated(judged, keep=False)
    unclear = unclear.groupby(frame["image"]).transform("any")
    later = frame["image"].duplicated() & ~unclear
    reasons = {position: "it is named on an earlier line, and counts once" for position in frame.index[later]}
    differ = "it is named on several lines that do not agree on its patient and labels; keep the right one"
    return reasons | dict.fromkeys(frame.index[unclear], differ)


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Name each image's group: its patient, or itself where the patient is unknown."""
    known = frame["patient_id"].str.strip() != ""
    return frame.assign(group=frame["patient_id"].where(known, frame["image"])).reset_index(drop=True)
