"""Freezing takes a cut of what was accepted, and keeps together what a picture links."""

from datetime import date

import pytest
from factories import keep_outcomes, keep_records, make_record

from ladnn.config import ConfigError, Cut, DataConfig
from ladnn.config_file import parse_config
from ladnn.dataset.freezing import freeze
from ladnn.dataset.split import load_assignments
from ladnn.dataset.version import load_manifest
from ladnn.errors import DigestMismatchError, EmptyInboxError
from ladnn.intake.record import Link, Outcome, Record
from ladnn.store import ObjectStore, read_json, write_json

EARLY, LATE = date(2020, 3, 30), date(2020, 5, 1)
VARIANT = {"backbone": "efficientnet_lite0", "task": "ladnn"}


def patients(n_patients: int, name: str = "p", day: date = EARLY) -> list[Record]:
    return [
        make_record(
            f"{name}{number}", labels={"covid": 1, "GGO": 1} if number % 2 else {"covid": 0}, contributed_on=day
        )
        for number in range(n_patients)
    ]


def linked(newer: Record, older: Record, kind: str = "near") -> Link:
    return Link.model_validate(
        {
            "kind": kind,
            "image": older.image if kind == "exact" else newer.image,
            "group": newer.group,
            "known_image": older.image,
            "known_group": older.group,
        }
    )


def splits(store: ObjectStore, version_id: str) -> dict[str, str]:
    manifest = load_manifest(store, version_id)
    return dict(zip(manifest["patient"], manifest["split"], strict=True))


def test_a_cut_takes_the_contributions_of_its_days(file_store: ObjectStore) -> None:
    days = {"a": date(2020, 3, 31), "b": date(2020, 4, 1), "c": date(2020, 5, 21), "d": date(2020, 5, 22)}
    keep_records(file_store, [record for name, day in days.items() for record in patients(24, name, day)])
    frozen = {cut: freeze(file_store, DataConfig(cut=cut)) for cut in ("D0", "D1", "D0+D1", None)}
    groups = {cut: set(load_manifest(file_store, version.id)["group"].str[0]) for cut, version in frozen.items()}
    assert groups == {"D0": {"a"}, "D1": {"b", "c"}, "D0+D1": {"a", "b", "c"}, None: {"a", "b", "c", "d"}}
    assert (frozen["D1"].cut, frozen["D1"].after, frozen["D1"].until) == ("D1", date(2020, 3, 31), date(2020, 5, 21))
    assert (frozen[None].cut, frozen[None].after, frozen[None].until) == (None, None, None)


def test_a_patient_has_one_place_whatever_the_cut(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(30))
    before = splits(file_store, freeze(file_store, DataConfig(cut="D0")).id)
    keep_records(file_store, patients(60, day=LATE), name="later-")
    keep_records(file_store, [make_record("p1", 5, contributed_on=LATE)], name="again-")
    versions = [freeze(file_store, DataConfig(cut=cut)) for cut in ("D1", "D0+D1", "D0")]
    for version in versions:
        now = splits(file_store, version.id)
        assert {name: now[name] for name in before.keys() & now.keys()}.items() <= before.items()
    assert splits(file_store, versions[2].id) == before
    assert load_assignments(file_store).keys() == {f"p{number}" for number in range(60)}


def test_the_same_records_under_two_cuts_are_two_versions_with_one_test_part(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(20))
    one, other = freeze(file_store, DataConfig(cut="D0")), freeze(file_store, DataConfig(cut="D0+D1"))
    assert one.id != other.id
    assert one.test_version == other.test_version
    moved = DataConfig(cut="D0", cuts={"D0": Cut(until=date(2020, 4, 2))})
    assert freeze(file_store, moved).id != one.id


def test_a_cut_without_contributions_is_empty(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(20))
    with pytest.raises(EmptyInboxError, match="no real image of cut D1"):
        freeze(file_store, DataConfig(cut="D1"))


def test_a_version_whose_description_was_changed_is_damaged(file_store: ObjectStore) -> None:
    keep_records(file_store, patients(20))
    version = freeze(file_store, DataConfig(cut="D0"))
    key = f"datasets/{version.id}/version.json"
    write_json(file_store, key, read_json(file_store, key) | {"cut": "D1"})
    with pytest.raises(DigestMismatchError):
        load_manifest(file_store, version.id)


def test_cuts_are_read_from_toml_dates_and_added_to_those_of_the_paper() -> None:
    data = {"cut": "june", "cuts": {"june": {"after": date(2020, 5, 31), "until": date(2020, 6, 30)}}}
    config = parse_config({"variants": [VARIANT], "data": data}, "test")
    assert config.data.cuts["june"] == Cut(after=date(2020, 5, 31), until=date(2020, 6, 30))
    assert config.data.cuts.keys() == {"D0", "D1", "D0+D1", "june"}
    assert parse_config(config.model_dump(mode="json"), "again") == config
    assert parse_config({"variants": [VARIANT]}, "bare").data == DataConfig()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"cut": "D7"}, "there is no cut 'D7'; known cuts are D0, D0\\+D1, D1"),
        ({"cuts": {"x": {"until": "soon"}}}, "data.cuts.x.until: "),
        ({"cuts": {"x": {"since": date(2020, 1, 1)}}}, "unknown key 'data.cuts.x.since'"),
        ({"cuts": {"x": {"after": LATE, "until": EARLY}}}, "leave no day between them"),
    ],
)
def test_a_wrong_cut_is_a_config_error(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({"variants": [VARIANT], "data": data}, "test")


def test_another_cut_can_be_asked_for_by_name_only_if_it_is_known() -> None:
    assert DataConfig(synthetic=True).of_cut("D1") == DataConfig(synthetic=True, cut="D1")
    with pytest.raises(ConfigError, match="known cuts are D0"):
        DataConfig().of_cut("D2")


def test_groups_that_share_a_picture_are_one_group_of_one_split(file_store: ObjectStore) -> None:
    records = patients(40)
    links = [linked(records[number + 20], records[number], "near" if number % 3 else "exact") for number in range(20)]
    keep_records(file_store, records, links=links)
    version = freeze(file_store, DataConfig())
    manifest = load_manifest(file_store, version.id).set_index("patient")
    assert (version.n_images, version.n_groups, version.n_left_out) == (40, 20, 0)
    assert set(manifest["group_basis"]) == {"near-duplicate"}
    for number in range(20):
        pair = manifest.loc[[f"p{number}", f"p{number + 20}"]]
        assert pair["group"].nunique() == pair["split"].nunique() == 1


def test_a_group_is_named_after_the_one_that_was_placed_first(file_store: ObjectStore) -> None:
    first = patients(20)
    keep_records(file_store, first)
    freeze(file_store, DataConfig())
    newcomer = make_record("a newcomer")
    keep_records(file_store, [newcomer], links=[linked(newcomer, first[3])])
    manifest = load_manifest(file_store, freeze(file_store, DataConfig()).id).set_index("image")
    assert manifest.loc[newcomer.image, "group"] == "p3"
    assert manifest.loc[newcomer.image, "patient"] == "a newcomer"
    assert manifest.loc[newcomer.image, "split"] == manifest.loc[first[3].image, "split"]
    assert manifest.loc[first[4].image, "group_basis"] == "patient"


def test_an_unknown_patient_is_a_group_by_study(file_store: ObjectStore) -> None:
    keep_records(file_store, [*patients(20), make_record("someone", group_basis="study")])
    manifest = load_manifest(file_store, freeze(file_store, DataConfig()).id).set_index("group")
    assert manifest.loc["someone", "group_basis"] == "study"
    assert manifest["patient"].isna().sum() == 1


def test_the_newer_of_two_like_pictures_in_two_splits_is_left_out(file_store: ObjectStore) -> None:
    first = patients(20)
    keep_records(file_store, first)
    places = splits(file_store, freeze(file_store, DataConfig()).id)
    tested = next(record for record in first if places[record.group] == "test")
    trained = next(record for record in first if places[record.group] == "train")
    again = make_record(trained.group, 9, {"covid": 0})
    keep_records(file_store, [again, make_record(trained.group, 8)], name="again-", links=[linked(again, tested)])
    version = freeze(file_store, DataConfig())
    manifest = load_manifest(file_store, version.id)
    assert (version.n_left_out, version.n_images) == (1, 21)
    assert again.image not in set(manifest["image"])
    assert splits(file_store, version.id) == places


def test_equal_pixels_under_patients_of_two_splits_stay_where_they_were_first(file_store: ObjectStore) -> None:
    first = patients(20)
    keep_records(file_store, first)
    before = freeze(file_store, DataConfig())
    places = splits(file_store, before.id)
    tested = next(record for record in first if places[record.group] == "test")
    trained = next(record for record in first if places[record.group] == "train")
    copy = make_record(trained.group, 9, image=tested.image)
    outcome = Outcome(
        contribution="copy", accepted=(), known=(copy,), quarantined=(), links=(linked(copy, tested, "exact"),)
    )
    keep_outcomes(file_store, [outcome])
    assert freeze(file_store, DataConfig()) == before


def test_a_phantom_that_looks_like_a_patient_joins_nobody(file_store: ObjectStore) -> None:
    real = patients(20)
    phantoms = [r.model_copy(update={"synthetic": True}) for r in patients(20, "phantom")]
    keep_records(file_store, [*real, *phantoms], links=[linked(phantoms[0], real[0]), linked(phantoms[0], real[1])])
    assert freeze(file_store, DataConfig()).n_groups == 20
    assert freeze(file_store, DataConfig(synthetic=True)).n_groups == 20


def test_a_group_all_of_whose_pictures_were_known_joins_those_it_shows(file_store: ObjectStore) -> None:
    records = patients(20)
    copies = [make_record("bridge", number, image=records[number].image) for number in (0, 1)]
    bridge = Outcome(
        contribution="bridge",
        accepted=(),
        known=tuple(copies),
        quarantined=(),
        links=tuple(linked(copy, records[number], "exact") for number, copy in enumerate(copies)),
    )
    keep_records(file_store, records)
    keep_outcomes(file_store, [bridge])
    manifest = load_manifest(file_store, freeze(file_store, DataConfig()).id)
    assert manifest["group"].nunique() == 19
    assert "bridge" not in load_assignments(file_store)
