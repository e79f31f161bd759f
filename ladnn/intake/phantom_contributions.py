"""Contributions made of phantoms: the demo's and the tests' hospital."""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta

from ladnn.intake.contribution import FORMAT, ContributedImage, Study
from ladnn.intake.decode import encode_canonical
from ladnn.phantoms.study import generate_study

_FIRST_DAY = date(2020, 1, 6)


def phantom_contributions(seed: int, n_patients: int, n_slices: int = 3) -> Iterator[tuple[Study, dict[str, bytes]]]:
    """Yield one study and its files a phantom patient; sites a and b scan in their own style, independent of disease."""
    for index in range(n_patients):
        style = "a" if index % 3 else "b"
        phantom = generate_study(seed, index, style=style, n_slices=n_slices)
        files, images = {}, []
        for position, piece in enumerate(phantom.slices, start=1):
            name, data = f"{position:04d}.png", encode_canonical(piece.pixels)
            files[name] = data
            images.append(ContributedImage(file=name, sha256=hashlib.sha256(data).hexdigest(), report=piece.report))
        study = Study(
            format=FORMAT,
            consent=True,
            site=f"phantom-{style}",
            study_id=phantom.patient_id,
            patient_id=phantom.patient_id,
            contributed_on=_FIRST_DAY + timedelta(days=index % 7),
            source="phantom",
            synthetic=True,
            age_y=phantom.age,
            sex=phantom.sex,
            images=tuple(images),
        )
        yield study, files
