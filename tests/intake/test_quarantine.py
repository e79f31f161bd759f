"""The ways out of quarantine: released by a person who is named, or rejected; never by itself, and nothing is lost."""

import json
from datetime import date, timedelta

import pytest
from factories import TODAY, desk, encoded, intake, make_study, picture, send

from ladnn.errors import QuarantineError
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.decode import decode_canonical
from ladnn.intake.inbox import INBOX
from ladnn.intake.quarantine import cases, find_case, reject, release
from ladnn.intake.quarantine import picture as picture_of
from ladnn.store import ObjectStore

NAMED = {"by": "Ada", "reason": "the site called"}


def reasons(store: ObjectStore) -> dict[str, str]:
    return {case.item: case.finding.reason for case in cases(desk(store)) if case.state == "open"}


def n_accepted(store: ObjectStore) -> int:
    return sum(len(outcome.accepted) for outcome in read_outcomes(store))


def test_a_finding_that_a_person_may_overrule_is_overruled_once_and_recorded(file_store: ObjectStore) -> None:
    contribution = send(file_store, (1, 2), consent=False)
    intake(file_store)
    assert reasons(file_store) == {contribution: "no_consent"}
    assert find_case(desk(file_store), contribution).overrulable
    outcome = release(desk(file_store), contribution, **NAMED, today=TODAY)
    assert (len(outcome.accepted), outcome.quarantined) == (2, ())
    assert reasons(file_store) == {}
    assert n_accepted(file_store) == 2
    with pytest.raises(QuarantineError, match="not in quarantine"):
        release(desk(file_store), contribution, **NAMED)
    assert intake(file_store).n_contributions == 0
    assert n_accepted(file_store) == 2


@pytest.mark.parametrize(
    "values", [{"contributed_on": TODAY + timedelta(days=30)}, {"studied_on": TODAY + timedelta(days=2)}]
)
def test_a_date_in_the_future_is_set_aside_until_somebody_vouches_for_it(
    file_store: ObjectStore, values: dict[str, date]
) -> None:
    contribution = send(file_store, (1,), **values)
    assert intake(file_store).quarantined_by_reason == {"future_date": 1}
    assert len(release(desk(file_store), contribution, **NAMED, today=TODAY).accepted) == 1


def test_what_only_the_contributor_can_mend_is_looked_at_again(file_store: ObjectStore) -> None:
    files = {"1.png": encoded(picture(1)), "2.png": encoded(picture(2))}
    file_store.put(f"{INBOX}mine/1.png", files["1.png"])
    file_store.put(f"{INBOX}mine/study.json", make_study(files).model_dump_json().encode())
    intake(file_store)
    assert reasons(file_store) == {"mine:2": "missing_file"}
    still = release(desk(file_store), "mine:2", **NAMED, today=TODAY)
    assert [item.reason for item in still.quarantined] == ["missing_file"]
    assert reasons(file_store) == {"mine:2": "missing_file"}
    file_store.put(f"{INBOX}mine/2.png", files["2.png"])
    assert len(release(desk(file_store), "mine:2", **NAMED, today=TODAY).accepted) == 1
    assert reasons(file_store) == {}
    assert n_accepted(file_store) == 2


def test_a_study_that_was_corrected_comes_in_whole(file_store: ObjectStore) -> None:
    files = {"1.png": encoded(picture(1))}
    document = json.loads(make_study(files).model_dump_json())
    file_store.put(f"{INBOX}mine/1.png", files["1.png"])
    file_store.put(f"{INBOX}mine/study.json", json.dumps(document | {"site": "Not A Site"}).encode())
    intake(file_store)
    assert reasons(file_store) == {"mine": "bad_study_json"}
    file_store.put(f"{INBOX}mine/study.json", json.dumps(document).encode())
    assert len(release(desk(file_store), "mine", **NAMED, today=TODAY).accepted) == 1
    assert reasons(file_store) == {}


def test_a_rejected_item_is_no_longer_open_but_keeps_a_way_back(file_store: ObjectStore) -> None:
    contribution = send(file_store, (1,), consent=False)
    intake(file_store)
    case = reject(desk(file_store), contribution, **NAMED)
    assert case.state == "rejected"
    assert [(d.action, d.by, d.reason) for d in case.decisions] == [("reject", "Ada", "the site called")]
    assert reasons(file_store) == {}
    assert len(cases(desk(file_store))) == 1
    assert len(release(desk(file_store), contribution, **NAMED, today=TODAY).accepted) == 1


def test_a_decision_names_who_and_why(file_store: ObjectStore) -> None:
    contribution = send(file_store, (1,), consent=False)
    intake(file_store)
    for by, reason in ((" ", "x"), ("x", "")):
        with pytest.raises(QuarantineError, match="--by and --reason"):
            release(desk(file_store), contribution, by=by, reason=reason)
    with pytest.raises(QuarantineError, match="ladnn quarantine list"):
        reject(desk(file_store), "nobody:1", **NAMED)


def test_a_folder_whose_name_cannot_be_an_id_must_be_sent_again(file_store: ObjectStore) -> None:
    file_store.put(f"{INBOX}no id/study.json", b"{}")
    intake(file_store)
    (item,) = reasons(file_store)
    with pytest.raises(QuarantineError, match="another name"):
        release(desk(file_store), item, **NAMED)


def test_a_picture_in_quarantine_can_be_looked_at(file_store: ObjectStore) -> None:
    files = {"1.png": encoded(picture(1)), "2.png": b"torn"}
    study = make_study(files, consent=True, report="A normal chest.")
    for name, data in files.items():
        file_store.put(f"{INBOX}mine/{name}", data)
    file_store.put(f"{INBOX}mine/study.json", study.model_dump_json().encode())
    intake(file_store)
    assert (decode_canonical(picture_of(desk(file_store), "mine:1")) == picture(1)).all()
    with pytest.raises(QuarantineError, match="shows no picture"):
        picture_of(desk(file_store), "mine:2")


def test_what_was_overruled_once_is_not_asked_again(file_store: ObjectStore) -> None:
    contribution = send(file_store, (1,), consent=False, contributed_on=TODAY + timedelta(days=30))
    intake(file_store)
    assert reasons(file_store) == {contribution: "no_consent"}
    release(desk(file_store), contribution, **NAMED, today=TODAY)
    assert reasons(file_store) == {contribution: "future_date"}
    assert len(release(desk(file_store), contribution, **NAMED, today=TODAY).accepted) == 1
    assert reasons(file_store) == {}


def test_a_study_that_no_longer_names_the_image_is_said_so(file_store: ObjectStore) -> None:
    files = {"1.png": encoded(picture(1)), "2.png": b"torn"}
    for name, data in files.items():
        file_store.put(f"{INBOX}mine/{name}", data)
    file_store.put(f"{INBOX}mine/study.json", make_study(files).model_dump_json().encode())
    intake(file_store)
    fewer = make_study({"1.png": files["1.png"]})
    file_store.put(f"{INBOX}mine/study.json", fewer.model_dump_json().encode())
    for act in (lambda: release(desk(file_store), "mine:2", **NAMED), lambda: picture_of(desk(file_store), "mine:2")):
        with pytest.raises(QuarantineError, match="names no image 2"):
            act()
    file_store.put(f"{INBOX}mine/study.json", b"{")
    with pytest.raises(QuarantineError, match="unusable by now"):
        release(desk(file_store), "mine:2", **NAMED)
    assert reasons(file_store) == {"mine:2": "wrong_type"}


def test_the_name_of_a_missing_file_is_not_told(file_store: ObjectStore) -> None:
    study = make_study({"Mueller_Hans.png": encoded(picture(1))})
    file_store.put(f"{INBOX}mine/study.json", study.model_dump_json().encode())
    intake(file_store)
    with pytest.raises(QuarantineError) as caught:
        picture_of(desk(file_store), "mine:1")
    assert "Mueller" not in str(caught.value)
