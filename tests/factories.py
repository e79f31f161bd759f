"""Owns small made-up images, contributions and records for the tests; no patient data."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ladnn.intake.admit import Splits
from ladnn.intake.catalogue import BATCHES, append_batch
from ladnn.intake.contribution import FORMAT, ContributedImage, Study
from ladnn.intake.inbox import contribute
from ladnn.intake.process import Desk, IntakeReport, take_in
from ladnn.intake.record import Link, Outcome, Record
from ladnn.labels import Label
from ladnn.store import ObjectStore

TODAY = date(2026, 11, 23)
KEY = b"a secret of these tests"
_CACHES = TemporaryDirectory(prefix="ladnn-tests-")
REPORT = "Ground-glass opacities in both lungs. No consolidation. RT-PCR positive for SARS-CoV-2."


def picture(number: int = 0, size: tuple[int, int] = (96, 128)) -> NDArray[np.uint8]:
    """A chest-like slice, uint8 (height, width): a noisy body with two dark lungs; each number gives another."""
    rng = np.random.default_rng(number)
    y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in size), indexing="ij")
    level, spread = rng.uniform(170, 230), rng.uniform(4, 12)
    grey = np.where((x / 0.92) ** 2 + (y / rng.uniform(0.75, 0.9)) ** 2 < 1, level, 10.0)
    for side in (-1, 1):
        centre, width, height = side * rng.uniform(0.4, 0.46), rng.uniform(0.26, 0.32), rng.uniform(0.5, 0.6)
        grey[((x - centre) / width) ** 2 + (y / height) ** 2 < 1] = rng.uniform(40, 90)
    return np.clip(grey + rng.normal(0, spread, size), 0, 255).astype(np.uint8)


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
    defaults = {
        "format": FORMAT,
        "site": "lab",
        "study_id": "study-1",
        "consent": True,
        "contributed_on": date(2020, 3, 1),
        "report": REPORT,
    }
    return Study(**(defaults | values), images=images)


def desk(store: ObjectStore, splits: Splits = dict, key: bytes = KEY) -> Desk:
    """Intake's desk at a store, with a cache of its own."""
    return Desk(store, key, Path(_CACHES.name) / hashlib.sha256(store.url.encode()).hexdigest()[:16], splits)


def intake(store: ObjectStore, splits: Splits = dict, **options: Any) -> IntakeReport:
    """Take in what waits, on a day after every contribution of these tests."""
    return take_in(desk(store, splits), **({"today": TODAY} | options))


def send(store: ObjectStore, pictures: Sequence[int] = (0,), **values: Any) -> str:
    """Contribute these pictures as one study; return the contribution id."""
    files = {f"{position}.png": encoded(picture(number)) for position, number in enumerate(pictures, start=1)}
    study = make_study(files, **values)
    contribution_id, _ = contribute(store, study, files, TODAY)
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
        "fingerprint": (str(values.get("image", digest)) * 2)[:80],
        "group": group,
        "group_basis": "patient",
        "study": f"s-{group}",
        "contribution": f"c-{group}",
        "position": number + 1,
        "frame": 1,
        "n_frames": 1,
        "panel": None,
        "day": None,
        "site": "lab",
        "source": "hospital",
        "synthetic": False,
        "contributed_on": date(2020, 3, 1),
        "studied_on": None,
        "age_y": None,
        "sex": None,
        "width_px": 48,
        "height_px": 40,
        "original_format": "PNG",
        "original_mode": "L",
        "n_bytes": 2000,
        "changes": (),
        "acquisition": {},
        "report": None,
        "requested_split": None,
    }
    return Record(**(defaults | values), labels=known)


def keep_records(store: ObjectStore, records: Sequence[Record], name: str = "", links: Sequence[Link] = ()) -> None:
    """Leave records as intake would: one batch, with one outcome a contribution and the links in the last of them."""
    by_contribution: dict[str, list[Record]] = {}
    for record in records:
        by_contribution.setdefault(name + record.contribution, []).append(record)
    outcomes = [
        Outcome(contribution=contribution, accepted=tuple(members), quarantined=())
        for contribution, members in by_contribution.items()
    ]
    outcomes[-1] = outcomes[-1].model_copy(update={"links": tuple(links)})
    keep_outcomes(store, outcomes)


def keep_outcomes(store: ObjectStore, outcomes: Sequence[Outcome]) -> None:
    """Leave outcomes as one batch of the catalogue."""
    assert append_batch(store, 1 + sum(1 for _ in store.list(BATCHES)), outcomes, {})
