"""The contribution format: complete when `study.json` is there, the same for ever, and silent about its contents."""

import hashlib
import json
from datetime import date
from typing import Any

import pytest
from factories import encoded, make_study, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ladnn.errors import ContributionError, StoreError
from ladnn.intake.contribution import INBOX, complete_contributions, contribute, parse_study
from ladnn.store import ObjectStore

FILES = {"1.png": encoded(picture(1)), "2.png": encoded(picture(2))}
PATIENT = "Jane Roe"
VALID: dict[str, Any] = {
    "site": "lab",
    "study_id": "s",
    "contributed_on": "2020-03-01",
    "images": [{"file": "a.png", "sha256": "0" * 64}],
}


def refusal(document: bytes | dict[str, Any]) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(ContributionError) as caught:
        parse_study(data)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__  # a traceback would quote the document
    return str(caught.value)


def with_image(**values: Any) -> dict[str, Any]:
    return VALID | {"images": [VALID["images"][0] | values]}


class ObservedStore:
    """A store that notes the order of writes."""

    def __init__(self, store: ObjectStore) -> None:
        self.store, self.url, self.written = store, store.url, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def put(self, key: str, data: bytes) -> None:
        self.written.append(key)
        self.store.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.written.append(key)
        return self.store.put_if_absent(key, data)


def test_the_same_study_twice_is_one_contribution(store: ObjectStore) -> None:
    first, new = contribute(store, make_study(FILES), FILES)
    assert new
    keys = list(store.list(""))
    assert contribute(store, make_study(FILES), dict(reversed(FILES.items()))) == (first, False)
    assert list(store.list("")) == keys
    assert list(complete_contributions(store)) == [(first, True)]
    assert parse_study(store.get(f"{INBOX}{first}/study.json")) == make_study(FILES)


def test_another_study_is_another_contribution(file_store: ObjectStore) -> None:
    changes: list[dict[str, Any]] = [{}, {"report": "Other."}, {"study_id": "t"}, {"labels": {"covid": 1}}]
    ids = {contribute(file_store, make_study(FILES, **change), FILES)[0] for change in changes}
    assert len(ids) == len(changes)


def test_the_study_is_written_last_and_again_after_a_half_upload(file_store: ObjectStore) -> None:
    observed = ObservedStore(file_store)
    contribution, _ = contribute(observed, make_study(FILES), FILES)
    folder = f"{INBOX}{contribution}/"
    assert observed.written == [f"{folder}1.png", f"{folder}2.png", f"{folder}study.json"]


def test_a_contribution_is_complete_once_its_study_is_there(file_store: ObjectStore) -> None:
    file_store.put(f"{INBOX}half/1.png", FILES["1.png"])
    file_store.put(f"{INBOX}half/study.json.part", b"{}")
    assert list(complete_contributions(file_store)) == []
    file_store.put(f"{INBOX}half/study.json", b"{}")
    assert list(complete_contributions(file_store)) == [("half", True)]


def test_a_folder_whose_name_is_no_id_is_not_passed_over(file_store: ObjectStore) -> None:
    for folder in (f"{PATIENT}/", "a/b/", "x" * 129 + "/", "é/", ""):
        file_store.put(f"{INBOX}{folder}study.json", b"{}")
    found = dict(complete_contributions(file_store))
    assert len(found) == 5
    assert not any(found.values())
    assert all(name.startswith("folder-") for name in found)


def test_files_and_study_must_agree(file_store: ObjectStore) -> None:
    for files in ({}, {"1.png": b""}, FILES | {"3.png": b""}):
        with pytest.raises(ContributionError, match="exactly the images"):
            contribute(file_store, make_study(FILES), files)
    assert list(file_store.list("")) == []


@pytest.mark.parametrize(
    "file",
    ["../a.png", "/a.png", "a/b.png", "..", ".a.png", "", "a\\b.png", "a\n.png", "a.png\n", "é.png", "x" * 201, "\0"],
)
def test_a_file_name_that_leaves_the_folder_or_that_no_store_takes_is_refused(file: str) -> None:
    assert "images.0.file: " in refusal(with_image(file=file))


def test_repeated_names_are_refused() -> None:
    image = VALID["images"][0]
    assert "same file name" in refusal(VALID | {"images": [image, image]})
    assert "same file name" in refusal(with_image(file="study.json"))
    assert "named twice" in refusal(with_image(labels={"covid": 1, "COVID-19": 0}))


def test_labels_go_by_their_codes() -> None:
    study = parse_study(json.dumps(with_image(labels={"COVID-19": 1, "ground_glass_opacity": 0})).encode())
    assert study.images[0].labels == {"covid": 1, "GGO": 0}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'{"study_id": "Jane Roe',
        b'"Jane Roe"',
        b"[" * 100_000,
        VALID | {"patient_id": PATIENT, PATIENT: 1},
        VALID | {"site": PATIENT},
        VALID | {"contributed_on": PATIENT},
        VALID | {"study_id": [PATIENT], "patient_id": {PATIENT: PATIENT}},
        VALID | {"age_y": PATIENT, "sex": PATIENT, "source": PATIENT, "split": PATIENT, "synthetic": PATIENT},
        VALID | {"report": [PATIENT], "annotated_by": PATIENT * 20, "format": PATIENT, "images": PATIENT},
        with_image(labels={PATIENT: 1}),
        with_image(labels={PATIENT: PATIENT}),
        with_image(labels={"covid": PATIENT}),
        with_image(file=f"{PATIENT}/1.png", sha256=PATIENT, report=[PATIENT]),
        VALID | {"images": [{"file": f"{PATIENT}?", PATIENT: PATIENT}] * 1000},
    ],
    ids=lambda document: str(document)[:40],
)
def test_a_bad_document_is_refused_without_quoting_it(document: bytes | dict[str, Any]) -> None:
    message = refusal(document)
    assert message.startswith("study.json is invalid: ")
    assert "Jane" not in message
    assert "\n" not in message
    assert len(message) < 2000


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_study_or_refused(document: Any) -> None:
    refusal(json.dumps(document).encode())


def test_a_study_that_python_makes_obeys_the_same_rules() -> None:
    with pytest.raises(ValidationError):
        make_study(FILES, contributed_on=date(2020, 3, 1), site="Lab One")
    assert hashlib.sha256(FILES["1.png"]).hexdigest() == make_study(FILES).images[0].sha256


def test_a_name_that_no_store_takes_never_reaches_it(file_store: ObjectStore) -> None:
    with pytest.raises(StoreError):
        file_store.put(f"{INBOX}a/../b", b"")
