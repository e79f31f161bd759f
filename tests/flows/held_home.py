"""Owns a home whose retrain is held: its contributions ask for train and validation, so there is no test set."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from ladnn_command import Home

from ladnn.intake.contribution import FORMAT, ContributedImage, Study
from ladnn.intake.decode import encode_canonical
from ladnn.intake.inbox import contribute
from ladnn.phantoms.study import generate_study
from ladnn.retrain import document_key
from ladnn.store import canonical_json, open_store


@dataclass(frozen=True)
class Held:
    """A home, its experiment, and the retrain that waits for a person."""

    home: Home
    config: Path
    retrain_id: str

    @property
    def documents(self) -> Path:
        return self.home.store / "retrains" / self.retrain_id

    def let_expire(self) -> None:
        """Move the deadline into the past."""
        store = open_store(self.home.store.as_uri())
        key = document_key(self.retrain_id, "decision")
        decision = json.loads(store.get(key))
        decision["expires_at"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        store.put(key, canonical_json(decision))

    def forget_decision(self, *more: str) -> None:
        """Take the home back to a retrain that was killed before its decision; forget more of its documents, too."""
        for name in ("decision", "held", "test", *more):
            (self.documents / f"{name}.json").unlink()


def contribute_without_test_part(home: Home, indices: range) -> None:
    """Contribute phantoms, every third for validation, all others for train."""
    store = open_store(home.store.as_uri())
    for index in indices:
        phantom = generate_study(5, index, kind="covid" if index % 2 else "normal", n_slices=1)
        data = encode_canonical(phantom.slices[0].pixels)
        image = ContributedImage(file="1.png", sha256=sha256(data).hexdigest(), report=phantom.slices[0].report)
        study = Study(
            format=FORMAT,
            consent=True,
            site="published",
            study_id=str(index),
            patient_id=str(index),
            contributed_on=date(2026, 1, 5),
            synthetic=True,
            split="validation" if index % 3 == 0 else "train",
            images=(image,),
        )
        contribute(store, study, {"1.png": data}, date(2026, 1, 5))
