"""Examines one contribution by itself: its study, each image, its report. What others contributed plays no part yet.

Whatever is written here is addressed by its content, so that an examination can be repeated at any time.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from ladnn.errors import (
    ContributionError,
    DigestMismatchError,
    ImageRejectedError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreError,
    UnusableObjectError,
)
from ladnn.intake.catalogue import report_digest
from ladnn.intake.contribution import (
    MAX_STUDY_BYTES,
    STUDY_FILE,
    ContributedImage,
    ParsedStudy,
    parse_study,
)
from ladnn.intake.ct_slice import check_ct_slice
from ladnn.intake.decode import CanonicalImage, decode_frames, encode_canonical, is_dicom
from ladnn.intake.deidentify import dicom_identifiers, scrub
from ladnn.intake.duplicates import fingerprint
from ladnn.intake.inbox import INBOX, Waiting
from ladnn.intake.pseudonym import patient_pseudonym, study_pseudonym
from ladnn.intake.record import Outcome, Quarantined, Record, image_key, set_aside
from ladnn.intake.statements import (
    identifiers_of,
    image_without_identifiers,
    objections,
    read_labels,
    report_of,
    without_identifiers,
)
from ladnn.labels import Label
from ladnn.store import ObjectStore

MAX_FILE_BYTES = 128_000_000
"""Largest image file that is read."""
WAIVABLE = frozenset({"not_ct", "future_date", "no_consent", "patient_conflict"})
"""Reasons that a person may overrule by releasing from quarantine; any other must be mended by its contributor."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A contribution whose `study.json` could be read."""

    contribution: str
    study: ParsedStudy


@dataclass(frozen=True, slots=True)
class Examined:
    """An outcome as far as the contribution alone decides it, and the texts of its reports by digest."""

    outcome: Outcome
    reports: dict[str, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """A canonical image that is in the store."""

    digest: str
    fingerprint: str
    width_px: int
    height_px: int
    original_format: str
    original_mode: str
    changes: tuple[str, ...]
    acquisition: Mapping[str, str | float | int]


@dataclass(frozen=True, slots=True)
class ExaminedFile:
    """An image file that could be read: its frames in order, each kept or rejected."""

    image: ContributedImage
    n_bytes: int
    frames: tuple[Frame | ImageRejectedError, ...]
    identifiers: frozenset[str]
    """What its header says of people; to be taken out of the report."""


class Examiner:
    """Examines contributions of one store; safe to share between threads."""

    def __init__(self, store: ObjectStore, key: bytes, today: date, waived: frozenset[str] = frozenset()) -> None:
        self._store, self._key, self._today, self._waived = store, key, today, waived

    def open(self, waiting: Waiting) -> Opened | Examined:
        """Read a contribution's `study.json`; where it is unusable, the whole contribution is set aside."""
        contribution = waiting.contribution
        if not waiting.usable:
            detail = "the name of its folder in the inbox is no contribution id; send it again under another name"
            return _refused(contribution, "bad_folder_name", detail)
        try:
            study = parse_study(self._store.get(f"{INBOX}{contribution}/{STUDY_FILE}", MAX_STUDY_BYTES))
        except ContributionError as error:
            return _refused(contribution, "bad_study_json", str(error))
        except ObjectTooLargeError:
            return _refused(contribution, "bad_study_json", f"study.json has more than {MAX_STUDY_BYTES} bytes")
        except DigestMismatchError:
            return _refused(contribution, "wrong_digest", "its study.json is damaged in the store; send it again")
        for reason, detail in objections(study.data, self._today):
            if reason not in self._waived:
                return _refused(contribution, reason, detail)
        return Opened(contribution, study)

    def examine_file(self, opened: Opened, image: ContributedImage) -> ExaminedFile | ImageRejectedError:
        """Decode one file of a contribution and keep its pictures."""
        if not image.labels and not report_of(image, opened.study.data):
            detail = "it has neither report nor annotation; contribute it again with a report or with labels"
            return ImageRejectedError("no_report", detail)
        try:
            data = self.read_file(opened.contribution, image)
            identifiers = dicom_identifiers(data) if is_dicom(data) else frozenset()
        except ImageRejectedError as error:
            return error
        frames = tuple(self._keep(frame) for frame in decode_frames(data))
        return ExaminedFile(image, len(data), frames, identifiers)

    def conclude(self, opened: Opened, files: Mapping[int, ExaminedFile | ImageRejectedError]) -> Examined:
        """Put together what was found of the files at these positions of the study (from 1)."""
        examined = [file for file in files.values() if isinstance(file, ExaminedFile)]
        identifiers = identifiers_of(opened.study.data, opened.study.images).union(
            *(file.identifiers for file in examined)
        )
        data = without_identifiers(opened.study.data, identifiers)
        nameless = replace(opened, study=replace(opened.study, data=data))
        ended: list[Record | Quarantined] = []
        reports: dict[str, str] = {}
        for position, file in files.items():
            if isinstance(file, ImageRejectedError):
                ended.append(set_aside(opened.contribution, file, position))
                continue
            file = replace(file, image=image_without_identifiers(file.image, identifiers))
            report = scrub(report_of(file.image, data), identifiers)
            ended += self._frames(nameless, file, position, report)
            reports |= {report_digest(report): report} if report else {}
        outcome = Outcome(
            contribution=opened.contribution,
            accepted=tuple(item for item in ended if isinstance(item, Record)),
            quarantined=tuple(item for item in ended if isinstance(item, Quarantined)),
        )
        return Examined(outcome, reports)

    def read_file(self, contribution: str, image: ContributedImage) -> bytes:
        """Read an image file as its contributor sent it.

        Raises:
            ImageRejectedError: it is missing, too large, damaged, or not what the study states.
        """
        try:
            data = self._store.get(f"{INBOX}{contribution}/{image.file}", MAX_FILE_BYTES)
            if hashlib.sha256(data).hexdigest() == image.sha256:
                return data
        except ObjectNotFoundError:
            detail = "study.json names it, but the inbox has no such file; send it again"
            raise ImageRejectedError("missing_file", detail) from None
        except DigestMismatchError:
            detail = "its bytes were damaged in the store; restore them and send it again"
            raise ImageRejectedError("wrong_digest", detail) from None
        except ObjectTooLargeError:
            detail = f"it has more than {MAX_FILE_BYTES} bytes; send a series as one file a slice"
            raise ImageRejectedError("too_large", detail) from None
        except UnusableObjectError:
            detail = "the inbox has no plain file that may be read under its name; send it again"
            raise ImageRejectedError("unreadable", detail) from None
        except StoreError as error:  # the store's own failure, told without the name of the file
            raise type(error)(f"the store failed to read an image of contribution {contribution}; try again") from None
        raise ImageRejectedError("wrong_digest", "its bytes are not those that study.json states; send it again")

    def _keep(self, image: CanonicalImage | ImageRejectedError) -> Frame | ImageRejectedError:
        try:
            if isinstance(image, ImageRejectedError):
                raise image
            if "not_ct" not in self._waived:
                check_ct_slice(image)
        except ImageRejectedError as error:
            return error
        height, width = image.pixels.shape
        digest = image.digest
        self._store.put_if_absent(image_key(digest), encode_canonical(image.pixels))
        return Frame(
            digest=digest,
            fingerprint=fingerprint(image.pixels),
            width_px=width,
            height_px=height,
            original_format=image.original_format,
            original_mode=image.original_mode,
            changes=image.changes,
            acquisition=image.acquisition,
        )

    def _frames(
        self,
        opened: Opened,
        file: ExaminedFile,
        position: int,
        report: str,
    ) -> Iterator[Record | Quarantined]:
        reading = read_labels(file.image, report, opened.study.data.annotated_by)
        for number, frame in enumerate(file.frames, start=1):
            shown = number if len(file.frames) > 1 else None
            if isinstance(frame, ImageRejectedError):
                yield set_aside(opened.contribution, frame, position, shown)
            elif isinstance(reading, ImageRejectedError):
                yield set_aside(opened.contribution, reading, position, shown)
            else:
                yield self._record(opened, file, frame, (position, number), report, reading)

    def _record(
        self,
        opened: Opened,
        file: ExaminedFile,
        frame: Frame,
        place: tuple[int, int],
        report: str,
        labels: dict[str, Label],
    ) -> Record:
        data, image = opened.study.data, file.image
        patient, study = patient_pseudonym(self._key, data), study_pseudonym(self._key, data)
        return Record(
            image=frame.digest,
            fingerprint=frame.fingerprint,
            group=patient or study,
            group_basis="patient" if patient else "study",
            study=study,
            contribution=opened.contribution,
            position=place[0],
            frame=place[1],
            n_frames=len(file.frames),
            panel=image.panel,
            day=image.day,
            site=data.site,
            source=data.source,
            synthetic=data.synthetic,
            contributed_on=data.contributed_on,
            studied_on=data.studied_on,
            age_y=data.age_y,
            sex=data.sex,
            width_px=frame.width_px,
            height_px=frame.height_px,
            original_format=frame.original_format,
            original_mode=frame.original_mode,
            n_bytes=file.n_bytes,
            changes=frame.changes,
            acquisition=dict(frame.acquisition),
            report=report_digest(report) if report else None,
            requested_split=data.split,
            labels=labels,
        )


def _refused(contribution: str, reason: str, detail: str) -> Examined:
    """Set a contribution aside as a whole."""
    refusal = set_aside(contribution, ImageRejectedError(reason, detail))
    return Examined(Outcome(contribution=contribution, accepted=(), quarantined=(refusal,)), {})
