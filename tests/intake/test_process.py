"""Every complete contribution ends accepted or quarantined with a reason, once, whoever dies on the way."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from factories import KEY, REPORT, TODAY, encoded, intake, make_study, picture, send

from ladnn.errors import StoreError
from ladnn.intake.catalogue import read_outcomes, read_report_text
from ladnn.intake.decode import canonical_digest, decode_canonical
from ladnn.intake.inbox import INBOX, contribute
from ladnn.intake.process import IntakeReport
from ladnn.intake.pseudonym import pseudonym
from ladnn.intake.record import Outcome, Quarantined, Record, image_key
from ladnn.store import ObjectStore


def accepted(store: ObjectStore) -> list[Record]:
    return [record for outcome in read_outcomes(store) for record in outcome.accepted]


def quarantined(store: ObjectStore) -> list[Quarantined]:
    return [item for outcome in read_outcomes(store) for item in outcome.quarantined]


def only_record(store: ObjectStore) -> Record:
    intake(store)
    (record,) = accepted(store)
    return record


def documents(store: ObjectStore) -> dict[str, bytes]:
    """All that intake has left."""
    return {key: store.get(key) for key in store.list("") if not key.startswith(INBOX)}


def test_an_empty_inbox_is_no_error(file_store: ObjectStore) -> None:
    assert intake(file_store) == IntakeReport(n_contributions=0, n_known=0, n_accepted=0, quarantined=())
    assert list(read_outcomes(file_store)) == []


def test_an_accepted_image_is_kept_as_canonical_pixels_with_a_record(file_store: ObjectStore) -> None:
    contribution = send(file_store, (5,), patient_id="p", age_y=61, sex="F", split="train", source="medpix")
    record = only_record(file_store)
    pixels = decode_canonical(file_store.get(image_key(record.image)))
    assert (pixels == picture(5)).all()
    assert record.image == canonical_digest(pixels)
    assert (record.contribution, record.position, record.site, record.source) == (contribution, 1, "lab", "medpix")
    assert (record.age_y, record.sex, record.requested_split, record.synthetic) == (61, "F", "train", False)
    assert (record.height_px, record.width_px) == picture(5).shape
    assert (record.original_format, record.original_mode) == ("PNG", "L")
    assert record.n_bytes == len(encoded(picture(5)))
    assert read_report_text(file_store, record) == REPORT


def test_a_second_run_changes_nothing(file_store: ObjectStore) -> None:
    send(file_store, (0, 1))
    send(file_store, (2,), labels={"covid": 0}, report=None)
    first = intake(file_store)
    left = documents(file_store)
    second = intake(file_store)
    assert (first.n_contributions, first.n_known, first.n_accepted) == (2, 0, 3)
    assert (second.n_contributions, second.n_known, second.n_accepted) == (0, 3, 0)
    assert documents(file_store) == left


def test_a_half_upload_is_left_alone_until_it_is_whole(file_store: ObjectStore) -> None:
    data = encoded(picture())
    study = make_study({"1.png": data})
    file_store.put(f"{INBOX}half/1.png", data)
    assert intake(file_store).n_contributions == 0
    assert list(file_store.list(INBOX)) == [f"{INBOX}half/1.png"]
    file_store.put(f"{INBOX}half/study.json", study.model_dump_json().encode())
    assert intake(file_store).n_accepted == 1


def test_a_bad_image_is_set_aside_while_its_siblings_are_accepted(store: ObjectStore) -> None:
    files = {
        "1.png": encoded(picture(1)),
        "2.png": b"no image",
        "3.png": encoded(picture(3)),
        "4.png": b"",
        "5.png": encoded(picture(5))[:200],
        "6.png": encoded(picture(6, (8, 8))),
        "7.png": encoded(picture(7) // 255),
    }
    contribution, _ = contribute(store, make_study(files), files, TODAY)
    report = intake(store)
    assert [record.position for record in accepted(store)] == [1, 3]
    reasons = {item.position: item.reason for item in report.quarantined}
    assert reasons == {2: "wrong_type", 4: "empty", 5: "truncated", 6: "too_small", 7: "blank"}
    assert report.quarantined_by_reason == {"blank": 1, "empty": 1, "too_small": 1, "truncated": 1, "wrong_type": 1}
    assert report.quarantined == tuple(quarantined(store))
    assert str(report.quarantined[0]).startswith(f"contribution {contribution}, image 2: wrong_type: ")


def test_a_missing_file_and_a_wrong_digest_are_set_aside(file_store: ObjectStore) -> None:
    files = {f"{number}.png": encoded(picture(number)) for number in (1, 2, 3)}
    file_store.put(f"{INBOX}by-hand/1.png", files["1.png"])
    file_store.put(f"{INBOX}by-hand/3.png", encoded(picture(4)))
    file_store.put(f"{INBOX}by-hand/study.json", make_study(files).model_dump_json().encode())
    intake(file_store)
    assert [record.position for record in accepted(file_store)] == [1]
    assert {item.position: item.reason for item in quarantined(file_store)} == {2: "missing_file", 3: "wrong_digest"}


def test_bytes_that_the_store_itself_lost_do_not_stop_the_others(file_store: ObjectStore, tmp_path: Path) -> None:
    image_lost = send(file_store, (1, 2))
    study_lost = send(file_store, (3,))
    (tmp_path / "store" / INBOX / image_lost / "1.png").write_bytes(b"rotten")
    (tmp_path / "store" / INBOX / study_lost / "study.json").write_bytes(b"rotten")
    intake(file_store)
    assert [(record.contribution, record.position) for record in accepted(file_store)] == [(image_lost, 2)]
    assert {(item.contribution, item.position, item.reason) for item in quarantined(file_store)} == {
        (image_lost, 1, "wrong_digest"),
        (study_lost, None, "wrong_digest"),
    }


@pytest.mark.parametrize(
    ("folder", "document", "reason"),
    [
        ("bad", b"{", "bad_study_json"),
        ("bad", b'{"Jane Roe": 1}', "bad_study_json"),
        ("bad", b'{"images": [{"labels": {"Jane Roe": 1}}]}', "bad_study_json"),
        ("Jane Roe", b"{}", "bad_folder_name"),
        ("inner/Jane Roe", b"{}", "bad_folder_name"),
    ],
)
def test_an_unusable_contribution_is_set_aside_whole(
    file_store: ObjectStore, folder: str, document: bytes, reason: str
) -> None:
    file_store.put(f"{INBOX}{folder}/study.json", document)
    send(file_store)
    report = intake(file_store)
    assert (report.n_contributions, report.n_accepted) == (2, 1)
    (item,) = report.quarantined
    assert (item.position, item.reason) == (None, reason)
    assert "Jane" not in str(item)
    assert intake(file_store).n_contributions == 0


@pytest.mark.parametrize(
    ("report", "reason"),
    [(None, "no_report"), ("", "no_report"), (" \n", "no_report"), ("A normal chest.", "no_label")],
)
def test_an_image_of_which_nothing_is_known_is_set_aside(
    file_store: ObjectStore, report: str | None, reason: str
) -> None:
    send(file_store, report=report)
    (item,) = intake(file_store).quarantined
    assert (item.position, item.reason) == (1, reason)


def test_an_image_takes_its_own_report_and_else_that_of_its_study(file_store: ObjectStore) -> None:
    send(file_store, (1,), image_reports="No GGO.", report="Consolidation.")
    send(file_store, (2,), image_reports=" ", report="Crazy paving.")
    intake(file_store)
    found = [{code: label.value for code, label in record.labels.items()} for record in accepted(file_store)]
    assert sorted(found, key=str) == [{"CrPa": 1}, {"GGO": 0}]


def test_an_annotation_wins_over_the_report_and_says_whose_it_is(file_store: ObjectStore) -> None:
    send(file_store, labels={"GGO": 0, "AirBr": 1}, annotated_by="two radiologists")
    labels = only_record(file_store).labels
    assert {code: (label.value, label.source) for code, label in labels.items()} == {
        "covid": (1, "report"),
        "GGO": (0, "annotation"),
        "Csld": (0, "report"),
        "AirBr": (1, "annotation"),
    }
    assert labels["GGO"].by == "two radiologists"
    span = labels["Csld"].span
    assert span is not None
    assert REPORT[slice(*span)] == "consolidation"


def test_equal_pixels_are_accepted_once_whatever_file_they_come_in(file_store: ObjectStore) -> None:
    files = {
        "1.png": encoded(picture(1)),
        "2.png": encoded(picture(1), compress_level=0),
        "3.png": encoded(picture(2)),
    }
    contribute(file_store, make_study(files), files, TODAY)
    intake(file_store)
    send(file_store, (2, 3), study_id="another")
    report = intake(file_store)
    assert (report.n_accepted, report.quarantined) == (1, ())
    images = [record.image for record in accepted(file_store)]
    assert len(images) == len(set(images)) == 3


def test_a_patient_is_one_group_at_one_site_and_needs_the_key_to_be_known_again(file_store: ObjectStore) -> None:
    for number, (site, patient, study) in enumerate(
        [("a", "p", "s1"), ("a", "p", "s2"), ("b", "p", "s1"), ("a", None, "s1"), ("a", None, "p")]
    ):
        send(file_store, (number,), site=site, patient_id=patient, study_id=study)
    intake(file_store)
    records = sorted(accepted(file_store), key=lambda record: record.image)
    groups = {record.group for record in records}
    assert len(groups) == 4
    assert {record.group[0]: record.group_basis for record in records} == {"p": "patient", "s": "study"}
    assert pseudonym(KEY, "patient", "a", "p") in groups
    assert pseudonym(b"another key of these tests", "patient", "a", "p") not in groups


def test_a_panel_names_a_part_only_and_what_only_refused_images_say_is_not_kept(file_store: ObjectStore) -> None:
    files = {"a.png": encoded(picture(1)), "b.png": b"broken"}
    study = make_study(files)
    reports = {"a.png": ("GGO.", "day 5, Roe"), "b.png": ("GGO in Roe.", "B")}
    images = [
        image.model_copy(update=dict(zip(("report", "panel"), reports[image.file], strict=True)))
        for image in study.images
    ]
    contribute(file_store, study.model_copy(update={"images": tuple(images)}), files, TODAY)
    intake(file_store)
    assert only_record(file_store).panel == "day 5, x"
    assert not [key for key, data in documents(file_store).items() if b"Roe" in data]


def test_identifiers_stay_in_the_inbox(
    store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = ("ROE^JANE^1970", "ACC-4711-X", "roe_jane_scan", "Roe Jane folder")
    caplog.set_level(logging.DEBUG, logger="ladnn")
    files = {"roe_jane_scan.png": encoded(picture(1)), "roe_jane_scan 2.png": b"broken"}
    known = {"patient_id": secrets[0], "study_id": secrets[1]}
    contribute(store, make_study(files, **known), files, TODAY)
    contribute(store, make_study(files, report=None, contributed_on=date(2020, 4, 1), **known), files, TODAY)
    store.put(f"{INBOX}broken/study.json", make_study(files, **known).model_dump_json().encode()[:-9])
    store.put(f"{INBOX}Roe Jane folder/study.json", b"{}")
    report = intake(store)
    assert len(accepted(store)) == 1
    left = {key: data for key, data in documents(store).items()}
    raw = [path for path in (tmp_path / "store").rglob("*") if INBOX not in f"{path}/"]
    told = str([caplog.text, *capfd.readouterr(), report, *report.quarantined])
    for secret in secrets:
        assert secret not in told
        assert not [key for key, data in left.items() if secret in key or secret.encode() in data]
        assert not [path for path in raw if secret in str(path)]
        assert not [path for path in raw if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_report_of_progress_comes_with_every_contribution(file_store: ObjectStore) -> None:
    for number in range(3):
        send(file_store, (number,))
    steps: list[tuple[int, int]] = []
    intake(file_store, on_step=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_outcomes_are_read_in_the_order_of_their_contributions(file_store: ObjectStore) -> None:
    ids = sorted(send(file_store, (number,)) for number in range(4))
    intake(file_store)
    outcomes: list[Outcome] = list(read_outcomes(file_store))
    assert [outcome.contribution for outcome in outcomes] == ids


def test_a_store_that_fails_stops_intake_and_loses_nothing(file_store: ObjectStore, tmp_path: Path) -> None:
    class Failing:
        url = file_store.url
        n_failures = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(file_store, name)

        def get(self, key: str, max_bytes: int | None = None) -> bytes:
            if key.endswith("2.png") and self.n_failures:
                self.n_failures -= 1
                raise StoreError(f"{key}: the server is out of order")
            return file_store.get(key, max_bytes)

    send(file_store, (1, 2, 3))
    failing = Failing()
    with pytest.raises(StoreError) as caught:
        intake(failing)
    assert "2.png" not in str(caught.value)
    assert intake(failing).n_accepted == 3
