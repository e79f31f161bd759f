"""The contribution format: refusals name fields, never values, and one bad image leaves its siblings usable."""

import hashlib
import json
from datetime import date
from typing import Any

import jsonschema
import pytest
from factories import encoded, make_study, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ladnn.errors import ContributionError, ImageRejectedError
from ladnn.intake.contribution import FORMAT, ContributedImage, contribution_schema, parse_study

FILES = {"1.png": encoded(picture(1)), "2.png": encoded(picture(2))}
PATIENT = "Jane Roe"
VALID: dict[str, Any] = {
    "format": FORMAT,
    "consent": True,
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


def images_of(document: dict[str, Any]) -> tuple[ContributedImage | ImageRejectedError, ...]:
    return parse_study(json.dumps(document).encode()).images


def rejection(document: dict[str, Any]) -> ImageRejectedError:
    (image,) = images_of(document)
    assert isinstance(image, ImageRejectedError)
    assert "Jane" not in str(image)
    return image


@pytest.mark.parametrize(
    "file",
    [
        "../a.png",
        "/a.png",
        "a/b.png",
        "..",
        ".a.png",
        "",
        "a\\b.png",
        "a\n.png",
        "a.png\n",
        "x" * 201,
        "\0",
        "study.json",
    ],
)
def test_a_file_name_that_leaves_the_folder_or_that_no_store_takes_is_refused(file: str) -> None:
    assert rejection(with_image(file=file)).reason == "bad_file_name"


@pytest.mark.parametrize("file", ["Schnitt 1 (ü).png", "肺.dcm", "a..b", "IM000001"])
def test_any_other_file_name_will_do(file: str) -> None:
    (image,) = images_of(with_image(file=file))
    assert isinstance(image, ContributedImage)


def test_a_bad_image_entry_leaves_its_siblings_usable() -> None:
    good = VALID["images"][0]
    entries = [
        good,
        good | {"file": "../b.png"},
        {"file": f"{PATIENT}.png"},
        good | {"file": "c.png", "labels": {PATIENT: 1}},
        good | {"file": "d.png", PATIENT: 1},
        PATIENT,
        good | {"file": "e.png"},
        good | {"file": "e.png"},
        good | {"file": "f.png", "labels": {"covid": 1, "COVID-19": 0}},
    ]
    images = images_of(VALID | {"images": entries})
    reasons = [image.reason if isinstance(image, ImageRejectedError) else "good" for image in images]
    assert reasons == [
        "good",
        "bad_file_name",
        "wrong_digest",
        "bad_labels",
        "bad_image_entry",
        "bad_image_entry",
        "duplicate_name",
        "duplicate_name",
        "bad_labels",
    ]
    assert not any("Jane" in str(image) for image in images if isinstance(image, ImageRejectedError))


def test_another_version_of_the_format_is_refused_by_name() -> None:
    assert FORMAT in refusal(VALID | {"format": "ladnn-contribution/1"})


def test_pseudonyms_are_taken_only_if_they_can_be_ours() -> None:
    named = {"identifiers": "pseudonyms", "study_id": "s-" + "0" * 20, "patient_id": "p-" + "1" * 20}
    assert parse_study(json.dumps(VALID | named).encode()).data.patient_id == "p-" + "1" * 20
    assert "pseudonyms" in refusal(VALID | named | {"patient_id": PATIENT})


def test_the_published_schema_tells_good_from_bad_as_intake_does() -> None:
    schema = contribution_schema()
    jsonschema.validate(VALID, schema)
    for bad in (
        VALID | {"format": "ladnn-contribution/1"},
        {name: value for name, value in VALID.items() if name != "consent"},
        VALID | {"site": PATIENT},
        VALID | {"images": []},
        with_image(file="../a.png"),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


@pytest.mark.parametrize("stated", [False, None, "yes", 1, "true", []])
def test_only_true_is_consent(stated: object) -> None:
    assert parse_study(json.dumps(VALID | {"consent": stated}).encode()).data.consent is False


def test_a_field_that_is_none_is_refused_with_the_remedy() -> None:
    assert "is no field of this format; see `ladnn schema contribution`" in refusal(VALID | {PATIENT: 1})


def test_labels_go_by_their_codes() -> None:
    (image,) = images_of(with_image(labels={"COVID-19": 1, "ground_glass_opacity": 0}))
    assert isinstance(image, ContributedImage)
    assert image.labels == {"covid": 1, "GGO": 0}


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
        VALID | {"consent": PATIENT, PATIENT + "2": {PATIENT: [PATIENT] * 1000}},
        VALID | {"images": PATIENT},
        VALID | {"report": [PATIENT], "annotated_by": PATIENT * 20, "format": PATIENT, "images": PATIENT},
    ],
    ids=lambda document: str(document)[:40],
)
def test_a_bad_document_is_refused_without_quoting_it(document: bytes | dict[str, Any]) -> None:
    message = refusal(document)
    assert message.startswith("study.json is invalid: ")
    assert "Jane" not in message
    assert "\n" not in message
    assert len(message) < 2000


@pytest.mark.parametrize(
    "image",
    [
        {"labels": {PATIENT: 1}},
        {"labels": {PATIENT: PATIENT}},
        {"labels": {"covid": PATIENT}},
        {"file": f"{PATIENT}/1.png", "sha256": PATIENT, "report": [PATIENT]},
        {PATIENT: PATIENT},
    ],
)
def test_a_bad_image_is_refused_without_quoting_it(image: dict[str, Any]) -> None:
    assert len(str(rejection(with_image(**image)))) < 1000


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
