"""Counts the facts of a data card: from a version's manifest, and from what intake left behind."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import pandas as pd

from ladnn import __version__
from ladnn.dataset.card.facts import (
    DIAGNOSES,
    PARTS,
    Count,
    DataCard,
    Days,
    Diagnosis,
    Duplicates,
    Intake,
    LabelFacts,
    Part,
    Range,
    rate,
)
from ladnn.dataset.duplicates import Duplicate, duplicates_among
from ladnn.dataset.version import DatasetVersion
from ladnn.intake.record import Outcome
from ladnn.labels import DIAGNOSIS, LABELS, LESIONS

_FEW = 5
"""Images below which it says nothing that all of them have one diagnosis."""
_GROUPED = {"source": "source", "site": "site", "original_format": "file format", "original_mode": "colour mode"}
_Place = tuple[int | None, int | None]
"""Position of a file in its study, and frame; None stands for all of them."""
_OPTIONAL = {
    "patient": "known patient",
    "age_y": "known age",
    "sex": "known sex",
    "report": "report",
    "studied_on": "known date of examination",
}
_NO_ACQUISITION = "acquisition attributes"


def data_card(version: DatasetVersion, manifest: pd.DataFrame, outcomes: Sequence[Outcome]) -> DataCard:
    """Count everything that a data card states.

    Args:
        version: what the card is of.
        manifest: its records.
        outcomes: of intake, until the version was frozen.
    """
    rows = manifest.assign(diagnosis=_diagnosis(manifest), n_lesions=(manifest[list(LESIONS)] == 1).sum(axis=1))
    provenance = [json.loads(text) for text in rows["label_provenance"]]
    negatives = rows[rows["diagnosis"] == "negative"]
    labels = {code: _label(rows[code], [known.get(code) for known in provenance]) for code in LABELS}
    missing = _missing(rows)
    return DataCard(
        ladnn_version=__version__,
        version=version,
        counts={part: _counts(_of(rows, part)) for part in PARTS},
        patients={part: _of(rows, part)["group"].nunique() for part in PARTS},
        lesions_per_positive={part: _lesions(_of(rows, part)) for part in PARTS},
        concordance=_concordance(rows[rows["diagnosis"] == "positive"]),
        negatives_by_source=_tally(negatives["source"]),
        labels=labels,
        read_by=Counter(item["by"] for known in provenance for item in known.values()),
        by_diagnosis={name: _by_diagnosis(rows, column) for column, name in _GROUPED.items()},
        group_basis=_tally(rows.drop_duplicates("group")["group_basis"]),
        missing=missing,
        sexes=_tally(rows["sex"].fillna("unknown")),
        age_y=_range(rows["age_y"]) if rows["age_y"].notna().any() else None,
        width_px=_range(rows["width_px"]),
        height_px=_range(rows["height_px"]),
        file_bytes=_range(rows["n_bytes"]),
        contributed=_days(rows["contributed_on"]),
        studied=_days(rows["studied_on"]) if rows["studied_on"].notna().any() else None,
        intake=count_intake(outcomes),
        duplicates=_duplicates(version, duplicates_among(outcomes, version, manifest)),
        unknown=tuple(_unknown(rows, labels, missing)),
        one_sided=tuple(_one_sided(rows)),
    )


def count_intake(outcomes: Iterable[Outcome]) -> Intake:
    """Count what became of all contributions; a release from quarantine replaces what it released."""
    waiting: dict[str, dict[_Place, str]] = {}
    n_accepted = n_known = 0
    for outcome in outcomes:
        n_accepted, n_known = n_accepted + len(outcome.accepted), n_known + len(outcome.known)
        here = waiting.setdefault(outcome.contribution, {})
        settled: set[_Place] = {(r.position, r.frame) for r in (*outcome.accepted, *outcome.known)}
        settled |= {(q.position, q.frame) for q in outcome.quarantined}
        for place in [place for place in here if place[0] is None or _is_among(place, settled)]:
            del here[place]
        here |= {(q.position, q.frame): q.reason for q in outcome.quarantined}
    reasons = [(place, reason) for here in waiting.values() for place, reason in here.items()]
    n_whole = sum(place[0] is None for place, _ in reasons)
    return Intake(
        n_contributions=len(waiting),
        n_accepted=n_accepted,
        n_known=n_known,
        n_quarantined=len(reasons) - n_whole,
        n_whole=n_whole,
        by_reason=Counter(reason for _, reason in reasons),
    )


def _is_among(place: _Place, settled: set[_Place]) -> bool:
    """Tell whether a place was looked at again; no frame stands for the file with all its frames."""
    position, frame = place
    if frame is None:
        return any(position == other for other, _ in settled)
    return place in settled or (position, None) in settled


def _diagnosis(manifest: pd.DataFrame) -> "pd.Series[str]":
    return manifest[DIAGNOSIS].map({1.0: "positive", 0.0: "negative"}).fillna("unknown")


def _of(rows: pd.DataFrame, part: Part) -> pd.DataFrame:
    return rows if part == "all" else rows[rows["split"] == part]


def _counts(rows: pd.DataFrame) -> dict[Diagnosis, Count]:
    of_kind = {kind: rows[rows["diagnosis"] == kind] for kind in DIAGNOSES}
    return {kind: Count(n_images=len(of), n_patients=of["group"].nunique()) for kind, of in of_kind.items()}


def _lesions(rows: pd.DataFrame) -> tuple[int, ...]:
    numbers = rows.loc[rows["diagnosis"] == "positive", "n_lesions"]
    return tuple(int(n) for n in np.bincount(numbers, minlength=len(LESIONS) + 1))


def _concordance(positives: pd.DataFrame) -> dict[str, dict[str, int]]:
    shown = positives[list(LESIONS)] == 1
    return {one: {other: int((shown[one] & shown[other]).sum()) for other in LESIONS} for one in LESIONS}


def _label(values: "pd.Series[float]", provenance: Sequence[dict[str, object] | None]) -> LabelFacts:
    known = values.notna()
    sources = (item["source"] for item, is_known in zip(provenance, known, strict=True) if item and is_known)
    return LabelFacts(
        n_present=int((values == 1).sum()),
        n_absent=int((values == 0).sum()),
        n_unknown=int((~known).sum()),
        n_uncertain=sum(item is not None and not is_known for item, is_known in zip(provenance, known, strict=True)),
        by_source=Counter(str(source) for source in sources),
    )


def _tally(values: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(n) for name, n in values.value_counts().items()}


def _by_diagnosis(rows: pd.DataFrame, column: str) -> dict[str, dict[Diagnosis, int]]:
    table = pd.crosstab(rows[column], rows["diagnosis"]).reindex(columns=list(DIAGNOSES), fill_value=0)
    return {str(name): {kind: int(table[kind][name]) for kind in DIAGNOSES} for name in table.index}


def _range(values: "pd.Series[float]") -> Range:
    return Range(low=float(values.min()), median=float(values.median()), high=float(values.max()))


def _days(values: "pd.Series[str]") -> Days:
    days = values.dropna()
    return Days(first=date.fromisoformat(days.min()), last=date.fromisoformat(days.max()))


def _missing(rows: pd.DataFrame) -> dict[str, int]:
    counts = {name: int(rows[column].isna().sum()) for column, name in _OPTIONAL.items()}
    return counts | {_NO_ACQUISITION: int((rows["acquisition"] == "{}").sum())}


def _duplicates(version: DatasetVersion, found: Sequence[Duplicate]) -> Duplicates:
    return Duplicates(
        n_exact=sum(item.kind == "exact" for item in found),
        n_near=sum(item.kind == "near" for item in found),
        n_for_review=sum(bool(item.differing) for item in found),
        n_groups=len({group for item in found for group in (item.group, item.known_group)}),
        n_left_out=version.n_left_out,
    )


def _unknown(rows: pd.DataFrame, labels: dict[str, LabelFacts], missing: dict[str, int]) -> Iterable[str]:
    n_images = len(rows)
    for name, n in missing.items():
        if n:
            yield f"{n} of {n_images} images ({rate(n, n_images)}) have no {name}."
    studies = int((rows.drop_duplicates("group")["group_basis"] == "study").sum())
    if studies:
        yield f"{studies} groups of the split are studies whose patient is unknown; one patient may hide in several."
    positives, negatives = (rows[rows["diagnosis"] == kind] for kind in ("positive", "negative"))
    for kind, of_kind in (("positive", positives), ("negative", negatives)):
        n_silent = int(of_kind[list(LESIONS)].isna().all(axis=1).sum())
        if n_silent:
            yield f"{n_silent} of {len(of_kind)} {kind} images have no known lesion label: unknown, not absent."
    n_uncertain = sum(label.n_uncertain for label in labels.values())
    if n_uncertain:
        yield f"{n_uncertain} labels are mentioned but left open, such as by a hedge in a report: unknown."
    yield "What the negatives have instead of COVID-19 is not recorded; the card shows their sources."


def _one_sided(rows: pd.DataFrame) -> Iterable[str]:
    for column, name in _GROUPED.items():
        for value, counts in _by_diagnosis(rows, column).items():
            n_images = sum(counts.values())
            sole = [kind for kind, n in counts.items() if n == n_images]
            if n_images >= _FEW and sole and rows[column].nunique() > 1 and sole[0] != "unknown":
                yield f"All {n_images} images of {name} {value} are {sole[0]}."
