"""The inbox: one study is one contribution for ever, half an upload is never taken, and no folder is missed."""

from datetime import timedelta
from typing import Any

import pytest
from factories import TODAY, encoded, intake, make_study, picture, send

from ladnn.errors import ContributionError, StoreError
from ladnn.intake.contribution import parse_study
from ladnn.intake.inbox import INBOX, Waiting, contribute, waiting_contributions
from ladnn.store import ObjectStore

FILES = {"1.png": encoded(picture(1)), "2.png": encoded(picture(2))}


class ObservedStore:
    """A store that notes the order of writes and every page of keys that is asked for."""

    def __init__(self, store: ObjectStore) -> None:
        self.store, self.url, self.written = store, store.url, []
        self.n_listed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def list(self, prefix: str, start_after: str = "", skip: tuple[str, str] | None = None) -> Any:
        for key in self.store.list(prefix, start_after, skip):
            self.n_listed += 1
            yield key

    def put(self, key: str, data: bytes) -> None:
        self.written.append(key)
        self.store.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.written.append(key)
        return self.store.put_if_absent(key, data)


def found(store: ObjectStore, *, sweep: bool = False) -> list[Waiting]:
    return list(waiting_contributions(store, sweep=sweep))


def test_the_same_study_twice_is_one_contribution_on_any_day(store: ObjectStore) -> None:
    first, new = contribute(store, make_study(FILES), FILES, TODAY)
    assert new
    keys = list(store.list(""))
    later = TODAY + timedelta(days=40)
    assert contribute(store, make_study(FILES), dict(reversed(FILES.items())), later) == (first, False)
    assert list(store.list("")) == keys
    assert found(store) == [Waiting(first, True)]
    parsed = parse_study(store.get(f"{INBOX}{first}/study.json"))
    assert parsed.images == make_study(FILES).images


def test_another_study_is_another_contribution(file_store: ObjectStore) -> None:
    changes: list[dict[str, Any]] = [{}, {"report": "Other."}, {"study_id": "t"}, {"labels": {"covid": 1}}]
    ids = {contribute(file_store, make_study(FILES, **change), FILES, TODAY)[0] for change in changes}
    assert len(ids) == len(changes)


def test_the_study_is_written_last(file_store: ObjectStore) -> None:
    observed = ObservedStore(file_store)
    contribution, _ = contribute(observed, make_study(FILES), FILES, TODAY)
    folder = f"{INBOX}{contribution}/"
    assert observed.written[1:] == [f"{folder}1.png", f"{folder}2.png", f"{folder}study.json"]


def test_an_upload_that_broke_off_is_begun_again_where_it_will_be_found(file_store: ObjectStore) -> None:
    class Broken(ObservedStore):
        def put(self, key: str, data: bytes) -> None:
            if key.endswith("2.png"):
                raise StoreError("the line is dead")
            super().put(key, data)

    with pytest.raises(StoreError):
        contribute(Broken(file_store), make_study(FILES), FILES, TODAY - timedelta(days=40))
    assert found(file_store, sweep=True) == []
    intake(file_store)
    contribution, new = contribute(file_store, make_study(FILES), FILES, TODAY)
    assert new
    assert found(file_store) == [Waiting(contribution, True)]


def test_a_contribution_is_complete_once_its_study_is_there(file_store: ObjectStore) -> None:
    file_store.put(f"{INBOX}half/1.png", FILES["1.png"])
    file_store.put(f"{INBOX}half/study.json.part", b"{}")
    assert found(file_store) == []
    file_store.put(f"{INBOX}half/study.json", b"{}")
    assert found(file_store) == [Waiting("half", True)]


def test_a_folder_whose_name_is_no_id_is_not_passed_over(file_store: ObjectStore) -> None:
    for folder in ("Jane Roe/", "a/b/", "x" * 129 + "/", "é/", ""):
        file_store.put(f"{INBOX}{folder}study.json", b"{}")
    names = found(file_store)
    assert len(set(names)) == 5
    assert not any(item.usable for item in names)
    assert all(item.contribution.startswith("folder-") for item in names)


def test_files_and_study_must_agree(file_store: ObjectStore) -> None:
    for files in ({}, {"1.png": b""}, FILES | {"3.png": b""}):
        with pytest.raises(ContributionError, match="exactly the images"):
            contribute(file_store, make_study(FILES), files, TODAY)
    assert list(file_store.list("")) == []


def test_past_weeks_are_not_listed_again_but_a_folder_dropped_by_hand_always_is(file_store: ObjectStore) -> None:
    for number in range(30):
        study = make_study(FILES, study_id=f"old-{number}")
        contribute(file_store, study, FILES, TODAY - timedelta(days=30 + number))
    intake(file_store)
    new = send(file_store, (5,))
    names = ("aaa", "t", "tz", "zzz", "20200101")
    for name in names:
        file_store.put(f"{INBOX}{name}/study.json", b"{}")
    observed = ObservedStore(file_store)
    assert {item.contribution for item in found(observed)} == {new, *names}
    assert observed.n_listed < 12
    assert len(found(file_store, sweep=True)) == 36


def test_an_upload_that_took_weeks_is_found_by_a_sweep(file_store: ObjectStore) -> None:
    send(file_store, (1,))
    intake(file_store)
    study = make_study(FILES, study_id="slow")
    contribution, _ = contribute(file_store, study, FILES, TODAY - timedelta(days=20))
    assert intake(file_store).n_contributions == 0
    report = intake(file_store, sweep=True)
    assert report.n_contributions == 1
    assert Waiting(contribution, True) in found(file_store, sweep=True)
