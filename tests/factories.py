"""Owns small made-up images, contributions and records for the tests; no patient data."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ladnn.intake.contribution import ContributedImage, Study, contribute
from ladnn.intake.record import Outcome, Record
from ladnn.labels import Label
from ladnn.store import ObjectStore, write_json_if_absent

KEY = b"a secret of these tests"
REPORT = "Ground-glass opacities in both lungs. No consolidation. RT-PCR positive for SARS-CoV-2."


def picture(number: int = 0, size: tuple[int, int] = (40, 48)) -> NDArray[np.uint8]:
    """Noise, uint8 (height, width); each number gives another picture."""
    return np.random.default_rng(number).integers(0, 256, size, dtype=np.uint8)


def encoded(image: Image.Image | NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_study(files: Mapping[str, bytes], **values: Any) -> Study:
    """A study of these files; `labels` and `image_reports` go to every image."""
    labels, reports = values.pop("labels", {}), values.pop("image_reports", None)
    images = tuple(
        ContributedImage(file=name, sha256=hashlib.sha256(data).hexdigest(), labels=labels, report=reports)
        for name, data in files.items()
    )
    defaults = {"site": "lab", "study_id": "study-1", "contributed_on": date(2020, 3, 1), "report": REPORT}
    return Study(**(defaults | values), images=images)


def send(store: ObjectStore, pictures: Sequence[int] = (0,), **values: Any) -> str:
    """Contribute these pictures as one study; return the contribution id."""
    files = {f"{position}.png": encoded(picture(number)) for position, number in enumerate(pictures, start=1)}
    contribution_id, _ = contribute(store, make_study(files, **values), files)
    return contribution_id


def make_record(group: str, number: int = 0, labels: Mapping[str, int] | None = None, **values: Any) -> Record:
    """An accepted image of a group; each group and number give another image."""
    digest = hashlib.sha256(f"{group}/{number}".encode()).hexdigest()
    known = {
        code: Label.model_validate({"value": value, "source": "annotation", "by": "tests"})
        for code, value in ({"covid": 1} if labels is None else labels).items()
    }
    defaults: dict[str, Any] = {
        "image": digest,
        "group": group,
        "group_basis": "patient",
        "contribution": f"c-{group}",
        "position": number + 1,
        "site": "lab",
        "source": "hospital",
        "synthetic": False,
        "contributed_on": date(2020, 3, 1),
        "age_y": None,
        "sex": None,
        "width_px": 48,
        "height_px": 40,
        "original_format": "PNG",
        "original_mode": "L",
        "n_bytes": 2000,
        "report_key": None,
        "requested_split": None,
    }
    return Record(**(defaults | values), labels=known)


def keep_records(store: ObjectStore, records: Sequence[Record], name: str = "") -> None:
    """Leave records as intake would, one outcome a contribution."""
    by_contribution: dict[str, list[Record]] = {}
    for record in records:
        by_contribution.setdefault(name + record.contribution, []).append(record)
    for contribution, members in by_contribution.items():
        outcome = Outcome(contribution=contribution, accepted=tuple(members), quarantined=())
        write_json_if_absent(store, f"intake/{contribution}.json", outcome.model_dump(mode="json"))
