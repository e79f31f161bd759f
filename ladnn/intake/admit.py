"""Decides what an examined contribution adds to all that was accepted before: known pictures, links, conflicts."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ladnn.errors import ImageRejectedError
from ladnn.intake.catalogue_index import CatalogueIndex, birth_year
from ladnn.intake.decode import decode_canonical
from ladnn.intake.duplicates import same_picture
from ladnn.intake.record import Link, Outcome, Quarantined, Record, image_key, set_aside
from ladnn.store import ObjectStore

Splits = Callable[[], Mapping[str, str]]
"""Reads which split each group was given; called only where a picture turns up under a second patient."""
_MOST_COMPARED = 2
"""Groups whose nearest picture is compared pixel by pixel (some 40 ms): it bounds what an image costs."""
_AGE_TOLERANCE_Y = 2
"""An age in whole years, at a date that may be the contribution's, leaves the birth year open by that much."""


class Admission:
    """Admits contributions one after the other, in the order in which they are committed."""

    def __init__(self, store: ObjectStore, index: CatalogueIndex, splits: Splits, waived: frozenset[str]) -> None:
        self._store, self._index, self._read_splits, self._waived = store, index, splits, waived

    @cached_property
    def _splits(self) -> Mapping[str, str]:
        return self._read_splits()

    def admit(self, examined: Outcome) -> Outcome:
        """Return the outcome that is to be committed."""
        accepted: dict[str, Record] = {}
        known: list[Record] = []
        links: list[Link] = []
        quarantined = list(examined.quarantined)
        for as_examined in examined.accepted:
            record = self._of_known_patient(as_examined)
            try:
                for link in self._links(record):
                    links.append(link)
            except ImageRejectedError as error:
                quarantined.append(_place(record, error))
                continue
            if record.image in accepted or self._index.owner(record.image) is not None:
                known.append(record)
            else:
                accepted[record.image] = record
        return examined.model_copy(
            update={
                "accepted": tuple(accepted.values()),
                "known": tuple(known),
                "quarantined": tuple(quarantined),
                "links": tuple(links),
            }
        )

    def _of_known_patient(self, record: Record) -> Record:
        """Give a study without a patient to the patient under whom the very study came before."""
        owner = self._index.patient_of_study(record.study)
        if record.group_basis == "patient" or owner is None or owner == record.group:
            return record
        return record.model_copy(update={"group": owner, "group_basis": "patient"})

    def _links(self, record: Record) -> Iterator[Link]:
        """Yield a link to the group that has the same study, and one to each group that has the same picture.

        Raises:
            ImageRejectedError: the patient is not the one that is known, or the link would join two splits.
        """
        self._check_patient(record)
        owner = self._index.patient_of_study(record.study)
        if owner is not None and owner != record.group:
            yield from self._checked(record, record.image, owner, "study")
        owner = self._index.owner(record.image)
        if owner is not None:
            if owner != record.group:
                yield from self._checked(record, record.image, owner, "exact")
            return
        compared = {record.group}
        for image, group in self._index.lookalikes(record.fingerprint):
            if group not in compared and len(compared) <= _MOST_COMPARED:
                compared.add(group)
                if same_picture(self._pixels(record.image), self._pixels(image)):
                    yield from self._checked(record, image, group, "near")

    def _checked(self, record: Record, image: str, group: str, kind: str) -> Iterator[Link]:
        """Yield a link unless it would join two splits.

        A patient without a place is linked to one of the test part all the same, so that the patient's other images
        go to test as well; only this image stays out.
        """
        splits = self._splits
        mine, theirs = splits.get(record.group), splits.get(group)
        if mine is None or mine == theirs or theirs is None:
            yield Link.model_validate(
                {"kind": kind, "image": record.image, "group": record.group, "known_image": image, "known_group": group}
            )
        joins = mine is None and (kind == "study" or theirs != "test")
        if mine != theirs and theirs is not None and not joins:
            reason = "matches_test_image" if theirs == "test" else "matches_other_split"
            what = "belongs to the same study" if kind == "study" else "shows the same picture"
            raise ImageRejectedError(
                reason,
                f"it {what} as image {image[:12]} of another patient, which stands in the {theirs} part; "
                "taking it in would leak, so it stays here unless the patients prove to be one",
            )

    def _check_patient(self, record: Record) -> None:
        if "patient_conflict" in self._waived or record.group_basis != "patient":
            return
        patient, born = (
            self._index.patient(record.group),
            birth_year(record.age_y, record.studied_on or record.contributed_on),
        )
        conflicts = []
        if patient.sex and record.sex and patient.sex != record.sex:
            conflicts.append("sex")
        if patient.born is not None and born is not None and abs(patient.born - born) > _AGE_TOLERANCE_Y:
            conflicts.append("age")
        owner = self._index.patient_of_study(record.study)
        if owner not in {None, record.group, record.study}:  # a study without a patient may get one later
            conflicts.append("patient of this study")
        if conflicts:
            raise ImageRejectedError(
                "patient_conflict",
                f"what is known of this patient or study contradicts its {' and '.join(conflicts)}; "
                "have the site check its patient id, then release or reject it",
            )

    def _pixels(self, digest: str) -> NDArray[np.uint8]:
        return decode_canonical(self._store.get(image_key(digest)))


def _place(record: Record, error: ImageRejectedError) -> Quarantined:
    return set_aside(record.contribution, error, record.position, record.frame if record.n_frames > 1 else None)
