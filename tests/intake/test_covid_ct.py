"""The importer of the public COVID-CT layout, on a made-up folder."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import TODAY, encoded, intake, picture

from ladnn.errors import ContributionError
from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.covid_ct import ImportedStudy, covid_ct_studies, read_labelled_images
from ladnn.intake.inbox import contribute
from ladnn.labels import LABELS, LESIONS
from ladnn.store import ObjectStore

COLUMNS = [
    "image",
    "patient_id",
    "covid",
    "ggo",
    "consolidation",
    "crazy_paving",
    "air_bronchograms",
    "interlobular_septal_thickening",
    "source",
    "age",
    "gender",
    "location",
    "report",
    "authors_split",
]


def row(image: str, patient: str = "", **values: str) -> dict[str, str]:
    defaults = {"covid": "1", "source": "preprint:2020.01.24", "authors_split": "train"} | dict.fromkeys(
        COLUMNS[3:8], "0"
    )
    return dict.fromkeys(COLUMNS, "") | {"image": image, "patient_id": patient} | defaults | values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path


def lay(folder: Path, rows: list[dict[str, str]], columns: list[str] = COLUMNS) -> Path:
    """Write the table, and a picture for each image that is not called missing."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    for number, item in enumerate(rows):
        if "missing" not in item["image"] and "/" not in item["image"] and item["image"]:
            kind = "JPEG" if item["image"].lower().endswith("jpg") else "PNG"
            (folder / "images" / item["image"]).write_bytes(encoded(picture(number), kind))
    return folder


def imported(folder: Path, split_column: str | None = None) -> dict[str, ImportedStudy]:
    studies = covid_ct_studies(folder, split_column)
    return {item.study.study_id if item.study else "none": item for item in studies}


def labels(item: ImportedStudy) -> list[dict[str, int]]:
    assert item.study is not None
    return [dict(image.labels) for image in item.study.images]


def refusal(folder: Path, split_column: str | None = None) -> str:
    with pytest.raises(ContributionError) as caught:
        list(covid_ct_studies(folder, split_column))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_patient_is_one_study_with_what_the_table_knows(folder: Path) -> None:
    report = 'Fig. 1, "GGO",\nboth lungs.'
    rows = [
        row("b 1%.PNG", " p1 ", ggo="1", report=report, age="41", gender="m", location="Wuhan, China"),
        row("a.jpg", "p2", covid="0", source="medpix", age="unknown"),
        row("c.png", "p1", consolidation="1.0"),
    ]
    studies = imported(lay(folder, rows))
    assert list(studies) == ["p1", "p2"]
    one, two = studies["p1"].study, studies["p2"].study
    assert one is not None
    assert two is not None
    assert (one.patient_id, one.age_y, one.sex, one.source, one.split) == ("p1", 41, "M", "preprint", None)
    assert [image.file for image in one.images] == ["0001.png", "0002.png"]
    assert [image.report for image in one.images] == [report, None]
    assert studies["p1"].files["0001.png"] == (folder / "images" / "b 1%.PNG").read_bytes()
    assert (two.age_y, two.sex, two.source) == (None, None, "medpix")
    assert [image.file for image in two.images] == ["0001.jpg"]


def test_lesions_are_unknown_on_negatives_and_on_positives_that_name_none(folder: Path) -> None:
    rows = [
        row("a.png", "a", ggo="1"),
        row("b.png", "b"),
        row("c.png", "c", covid="0"),
        row("d.png", "d", covid="0", ggo="1"),
        row("e.png", "e", crazy_paving="1", ggo=""),
        row("f.png", "f", covid="", ggo="1"),
    ]
    found = imported(lay(folder, rows))
    zeros = dict.fromkeys(LESIONS, 0)
    assert labels(found["a"]) == [{"covid": 1} | zeros | {"GGO": 1}]
    assert labels(found["b"]) == [{"covid": 1}]
    assert labels(found["c"]) == labels(found["d"]) == [{"covid": 0}]
    without_ggo = {code: value for code, value in zeros.items() if code != "GGO"}
    assert labels(found["e"]) == [{"covid": 1} | without_ggo | {"CrPa": 1}]
    assert labels(found["f"]) == [{}]


def test_lesion_columns_may_be_missing(folder: Path) -> None:
    lay(folder, [row("a.png", "a", ggo="1"), row("b.png", "b", covid="0")], ["image", "patient_id", "covid"])
    assert [labels(item) for item in imported(folder).values()] == [[{"covid": 1}], [{"covid": 0}]]
    frame = read_labelled_images(folder / "metadata.csv")
    assert set(LABELS) < set(frame.columns)
    assert frame[list(LESIONS)].isna().all(axis=None)
    assert {str(kind) for kind in frame[list(LABELS)].dtypes} == {"float64"}


def test_a_missing_image_file_is_named_and_the_others_come(folder: Path) -> None:
    studies = imported(lay(folder, [row("missing.png", "p"), row("a.png", "p"), row("missing2.png", "q")]))
    assert [image.file for image in studies["p"].study.images] == ["0002.png"]  # type: ignore[union-attr]
    assert "missing.png" in studies["p"].missing[0]
    assert studies["none"].study is None
    assert studies["none"].files == {}


@pytest.mark.parametrize("name", ["../secret.png", "", "a/../../secret.png", "{}"])
def test_no_file_outside_the_image_folder_is_read(folder: Path, name: str) -> None:
    secret = folder / "secret.png"
    secret.write_bytes(encoded(picture(9)))
    studies = list(covid_ct_studies(lay(folder, [row(name.format(secret), "p")])))
    assert studies[0].files == {}
    assert len(studies[0].missing) == 1


def test_images_without_a_patient_are_studies_of_their_own(folder: Path) -> None:
    rows = [row("a.png", "", authors_split="train"), row("b.png", "  ", authors_split="val")]
    studies = imported(lay(folder, rows), "authors_split")
    assert list(studies) == ["a.png", "b.png"]
    assert [(item.study.patient_id, item.study.split) for item in studies.values() if item.study] == [
        (None, "train"),
        (None, "validation"),
    ]


def test_a_kept_split_that_leaks_is_refused_with_its_line_and_without_the_patient(folder: Path) -> None:
    rows = [row("a.png", "q"), row("b.png", "Jane Roe"), row("c.png", "Jane Roe ", authors_split="val")]
    message = refusal(lay(folder, rows), "authors_split")
    assert "line 3: column authors_split puts one patient into two parts" in message
    assert "Jane" not in message
    assert len(imported(folder)) == 2


def test_a_kept_split_must_be_a_column_of_train_and_val(folder: Path) -> None:
    lay(folder, [row("a.png", "Jane Roe"), row("b.png", "q", authors_split="test")])
    assert "line 3, column authors_split" in refusal(folder, "authors_split")
    assert "Jane" not in refusal(folder, "patient_id")
    assert "has no column 'split'" in refusal(folder, "split")


@pytest.mark.parametrize("value", ["2", "yes", "-1", "nan", "0.5", "1,0"])
def test_a_bad_label_is_named_by_line_and_column(folder: Path, value: str) -> None:
    message = refusal(lay(folder, [row("a.png", "a"), row("b.png", "b"), row("c.png", "c", crazy_paving=value)]))
    assert "line 4, column crazy_paving: a label is 1, 0 or empty" in message


def test_a_table_that_cannot_be_used_is_refused(folder: Path) -> None:
    assert "cannot read" in refusal(folder)
    lay(folder, [row("a.png", "a")], ["image", "covid"])
    assert "has no column patient_id" in refusal(folder)
    lay(folder, [row("a.png", "a") | {"COVID-19": "0"}], [*COLUMNS, "COVID-19"])
    assert "two columns of one label" in refusal(folder)
    for content in (b"", b"\xff\xfe\x00", b'image,patient_id,covid\n"a'):
        (folder / "metadata.csv").write_bytes(content)
        assert "cannot read" in refusal(folder)
    (folder / "metadata.csv").write_text("image,patient_id,covid,ggo\na.png,p,1\n")
    assert labels(next(covid_ct_studies(folder))) == [{"covid": 1}]


@pytest.mark.parametrize(
    ("column", "value"),
    [("age", "150"), ("age", "²"), ("age", "41y"), ("age", "-3"), ("gender", "x"), ("source", "Radiology Cases (2)!")],
)
def test_odd_values_of_optional_columns_do_not_stop_the_import(folder: Path, column: str, value: str) -> None:
    study = imported(lay(folder, [row("a.png", "a", **{column: value})]))["a"].study
    assert study is not None
    assert (study.age_y, study.sex) == (None, None)


def test_a_study_that_breaks_the_format_is_refused_without_its_patient(folder: Path) -> None:
    message = refusal(lay(folder, [row("a.png", "Jane Roe" * 40)]))
    assert "image a.png has an unusable study_id, patient_id" in message
    assert "Jane" not in message


def test_importing_again_changes_nothing(folder: Path, file_store: ObjectStore) -> None:
    lay(folder, [row("a.png", "a", ggo="1"), row("b.png", "", covid="0"), row("c.png", "a")])

    def contribute_all() -> list[Any]:
        studies = [item for item in covid_ct_studies(folder) if item.study]
        return [contribute(file_store, item.study, item.files, TODAY) for item in studies if item.study]

    first = contribute_all()
    assert [new for _, new in first] == [True, True]
    assert intake(file_store).n_accepted == 3
    assert contribute_all() == [(name, False) for name, _ in first]
    assert intake(file_store).n_contributions == 0


def test_the_real_collection_is_imported_whole(real_data: Path, file_store: ObjectStore) -> None:
    studies = list(covid_ct_studies(real_data, "authors_split"))
    assert len(studies) == 289
    assert not any(item.missing for item in studies)
    images = [image for item in studies if item.study for image in item.study.images]
    assert len(images) == 543
    assert sum(image.labels["covid"] for image in images) == 251
    for item in studies[::12]:
        assert item.study is not None
        contribute(file_store, item.study, item.files, TODAY)
    report = intake(file_store)
    assert report.quarantined == ()
    records = [record for outcome in read_outcomes(file_store) for record in outcome.accepted]
    assert len(records) == report.n_accepted > 20
    assert np.isin(
        [label.value for record in records for label in record.labels.values() if label.value is not None], (0, 1)
    ).all()


def test_a_relative_folder_that_leads_upwards_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(folder, [row("a.png", "p1", covid="1")])
    monkeypatch.chdir(folder / "images")
    (item,) = covid_ct_studies(Path("..") / ".." / folder.name)
    assert item.missing == ()
    assert len(item.files) == 1
