"""Identifiers that a contributor leaves anywhere are found nowhere afterwards: no store, no database, no log."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from factories import encoded
from ladnn_command import LENIENT, Finished, Home, write_config
from PIL import PngImagePlugin
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ladnn.intake.contribution import FORMAT
from ladnn.phantoms.study import PhantomStudy, generate_study

N_PATIENTS = 24
PLANTED = {
    "patient": "QUIXOTE-77419",
    "study": "ACC-2288-Zeta",
    "name": "Wolkenstein",
    "first": "Oswaldine",
    "birth": "19510409",
    "physician": "Grimmelshausen",
    "address": "Hasengasse 17b",
    "phone": "+49 6221 5550199",
    "mail": "oswaldine@example.org",
    "file": "wolkenstein_scan",
    "annotator": "Oswaldine Wolkenstein",
}


@pytest.mark.slow
def test_planted_identifiers_are_found_nowhere(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    said: list[Finished] = []
    for index in range(N_PATIENTS):
        folder = lay_study(tmp_path / f"study-{index}", generate_study(8, index, style="a", n_slices=2), index)
        if index % 2:
            said.append(home.run("contribute", folder))
            assert said[-1].code == 0, said[-1].stderr
        else:
            drop(folder, home.store / "inbox" / f"by-hand-{index}")
    spoilt = lay_study(
        tmp_path / "spoilt", generate_study(8, 99, style="a", n_slices=2), 99, {PLANTED["name"]: PLANTED["patient"]}
    )
    drop(spoilt, home.store / "inbox" / "spoilt")
    said.append(home.run("contribute", spoilt))
    assert said[-1].code == 1
    config = write_config(tmp_path / "one.toml", training={"epochs": 1, "batch_size": 16}, gates=LENIENT)
    for command in (
        ("intake", "--json"),
        ("quarantine", "list"),
        ("quarantine", "show", "spoilt"),
        ("retrain", "--config", config),
        ("dataset", "card"),
        ("labels", "review", "export", tmp_path / "review.csv"),
        ("history",),
    ):
        said.append(home.run(*command))
        assert said[-1].code == 0, (command, said[-1].stderr)
    assert "46 images" not in said[0].stdout
    assert json.loads(said[-7].stdout)["accepted"] == 2 * N_PATIENTS
    for finished in said:
        assert leaks(finished.stdout + finished.stderr) == []
    by_hand = [folder for folder in (home.store / "inbox").iterdir() if not folder.name.startswith("t2")]
    for path in home.path.rglob("*"):
        contributed_raw = any(path.is_relative_to(folder) for folder in by_hand)  # a hospital's own upload, as it was
        if path.is_file() and not contributed_raw:
            assert leaks(str(path.relative_to(home.path))) == []
            assert leaks(path.read_bytes().decode("utf-8", "replace")) == [], path
    assert leaks((tmp_path / "review.csv").read_text()) == []


def leaks(text: str) -> list[str]:
    lowered = text.casefold()
    return [what for what, secret in PLANTED.items() if secret.casefold() in lowered]


def drop(folder: Path, inbox: Path) -> None:
    """Put a folder into the inbox as it is, as an upload tool would."""
    inbox.mkdir(parents=True)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "study.json"):
        (inbox / path.name).write_bytes(path.read_bytes())


def lay_study(folder: Path, phantom: PhantomStudy, index: int, extra: dict[str, str] | None = None) -> Path:
    """A study of a DICOM and a PNG file, with identifiers wherever a contributor could leave them."""
    folder.mkdir()
    first, second = phantom.slices
    files = {
        f"{PLANTED['file']}_1.dcm": dicom(first.pixels),
        f"{PLANTED['file']}_2.png": encoded(second.pixels, pnginfo=text_chunks()),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    document: dict[str, Any] = {
        "format": FORMAT,
        "site": "clinic",
        "study_id": f"{PLANTED['study']}-{index}",
        "patient_id": f"{PLANTED['patient']}-{index}",
        "consent": True,
        "contributed_on": "2026-01-05",
        "synthetic": True,
        "age_y": phantom.age,
        "sex": phantom.sex,
        "annotated_by": PLANTED["annotator"],
        "source": PLANTED["name"].lower(),
        "images": [
            {
                "file": name,
                "sha256": hashlib.sha256(data).hexdigest(),
                "report": report(piece.report, index),
                "labels": {"covid": int(phantom.covid)},
                "panel": f"{PLANTED['name']} {number}",
            }
            for number, ((name, data), piece) in enumerate(zip(files.items(), phantom.slices, strict=True))
        ],
    }
    (folder / "study.json").write_text(json.dumps(document | (extra or {})))
    return folder


def report(findings: str, index: int) -> str:
    return (
        f"Name: {PLANTED['first']} {PLANTED['name']}, born 09.04.1951, ID {PLANTED['patient']}-{index}, "
        f"{PLANTED['address']}, phone {PLANTED['phone']}, {PLANTED['mail']}. Accession {PLANTED['study']}-{index}. "
        f"{findings} Read by Dr. {PLANTED['physician']}."
    )


def text_chunks() -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Patient", f"{PLANTED['first']} {PLANTED['name']} {PLANTED['patient']}")
    return chunks


def dicom(pixels: Any) -> bytes:
    """A CT slice whose header names its patient in every usual place, in a sequence and in a private tag."""
    from io import BytesIO

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, data.file_meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Modality, data.Manufacturer = "CT", "Phantom Works"
    data.PatientName = f"{PLANTED['name']}^{PLANTED['first']}"
    data.PatientID, data.AccessionNumber = PLANTED["patient"], PLANTED["study"]
    data.PatientBirthDate, data.PatientAddress = PLANTED["birth"], PLANTED["address"]
    data.PatientTelephoneNumbers = PLANTED["phone"]
    data.ReferringPhysicianName = data.PerformingPhysicianName = PLANTED["physician"]
    data.StudyDescription = f"Chest of {PLANTED['name']}"
    data.PatientComments = PLANTED["mail"]
    item = Dataset()
    item.PatientID, item.RequestingPhysician = PLANTED["patient"], PLANTED["physician"]
    data.RequestAttributesSequence = [item]
    private = data.private_block(0x0029, "PHANTOM PRIVATE", create=True)
    private.add_new(0x01, "LO", PLANTED["name"])
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept = 1, -1350  # grey 0 to 255 becomes the lung window, -1350 to 150
    data.PixelData = (pixels.astype("uint32") * 1500 // 255).astype("uint16").tobytes()
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()
