"""The samples that drift is looked for in: the champion's own data, what was contributed since, what the service saw."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ladnn.dataset.version import DatasetVersion
from ladnn.governance.drift.sample import Sample
from ladnn.intake.label_changes import labelled
from ladnn.intake.record import Outcome, Record
from ladnn.labels import LABELS
from ladnn.registry.looks import Looks, Reducer, named_probabilities
from ladnn.registry.served import ServedPrediction
from ladnn.store import ObjectStore

_OF_A_SLICE = {"slice_location_mm", "instance_number"}
"""Attributes that tell slices of one study apart, and nothing of how they were made."""


@dataclass(frozen=True, slots=True)
class Images:
    """Stored images with what is known of them.

    Attributes:
        digests: of their pixels (N).
        table: acquisition and labels, one row an image.
        patients: of each.
        sites: of each.
    """

    digests: tuple[str, ...]
    table: pd.DataFrame
    patients: tuple[str, ...]
    sites: tuple[str, ...]

    def sampled(self, max_images: int, seed: int) -> "Images":
        """Draw at most so many images, as `drawn_evenly` does."""
        if len(self.digests) <= max_images:
            return self
        kept = drawn_evenly(self.patients, max_images, seed)
        return Images(
            tuple(self.digests[place] for place in kept),
            self.table.iloc[kept].reset_index(drop=True),
            tuple(self.patients[place] for place in kept),
            tuple(self.sites[place] for place in kept),
        )

    def seen(self, looks: Looks, reducer: Reducer | None) -> Sample:
        """Join what is known with what was seen; without a reducer, without what the model computes."""
        columns: dict[str, Any] = {f"intensity.{name}": values for name, values in looks.intensity.items()}
        if reducer is not None:
            columns |= model_columns(named_probabilities(looks.probabilities), reducer.apply(looks.features))
        table = pd.concat([self.table, pd.DataFrame(columns, index=self.table.index)], axis="columns")
        return Sample(table, np.asarray(self.patients, np.str_), np.asarray(self.sites, np.str_))


def model_columns(probabilities: Mapping[str, Any], embedding: np.ndarray) -> dict[str, Any]:
    """Name what the champion computes: probabilities by label, and an embedding (N, K)."""
    named = {f"prediction.{label}": values for label, values in probabilities.items()}
    return named | {f"embedding.c{place:02d}": column for place, column in enumerate(embedding.T, start=1)}


def images_of_manifest(rows: pd.DataFrame) -> Images:
    """Return rows of a dataset version's manifest."""
    described = [
        acquisition(row) | {f"label.{code}": float(row[code]) for code in LABELS} for row in rows.to_dict("records")
    ]
    return Images(
        tuple(rows["image"]), pd.DataFrame(described), tuple(map(str, rows["group"])), tuple(map(str, rows["site"]))
    )


def new_images(
    store: ObjectStore, version: DatasetVersion, outcomes: Sequence[Outcome], known: Sequence[str]
) -> Images:
    """Return what was accepted since a version was frozen, of its kind.

    Args:
        store: holds the labels.
        version: the champion's.
        outcomes: all of intake.
        known: digests of its images.
    """
    there = set(known)
    accepted = (r for outcome in outcomes[version.n_outcomes :] for r in outcome.accepted)
    records = labelled((r for r in accepted if r.synthetic == version.synthetic and r.image not in there), store)
    described = [
        acquisition(record.model_dump(mode="json")) | {f"label.{code}": _label(record, code) for code in LABELS}
        for record in records
    ]
    return Images(
        tuple(record.image for record in records),
        pd.DataFrame(described),
        tuple(record.group for record in records),
        tuple(record.site for record in records),
    )


def drawn_evenly(patients: Sequence[str], max_images: int, seed: int) -> list[int]:
    """Draw images at random, of each patient about as many: a series of hundreds must not crowd out the others.

    Each patient counts once in a comparison, whatever the number of images.

    Args:
        patients: of each image.
        max_images: that are drawn at most; of more patients than that, so many patients with an image each.
        seed: of the generator.

    Returns:
        Their places, in order.
    """
    shuffled = np.random.default_rng(seed).permutation(len(patients))
    names = pd.Series(np.asarray(patients, np.str_)[shuffled])
    turns = names.groupby(names).cumcount()
    return sorted(shuffled[np.argsort(turns, kind="stable")[:max_images]].tolist())


def served_sample(predictions: Sequence[ServedPrediction], max_images: int, seed: int) -> Sample:
    """Return what the service answered, at most so many images; those of one request count as one patient's."""
    kept = [predictions[place] for place in drawn_evenly([item.request for item in predictions], max_images, seed)]
    rows = []
    for item in kept:
        row: dict[str, Any] = {f"acquisition.{name}": value for name, value in item.acquisition.items()}
        row |= {f"intensity.{name}": value for name, value in item.intensity.items()}
        row |= {f"prediction.{label}": value for label, value in item.probabilities.items()}
        row |= {f"embedding.c{place:02d}": value for place, value in enumerate(item.embedding or (), start=1)}
        rows.append(row)
    requests = np.asarray([item.request for item in kept], np.str_)
    return Sample(pd.DataFrame(rows), requests, np.full(len(kept), "", np.str_))


def acquisition(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Describe how an image was made and exported, from a record or from a row of a manifest."""
    stated = record["acquisition"]
    attributes = json.loads(stated) if isinstance(stated, str) else stated
    width, height = float(record["width_px"]), float(record["height_px"])
    facts = {
        "width_px": width,
        "height_px": height,
        "aspect_ratio": width / height,
        "format": str(record["original_format"]),
        "mode": str(record["original_mode"]),
    }
    facts |= {name: value for name, value in attributes.items() if name not in _OF_A_SLICE}
    return {f"acquisition.{name}": value for name, value in facts.items()}


def _label(record: Record, code: str) -> float:
    """Return 1 or 0, or NaN where it is unknown: shares are compared among known labels, and the unknown one apart."""
    label = record.labels.get(code)
    return np.nan if label is None or label.value is None else float(label.value)
