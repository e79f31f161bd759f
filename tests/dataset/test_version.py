"""A dataset version is its contents: the same records give the same id, and no other do."""

import io
import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import keep_outcomes, keep_records, make_record

from ladnn.config import DataConfig
from ladnn.dataset.freezing import check_trainable_parts, freeze
from ladnn.dataset.split import SPLITS, load_assignments
from ladnn.dataset.version import (
    DatasetVersion,
    check_leakage,
    find_version,
    label_matrix,
    list_versions,
    load_manifest,
    load_version,
    rows_of,
)
from ladnn.errors import DatasetError, DigestMismatchError, EmptyInboxError, LeakageError, ObjectNotFoundError
from ladnn.intake.record import Outcome, Quarantined, Record
from ladnn.labels import LABELS, Label
from ladnn.store import ObjectStore, open_store

REAL = DataConfig()
SYNTHETIC = DataConfig(synthetic=True)


def patients(n_patients: int = 12, **values: Any) -> list[Record]:
    """Two images a patient; every other patient is positive, with some lesions known."""
    return [
        make_record(
            f"p{patient}",
            number,
            {"covid": 1, "GGO": 1, "Csld": number} if patient % 2 else {"covid": 0},
            **values,
        )
        for patient in range(n_patients)
        for number in range(2)
    ]


def frozen(folder: Path, records: list[Record], data: DataConfig = REAL) -> DatasetVersion:
    """Freeze records in a store of their own."""
    store = open_store(folder.as_uri())
    keep_records(store, records)
    return freeze(store, data)


def contents(version: DatasetVersion) -> dict[str, Any]:
    """What a version is made of, without when and where it was frozen first."""
    return version.model_dump(exclude={"frozen_at", "n_outcomes"})


def test_a_version_describes_its_parts_and_is_found_again(store: ObjectStore) -> None:
    keep_records(store, patients())
    version = freeze(store, REAL)
    assert load_version(store, version.id) == version
    assert freeze(store, REAL) == version
    assert (version.n_images, version.n_groups, version.synthetic) == (24, 12, False)
    assert sum(part.n_images for part in version.splits.values()) == 24
    assert sum(part.n_groups for part in version.splits.values()) == 12
    assert sum(part.n_positive for part in version.splits.values()) == 12
    manifest = load_manifest(store, version.id)
    assert len(manifest) == 24
    assert manifest["image"].is_monotonic_increasing
    for split in SPLITS:
        rows = rows_of(manifest, split)
        assert len(rows) == version.splits[split].n_images
        assert rows["group"].nunique() == version.splits[split].n_groups
    assert dict(zip(manifest["group"], manifest["split"], strict=True)) == load_assignments(store)


def test_the_same_records_are_the_same_version_whatever_their_order(tmp_path: Path) -> None:
    records = patients()
    expected = frozen(tmp_path / "a", records)
    random.Random(1).shuffle(records)
    shuffled = [record.model_copy(update={"labels": dict(reversed(record.labels.items()))}) for record in records]
    assert contents(frozen(tmp_path / "b", shuffled)) == contents(expected)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"covid": 1, "GGO": 0, "Csld": 0}},
        {"labels": {"covid": 1, "GGO": 1}},
        {"labels": {"covid": 1, "GGO": 1, "Csld": 0, "AirBr": 0}},
        {"site": "elsewhere"},
        {"age_y": 40},
        {"image": "0" * 64},
    ],
)
def test_the_id_changes_with_any_label_or_value(tmp_path: Path, change: dict[str, Any]) -> None:
    records = patients()
    position = next(number for number, record in enumerate(records) if record.group == "p1")
    changed = make_record("p1", 0, **({"labels": {"covid": 1, "GGO": 1, "Csld": 0}} | change))
    before = frozen(tmp_path / "a", records)
    records[position] = changed
    assert frozen(tmp_path / "b", records).id != before.id


def test_the_id_changes_with_the_extractor(tmp_path: Path) -> None:
    records = patients()
    before = frozen(tmp_path / "a", records)
    labels = {code: label.model_copy(update={"by": "keywords/9"}) for code, label in records[0].labels.items()}
    records[0] = records[0].model_copy(update={"labels": labels})
    assert frozen(tmp_path / "b", records).id != before.id


def test_the_test_version_changes_only_with_the_test_part(file_store: ObjectStore) -> None:
    keep_records(file_store, patients())
    first = freeze(file_store, REAL)
    keep_records(file_store, [make_record("late", requested_split="train")])
    second = freeze(file_store, REAL)
    assert second.id != first.id
    assert second.test_version == first.test_version
    test_group = rows_of(load_manifest(file_store, first.id), "test")["group"][0]
    keep_records(file_store, [make_record(test_group, 7, contribution="another")])
    assert freeze(file_store, REAL).test_version != first.test_version
    assert load_version(file_store, first.id) == first


def test_a_patient_stays_where_it_is_while_versions_grow(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(8))
    placed = dict(load_manifest(file_store, freeze(file_store, REAL).id)[["group", "split"]].itertuples(index=False))
    keep_records(file_store, patients(40), name="later-")
    grown = load_manifest(file_store, freeze(file_store, REAL).id)
    assert placed.items() <= dict(grown[["group", "split"]].itertuples(index=False)).items()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"age_y": 44, "sex": "F", "report": "0123", "day": 4, "panel": "B", "studied_on": date(2020, 2, 1)},
        {"changes": ("cut off the alpha channel — é",), "acquisition": {"kvp": 120.5, "kernel": "B70f"}},
    ],
    ids=["nothing known", "all known", "odd text"],
)
@pytest.mark.parametrize("mixed", [False, True], ids=["all", "some"])
def test_parquet_keeps_the_id_whatever_is_missing(file_store: ObjectStore, values: dict[str, Any], mixed: bool) -> None:
    keep_records(file_store, patients(**values) + (patients(3, contribution="bare", site="b") if mixed else []))
    version = freeze(file_store, REAL)
    assert load_manifest(file_store, version.id)["site"].notna().all()


def test_unknown_labels_are_missing_and_not_negative(file_store: ObjectStore) -> None:
    keep_records(file_store, [*patients(), make_record("x", labels={"GGO": 0}), make_record("y", labels={"CrPa": 1})])
    manifest = load_manifest(file_store, freeze(file_store, REAL).id)
    labels = label_matrix(manifest)
    assert labels.dtype == np.float32
    assert labels.shape == (26, len(LABELS))
    assert np.isnan(labels[:, LABELS.index("InSepThi")]).all()
    (row,) = labels[manifest["group"] == "x"]
    assert np.array_equal(row, [np.nan, 0, np.nan, np.nan, np.nan, np.nan], equal_nan=True)


def test_a_damaged_manifest_is_found(file_store: ObjectStore) -> None:
    keep_records(file_store, patients())
    version = freeze(file_store, REAL)
    key = f"datasets/{version.id}/manifest.parquet"
    manifest = load_manifest(file_store, version.id)
    manifest.loc[0, "covid"] = 1 - manifest.loc[0, "covid"]
    buffer = io.BytesIO()
    manifest.to_parquet(buffer, index=False)
    for data in (buffer.getvalue(), b"", b"rotten", buffer.getvalue()[:900]):
        file_store.put(key, data)
        with pytest.raises(DigestMismatchError, match=f"{version.id} is damaged"):
            load_manifest(file_store, version.id)


def test_a_manifest_that_rots_on_disk_is_found(file_store: ObjectStore, tmp_path: Path) -> None:
    keep_records(file_store, patients())
    path = tmp_path / "store" / "datasets" / freeze(file_store, REAL).id / "manifest.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatchError):
        load_manifest(file_store, path.parent.name)


def test_a_version_that_was_never_frozen_is_missing(file_store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        load_version(file_store, "d-0000000000000000")
    with pytest.raises(ObjectNotFoundError):
        load_manifest(file_store, "d-0000000000000000")


def test_synthetic_and_real_never_mix(file_store: ObjectStore) -> None:
    phantoms = [
        record.model_copy(update={"synthetic": True, "group": f"f{record.group}", "image": record.image[::-1]})
        for record in patients()
    ]
    keep_records(file_store, phantoms, name="phantom-")
    with pytest.raises(EmptyInboxError, match="no real image"):
        freeze(file_store, REAL)
    keep_records(file_store, patients(16))
    real, synthetic = freeze(file_store, REAL), freeze(file_store, SYNTHETIC)
    assert (real.n_images, synthetic.n_images) == (32, 24)
    for version in (real, synthetic):
        assert set(load_manifest(file_store, version.id)["synthetic"]) == {version.synthetic}


def test_without_accepted_images_there_is_nothing_to_freeze(file_store: ObjectStore) -> None:
    with pytest.raises(EmptyInboxError, match="no real image has been accepted"):
        freeze(file_store, REAL)
    refused = Quarantined(contribution="c", position=1, reason="no_report", detail="it has no report")
    keep_outcomes(file_store, [Outcome(contribution="c", accepted=(), quarantined=(refused,))])
    with pytest.raises(EmptyInboxError):
        freeze(file_store, REAL)
    with pytest.raises(EmptyInboxError, match="no synthetic image"):
        freeze(file_store, SYNTHETIC)


@pytest.mark.parametrize("covid", [0, 1])
def test_one_kind_of_patient_is_not_enough(file_store: ObjectStore, covid: int) -> None:
    keep_records(file_store, [make_record(f"p{number}", labels={"covid": covid}) for number in range(10)])
    version = freeze(file_store, REAL)  # there is a card to look at, but nothing to train on
    with pytest.raises(DatasetError, match="contribute more patients of the missing kind"):
        check_trainable_parts(version)


@pytest.mark.parametrize("column", ["group", "patient", "study", "image"])
def test_a_leak_is_an_error(column: str) -> None:
    names = {"group": ["a", "b", "c"], "patient": ["a", None, None], "study": ["x", "y", "z"], "image": ["1", "2", "3"]}
    names[column] = ["same", "other", "same"]
    with pytest.raises(LeakageError, match=f"{column} same stands in 2 splits"):
        check_leakage(pd.DataFrame(names | {"split": ["train", "train", "test"]}))
    check_leakage(pd.DataFrame(names | {"split": ["test", "train", "test"]}))


def test_the_first_contribution_of_a_patient_decides_what_split_it_asks_for(file_store: ObjectStore) -> None:
    first = make_record("twice", 0, contribution="z", requested_split="validation", contributed_on=date(2020, 3, 1))
    second = make_record("twice", 1, contribution="a", requested_split="train", contributed_on=date(2020, 4, 1))
    keep_records(file_store, [*patients(), first, second])
    manifest = load_manifest(file_store, freeze(file_store, REAL).id)
    assert set(manifest[manifest["group"] == "twice"]["split"]) == {"validation"}


def test_provenance_stays_with_every_label(file_store: ObjectStore) -> None:
    labels = {
        "covid": Label(value=1, source="report", by="keywords/2", span=(3, 9)),
        "GGO": Label(value=None, source="report", by="keywords/2", span=(10, 13), uncertain=True),
    }
    keep_records(file_store, [*patients(), make_record("said").model_copy(update={"labels": labels})])
    manifest = load_manifest(file_store, freeze(file_store, REAL).id)
    row = manifest[manifest["group"] == "said"].iloc[0]
    assert row["covid"] == 1
    assert np.isnan(row["GGO"])  # uncertain is unknown, with what was said of it
    for part in ('"source": "report"', '"by": "keywords/2"', '"span": [10, 13]', '"uncertain": true'):
        assert part in row["label_provenance"]


def test_versions_are_listed_in_the_order_they_were_frozen_and_found_by_how_their_id_begins(
    file_store: ObjectStore,
) -> None:
    versions = []
    for number in range(3):
        keep_records(file_store, [make_record(f"late{number}")] if number else patients())
        versions.append(freeze(file_store, REAL))
    assert list_versions(file_store) == versions
    assert find_version(file_store) == versions[-1]
    assert find_version(file_store, versions[0].id) == versions[0]
    unique = next(n for n in range(3, 19) if len({version.id[:n] for version in versions}) == 3)
    assert find_version(file_store, versions[1].id[:unique]) == versions[1]
    with pytest.raises(DatasetError, match=f"'d-' begins 3 dataset versions; there are: .*{versions[0].id}"):
        find_version(file_store, "d-")
    with pytest.raises(DatasetError, match=f"no dataset version 'x'; there are: .*{versions[2].id}"):
        find_version(file_store, "x")


def test_where_nothing_was_frozen_a_version_is_not_found(file_store: ObjectStore) -> None:
    assert list_versions(file_store) == []
    with pytest.raises(DatasetError, match="run `ladnn dataset freeze`"):
        find_version(file_store)
    with pytest.raises(DatasetError, match="there are: none yet"):
        find_version(file_store, "d-1")


def test_what_intake_batched_together_does_not_change_the_id(tmp_path: Path) -> None:
    records = patients(report="0" * 64)
    alone = open_store((tmp_path / "b").as_uri())
    for number, record in enumerate(records):
        keep_records(alone, [record], name=f"{number}-")
    assert freeze(alone, REAL).id == frozen(tmp_path / "a", records).id
