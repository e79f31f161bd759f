"""Freezing: what intake has accepted, of one kind and one cut, becomes a dataset version.

The places of the split are given to all groups of the kind, whatever the cut, so that no patient moves between cuts.
"""

import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from ladnn.config import Cut, DataConfig
from ladnn.dataset.split import SPLITS, Group, Placement, place_groups
from ladnn.dataset.version import (
    DatasetVersion,
    SplitCount,
    check_leakage,
    digest_of,
    document_key,
    find_version,
    id_of,
    list_versions,
    load_version,
    rows_of,
)
from ladnn.errors import DatasetError, EmptyInboxError, LeakageError
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.label_changes import labelled, with_later_annotations
from ladnn.intake.record import Link, Outcome, Record
from ladnn.labels import DIAGNOSIS, LABELS, LESIONS
from ladnn.store import ObjectStore, write_json_if_absent


def freeze(store: ObjectStore, data: DataConfig) -> DatasetVersion:
    """Freeze what intake has accepted; the same records and the same cut give the same version again.

    Raises:
        EmptyInboxError: intake has accepted nothing of the asked kind and cut yet.
        LeakageError: a group or an image stands in two splits.
    """
    outcomes = list(read_outcomes(store))
    accepted = (r for o in outcomes for r in o.accepted if r.synthetic == data.synthetic)
    records = labelled(with_later_annotations(accepted, (r for o in outcomes for r in o.known)), store)
    cut = Cut() if data.cut is None else data.cuts[data.cut]
    in_cut = [record for record in records if cut.holds(record.contributed_on)]
    if not in_cut:
        raise EmptyInboxError(_nothing(store, data))
    links = _links(outcomes, data)
    placement = place_groups(store, _groups(records), [(link.group, link.known_group) for link in links])
    left_out = _left_out(links, placement)
    manifest = _manifest([record for record in in_cut if record.image not in left_out], placement)
    check_leakage(manifest)
    _check_links(manifest, links)
    version = DatasetVersion(
        id=id_of(manifest, data.cut, cut.after, cut.until),
        test_version="t-" + digest_of(rows_of(manifest, "test")),
        synthetic=data.synthetic,
        cut=data.cut,
        after=cut.after,
        until=cut.until,
        frozen_at=datetime.now(UTC),
        n_outcomes=len(outcomes),
        n_images=len(manifest),
        n_groups=manifest["group"].nunique(),
        n_left_out=len(in_cut) - len(manifest),
        splits={split: _count(rows_of(manifest, split)) for split in SPLITS},
    )
    return _keep(store, version, manifest)


def check_trainable_parts(version: DatasetVersion) -> None:
    """Refuse to train on a version that lacks one of the two diagnoses in training or validation.

    Raises:
        DatasetError: it does; the message names the part.
    """
    for name in ("train", "validation"):
        part = version.splits[name]
        if part.n_positive == 0 or part.n_negative == 0:
            raise DatasetError(
                f"the {name} part{_of_cut(version.cut)} has {part.n_positive} positive and {part.n_negative} negative "
                "images; contribute more patients of the missing kind"
            )


def chosen_version(store: ObjectStore, prefix: str | None) -> DatasetVersion:
    """Return the version whose id begins so; without a prefix the one frozen last, frozen now where there is none.

    Raises:
        DatasetError: there is none such, or several are.
        EmptyInboxError: nothing has been accepted yet.
    """
    if prefix is not None or list_versions(store):
        return find_version(store, prefix)
    kinds = {record.synthetic for outcome in read_outcomes(store) for record in outcome.accepted}
    return freeze(store, DataConfig(synthetic=kinds == {True}))


def _nothing(store: ObjectStore, data: DataConfig) -> str:
    kind, command = ("synthetic", "ladnn phantoms") if data.synthetic else ("real", "ladnn import covid-ct DIR")
    other = "" if data.synthetic else "; to try it out, `ladnn phantoms` and --set data.synthetic=true"
    return (
        f"no {kind} image{_of_cut(data.cut)} has been accepted in {store.url}; contribute some (`{command}`), and see "
        f"`ladnn quarantine list` for what was set aside{other}"
    )


def _of_cut(cut: str | None) -> str:
    return "" if cut is None else f" of cut {cut}"


def _links(outcomes: Sequence[Outcome], data: DataConfig) -> list[Link]:
    """Return the links between groups of the asked kind; a phantom that looks like a patient joins nothing."""
    foreign = {r.group for o in outcomes for r in (*o.accepted, *o.known) if r.synthetic != data.synthetic}
    links = (link for outcome in outcomes for link in outcome.links)
    return [link for link in links if not {link.group, link.known_group} & foreign]


def _groups(records: Iterable[Record]) -> dict[str, Group]:
    by_group: dict[str, list[Record]] = {}
    for record in records:
        by_group.setdefault(record.group, []).append(record)
    return {name: _group(name, members) for name, members in by_group.items()}


def _group(name: str, members: list[Record]) -> Group:
    first = min(members, key=lambda record: (record.contributed_on, record.contribution))
    diagnoses = {_value(record, DIAGNOSIS) for record in members}
    stratum = "negative" if 0 in diagnoses else "unknown"
    if 1 in diagnoses:
        n_lesions = (sum(_value(r, code) == 1 for code in LESIONS) for r in members if _value(r, DIAGNOSIS) == 1)
        stratum = f"positive-{max(n_lesions)}"
    return Group(name, stratum, first.requested_split, first.contributed_on, first.contribution)


def _left_out(links: Iterable[Link], placement: Placement) -> set[str]:
    """Return the images that look like one of another split: the newer one of each pair.

    Equal pixels are kept once, so they cannot stand in two splits.
    """
    return {
        link.image
        for link in links
        if link.kind == "near" and tuple(sorted((link.group, link.known_group))) in placement.refused
    }


def _check_links(manifest: pd.DataFrame, links: Iterable[Link]) -> None:
    splits = dict(zip(manifest["image"], manifest["split"], strict=True))
    for link in links:
        places = {splits[image] for image in (link.image, link.known_image) if image in splits}
        if len(places) > 1:
            raise LeakageError(
                f"images {link.image} and {link.known_image} look alike and stand in 2 splits; nothing was frozen"
            )


def _manifest(records: Iterable[Record], placement: Placement) -> pd.DataFrame:
    names = pd.Series(placement.components)
    joined = set(names[names.duplicated(keep=False)])
    rows = [_row(record, placement, joined) for record in sorted(records, key=lambda record: record.image)]
    frame = pd.DataFrame(rows)
    return frame.astype({code: "float64" for code in LABELS} | {"age_y": "float64", "day": "float64"})


def _row(record: Record, placement: Placement, joined: set[str]) -> dict[str, Any]:
    row = record.model_dump(mode="json", exclude={"labels", "requested_split"})
    group = placement.components[record.group]
    provenance = {
        code: label.model_dump(mode="json", exclude={"value"}) for code, label in sorted(record.labels.items())
    }
    return row | {
        "group": group,
        "group_basis": "near-duplicate" if group in joined else record.group_basis,
        "patient": record.group if record.group_basis == "patient" else None,
        "changes": json.dumps(record.changes),
        "acquisition": json.dumps(record.acquisition, sort_keys=True),
        # The text's digest without its place, which depends on what else was taken in at the same time.
        "report": record.report and record.report.rpartition("/")[2],
        **{code: _value(record, code) for code in LABELS},
        "label_provenance": json.dumps(provenance, sort_keys=True),
        "split": placement.splits[record.group],
    }


def _value(record: Record, code: str) -> int | None:
    label = record.labels.get(code)
    return None if label is None else label.value


def _count(rows: pd.DataFrame) -> SplitCount:
    positive, negative = rows[rows[DIAGNOSIS] == 1], rows[rows[DIAGNOSIS] == 0]
    return SplitCount(
        n_images=len(rows),
        n_groups=rows["group"].nunique(),
        n_positive=len(positive),
        n_negative=len(negative),
        n_positive_groups=positive["group"].nunique(),
        n_negative_groups=negative["group"].nunique(),
    )


def _keep(store: ObjectStore, version: DatasetVersion, manifest: pd.DataFrame) -> DatasetVersion:
    """Write a version once and return the one that holds: the first that was written."""
    buffer = io.BytesIO()
    manifest.to_parquet(buffer, index=False)
    store.put_if_absent(document_key(version.id, "manifest.parquet"), buffer.getvalue())
    write_json_if_absent(store, document_key(version.id, "version.json"), version.model_dump(mode="json"))
    return load_version(store, version.id)
