"""What others contributed before decides whether a picture is new, known, a link between patients, or a conflict."""

from collections.abc import Mapping
from datetime import date

import numpy as np
from factories import TODAY, encoded, intake, make_study, send
from numpy.typing import NDArray
from PIL import Image

from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.inbox import contribute
from ladnn.intake.process import IntakeReport
from ladnn.intake.record import Link, Record
from ladnn.phantoms.study import generate_study
from ladnn.store import ObjectStore


def slice_of(patient: int) -> NDArray[np.uint8]:
    return generate_study(11, patient, n_slices=1).slices[0].pixels


def smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same picture, exported at another size with other compression."""
    height, width = pixels.shape
    image = Image.fromarray(pixels).resize((round(width * 0.8), round(height * 0.8)), Image.Resampling.BICUBIC)
    return np.asarray(image)


def send_pixels(store: ObjectStore, pixels: NDArray[np.uint8], patient: str | None, **values: object) -> str:
    files = {"1.png": encoded(pixels)}
    study = make_study(files, patient_id=patient, **({"study_id": f"study of {patient}"} | values))
    return contribute(store, study, files, TODAY)[0]


def accepted(store: ObjectStore) -> list[Record]:
    return [record for outcome in read_outcomes(store) for record in outcome.accepted]


def links(store: ObjectStore) -> list[Link]:
    return [link for outcome in read_outcomes(store) for link in outcome.links]


def take_in(store: ObjectStore, splits: Mapping[str, str] | None = None) -> IntakeReport:
    return intake(store, lambda: splits or {})


def test_the_same_picture_of_the_same_patient_is_known_and_links_nothing(file_store: ObjectStore) -> None:
    send_pixels(file_store, slice_of(0), "p")
    send_pixels(file_store, slice_of(0), "p", study_id="again")
    report = take_in(file_store)
    assert (report.n_accepted, report.n_known, report.quarantined) == (1, 1, ())
    assert links(file_store) == []


def test_equal_pixels_under_another_patient_are_kept_once_and_link_the_two(file_store: ObjectStore) -> None:
    send_pixels(file_store, slice_of(0), "p", labels={"covid": 1})
    take_in(file_store)
    send_pixels(file_store, slice_of(0), "q", labels={"covid": 0})
    report = take_in(file_store)
    assert (report.n_accepted, report.n_known, report.quarantined) == (0, 2, ())
    (link,) = links(file_store)
    assert (link.kind, link.known_group) == ("exact", accepted(file_store)[0].group)
    (known,) = [record for outcome in read_outcomes(file_store) for record in outcome.known]
    assert known.labels["covid"].value == 0  # a label that differs is not lost


def test_a_picture_that_was_exported_anew_links_its_patients_and_a_stranger_does_not(file_store: ObjectStore) -> None:
    for patient in range(6):
        send_pixels(file_store, slice_of(patient), f"p{patient}")
    take_in(file_store)
    assert links(file_store) == []
    send_pixels(file_store, smaller(slice_of(3)), "q")
    report = take_in(file_store)
    assert report.n_accepted == 1
    (link,) = links(file_store)
    known = {record.image: record.group for record in accepted(file_store)}
    assert (link.kind, link.known_group) == ("near", known[link.known_image])
    assert link.image != link.known_image


def test_a_picture_of_a_test_patient_under_another_one_is_set_aside(file_store: ObjectStore) -> None:
    send_pixels(file_store, slice_of(0), "p")
    take_in(file_store)
    (record,) = accepted(file_store)
    splits = {record.group: "test"}
    send_pixels(file_store, slice_of(0), "q")
    send_pixels(file_store, smaller(slice_of(0)), None)
    send_pixels(file_store, slice_of(1), "r")
    report = take_in(file_store, splits)
    assert report.n_accepted == 1
    assert report.quarantined_by_reason == {"matches_test_image": 2}
    assert {link.known_group for link in links(file_store)} == {record.group}  # the patients follow it to test
    send_pixels(file_store, smaller(slice_of(0)), "p", study_id="follow-up")
    assert take_in(file_store, splits).n_known + len(accepted(file_store)) >= 3  # of the same patient it may come


def test_two_placed_patients_are_not_linked_across_splits(file_store: ObjectStore) -> None:
    send_pixels(file_store, slice_of(0), "p")
    send_pixels(file_store, slice_of(1), "q")
    take_in(file_store)
    first, second = accepted(file_store)
    send_pixels(file_store, smaller(slice_of(0)), "q", study_id="follow-up")
    report = take_in(file_store, {first.group: "train", second.group: "validation"})
    assert report.quarantined_by_reason == {"matches_other_split": 1}


def test_what_contradicts_a_known_patient_is_set_aside(file_store: ObjectStore) -> None:
    known = {"patient_id": "p", "site": "lab", "sex": "F", "age_y": 60, "contributed_on": date(2020, 3, 1)}
    send(file_store, (1,), study_id="1", **known)
    take_in(file_store)
    changes = ({"sex": "M"}, {"age_y": 30}, {"age_y": 61, "contributed_on": date(2021, 3, 1)}, {"site": "elsewhere"})
    for number, change in enumerate(changes, start=2):
        send(file_store, (number,), **(known | {"study_id": str(number), "sex": "F"} | change))
    report = take_in(file_store)
    assert report.quarantined_by_reason == {"patient_conflict": 2}
    send(file_store, (9,), **(known | {"study_id": "1", "patient_id": "q"}))
    assert take_in(file_store).quarantined_by_reason == {"patient_conflict": 1}


def test_a_study_stays_with_its_patient_whether_or_not_the_patient_is_named(file_store: ObjectStore) -> None:
    send_pixels(file_store, slice_of(0), "p", study_id="s")
    send_pixels(file_store, slice_of(1), None, study_id="t")
    take_in(file_store)
    send_pixels(file_store, slice_of(2), None, study_id="s")
    send_pixels(file_store, slice_of(3), "q", study_id="t")
    report = take_in(file_store)
    assert (report.n_accepted, report.quarantined) == (2, ())
    records = accepted(file_store)
    groups = {record.study: set[str]() for record in records}
    for record in records:
        groups[record.study].add(record.group)
    assert sorted(len(found) for found in groups.values()) == [1, 2]
    (link,) = links(file_store)
    assert link.kind == "study"
    assert {link.group, link.known_group} in groups.values()
