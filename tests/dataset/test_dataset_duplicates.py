"""Duplicates between patients are listed, and those whose labels contradict each other come first."""

from datetime import date

from factories import keep_outcomes, make_record

from ladnn.config import DataConfig
from ladnn.dataset.duplicates import find_duplicates
from ladnn.dataset.freezing import freeze
from ladnn.dataset.version import load_manifest
from ladnn.intake.record import Link, Outcome, Record
from ladnn.store import ObjectStore

MAY = date(2020, 5, 1)


def accepted(*records: Record, links: tuple[Link, ...] = (), known: tuple[Record, ...] = ()) -> Outcome:
    name = (*records, *known)[0].contribution
    return Outcome(contribution=name, accepted=records, known=known, quarantined=(), links=links)


def linked(kind: str, newer: Record, older: Record) -> Link:
    values = {"image": newer.image, "group": newer.group, "known_image": older.image, "known_group": older.group}
    return Link.model_validate({"kind": kind} | values)


def patients() -> list[Record]:
    return [make_record(f"p{number}", labels={"covid": number % 2, "GGO": 1}) for number in range(16)]


def test_pairs_are_listed_with_their_split_and_those_for_review_first(file_store: ObjectStore) -> None:
    old = patients()
    near = make_record("near", labels={"covid": 0, "Csld": 1})
    copy = make_record("copy", labels={"covid": 1, "GGO": 0}, image=old[3].image)
    keep_outcomes(file_store, [accepted(record) for record in old])
    keep_outcomes(
        file_store,
        [
            accepted(near, links=(linked("near", near, old[2]),)),
            accepted(known=(copy,), links=(linked("exact", copy, old[3]),)),
        ],
    )
    version = freeze(file_store, DataConfig())
    exact, alike = find_duplicates(file_store, version)
    assert (exact.kind, exact.image, exact.group, exact.known_group) == ("exact", old[3].image, "copy", "p3")
    assert exact.differing == ("GGO",)
    assert (alike.kind, alike.image, alike.known_image, alike.differing) == ("near", near.image, old[2].image, ())
    assert alike.split is not None


def test_what_came_after_the_cut_or_the_freeze_is_no_duplicate_of_a_version(file_store: ObjectStore) -> None:
    old = patients()
    late = make_record("late", contributed_on=MAY)
    keep_outcomes(file_store, [accepted(record) for record in old])
    before = freeze(file_store, DataConfig())
    keep_outcomes(file_store, [accepted(late, links=(linked("near", late, old[0]),))])
    assert find_duplicates(file_store, before) == []
    assert find_duplicates(file_store, freeze(file_store, DataConfig(cut="D0"))) == []
    assert len(find_duplicates(file_store, freeze(file_store, DataConfig(cut="D0+D1")))) == 1


def test_an_image_that_was_left_out_is_listed_without_a_split(file_store: ObjectStore) -> None:
    old = patients()
    keep_outcomes(file_store, [accepted(record) for record in old])
    version = freeze(file_store, DataConfig())
    assert find_duplicates(file_store, version) == []
    places = {r.group: s for r, s in zip(old, (split_of(file_store, version.id, r) for r in old), strict=True)}
    tested, trained = (next(r for r in old if places[r.group] == split) for split in ("test", "train"))
    again = make_record(trained.group, 7)
    links = (linked("near", again, tested),)
    keep_outcomes(file_store, [accepted(again, make_record(trained.group, 8), links=links)])
    (found,) = find_duplicates(file_store, freeze(file_store, DataConfig()))
    assert (found.image, found.split) == (again.image, None)


def split_of(store: ObjectStore, version_id: str, record: Record) -> str:
    manifest = load_manifest(store, version_id).set_index("image")
    return str(manifest["split"][record.image])
