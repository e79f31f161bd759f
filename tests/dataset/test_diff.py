"""A diff names every record, label, split and group that changed."""

from datetime import date

from factories import keep_records, make_record

from ladnn.config import DataConfig
from ladnn.dataset.diff import Join, LabelChange, compare_versions
from ladnn.dataset.freezing import freeze
from ladnn.dataset.split import load_assignments
from ladnn.intake.record import Link, Record
from ladnn.labels import Label
from ladnn.store import ObjectStore, open_store


def patients(n_patients: int) -> list[Record]:
    return [make_record(f"p{number}", labels={"covid": number % 2, "GGO": 1}) for number in range(n_patients)]


def test_equal_versions_do_not_differ(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(12))
    version = freeze(file_store, DataConfig())
    assert compare_versions(file_store, version.id, version.id).is_empty


def test_records_are_added_and_removed(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(12))
    old = freeze(file_store, DataConfig())
    added = [make_record("p1", 5, contributed_on=date(2020, 4, 2)), make_record("new", contributed_on=date(2020, 4, 2))]
    keep_records(file_store, added, name="later-")
    new = freeze(file_store, DataConfig())
    diff = compare_versions(file_store, old.id, new.id)
    assert diff.added == tuple(sorted(record.image for record in added))
    assert (diff.n_patients_added, diff.n_patients_removed, diff.removed) == (1, 0, ())
    assert (diff.labels, diff.moves, diff.joins) == ((), (), ())
    back = compare_versions(file_store, new.id, old.id)
    assert (back.removed, back.n_patients_removed, back.added) == (diff.added, 1, ())


def test_changed_labels_are_named_with_their_images(file_store: ObjectStore) -> None:
    """The same records with other labels, kept in one store as if labels had been folded in meanwhile."""
    records = patients(12)
    keep_records(file_store, records)
    old = freeze(file_store, DataConfig())
    changed = [relabelled(records[2], GGO=0), relabelled(records[4], GGO=0), relabelled(records[5], Csld=1)]
    other = open_store(file_store.url + "-other")
    keep_records(other, [*changed, *(r for r in records if r.image not in {c.image for c in changed})])
    new = freeze(other, DataConfig())
    for name in ("manifest.parquet", "version.json"):
        file_store.put(f"datasets/{new.id}/{name}", other.get(f"datasets/{new.id}/{name}"))
    diff = compare_versions(file_store, old.id, new.id)
    assert diff.labels == (
        LabelChange(label="GGO", before="present", after="absent", images=images(records[2], records[4])),
        LabelChange(label="Csld", before="unknown", after="present", images=images(records[5])),
    )
    assert (diff.added, diff.removed) == ((), ())


def test_groups_that_were_joined_are_named(file_store: ObjectStore) -> None:
    records = patients(12)
    keep_records(file_store, records)
    old = freeze(file_store, DataConfig())
    assert old.n_groups == 12
    newcomer = make_record("new")
    by_split: dict[str, list[Record]] = {}
    for record in records:
        by_split.setdefault(split_of(file_store, record), []).append(record)
    one, other = by_split["train"][:2]
    links = [
        Link(kind="near", image=newcomer.image, group="new", known_image=r.image, known_group=r.group)
        for r in (one, other)
    ]
    keep_records(file_store, [newcomer], links=links)
    diff = compare_versions(file_store, old.id, freeze(file_store, DataConfig()).id)
    first = min(one.group, other.group)
    assert diff.joins == (Join(group=first, joined=tuple(sorted((one.group, other.group)))),)
    assert (diff.n_patients_added, diff.n_patients_removed, diff.moves) == (0, 0, ())


def relabelled(record: Record, **values: int) -> Record:
    new = {c: Label.model_validate({"value": v, "source": "override", "by": "tests"}) for c, v in values.items()}
    return record.model_copy(update={"labels": record.labels | new})


def images(*records: Record) -> tuple[str, ...]:
    return tuple(sorted(record.image for record in records))


def split_of(store: ObjectStore, record: Record) -> str:
    return load_assignments(store)[record.group]
