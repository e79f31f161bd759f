"""Pictures that turned up under two patients or studies, as intake linked them, and whether their labels agree."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.config import Cut
from ladnn.dataset.split import Split
from ladnn.dataset.version import DatasetVersion, load_manifest
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.record import Link, Outcome, Record
from ladnn.labels import LABELS
from ladnn.store import ObjectStore


class Duplicate(BaseModel):
    """Two groups that have the same picture.

    A group is the pseudonym of a patient, or of a study where the patient is unknown.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["exact", "near"]
    image: str
    """The newer one; equal to `known_image` where the pixels are equal."""
    group: str
    known_image: str
    known_group: str
    split: Split | None
    """Where both are; None where the newer one is left out of the version."""
    differing: tuple[str, ...]
    """Labels that are 1 on one of them and 0 on the other: for review by a person."""


def find_duplicates(store: ObjectStore, version: DatasetVersion) -> list[Duplicate]:
    """Return the duplicates between groups of a version, those for review first.

    Equal pixels are one image of the version; the newer copy only brings its labels, which are compared here.
    """
    return duplicates_among(outcomes_of(store, version), version, load_manifest(store, version.id))


def outcomes_of(store: ObjectStore, version: DatasetVersion) -> Iterator[Outcome]:
    """Yield the outcomes of intake that were there when a version was frozen."""
    return islice(read_outcomes(store), version.n_outcomes)


def duplicates_among(outcomes: Iterable[Outcome], version: DatasetVersion, manifest: pd.DataFrame) -> list[Duplicate]:
    """Return the duplicates that outcomes tell of and that concern a version."""
    outcomes = list(outcomes)
    links = [link for outcome in outcomes for link in outcome.links]
    linked = {image for link in links for image in (link.image, link.known_image)}
    cut = Cut(after=version.after, until=version.until)
    records = {
        (record.image, record.group): record
        for outcome in outcomes
        for record in (*outcome.known, *outcome.accepted)
        if record.image in linked and record.synthetic == version.synthetic and cut.holds(record.contributed_on)
    }
    splits: dict[str, Split] = dict(zip(manifest["image"], manifest["split"], strict=True))
    found = []
    for link in links:
        newer, older = records.get((link.image, link.group)), records.get((link.known_image, link.known_group))
        if newer is not None and older is not None:
            found.append(_duplicate(link, splits.get(link.image), newer, older))
    return sorted(found, key=lambda item: (not item.differing, item.kind, item.known_image, item.image, item.group))


def _duplicate(link: Link, split: Split | None, newer: Record, older: Record) -> Duplicate:
    values = {code: {r.labels[code].value for r in (newer, older) if code in r.labels} for code in LABELS}
    differing = tuple(code for code, known in values.items() if {0, 1} <= known)
    return Duplicate(**link.model_dump(), split=split, differing=differing)
