"""From a folder on a contributor's machine to a contribution that names nobody and that intake will accept."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from ladnn.errors import ContributionError, ImageRejectedError
from ladnn.intake.contribution import STUDY_FILE, ContributedImage, ParsedStudy, Study, parse_study
from ladnn.intake.ct_slice import check_ct_slice
from ladnn.intake.decode import decode_frames, is_dicom
from ladnn.intake.deidentify import deidentify_dicom, dicom_identifiers, scrub
from ladnn.intake.examine import MAX_FILE_BYTES
from ladnn.intake.metadata import without_metadata
from ladnn.intake.pseudonym import patient_pseudonym, study_pseudonym
from ladnn.intake.statements import (
    identifiers_of,
    image_without_identifiers,
    objections,
    read_labels,
    report_of,
    without_identifiers,
)

_MOST_PROBLEMS = 20


def read_folder(folder: Path) -> tuple[ParsedStudy, dict[str, bytes]]:
    """Read a folder with a `study.json` and its images.

    Digests that are missing are filled in; without `images`, every file of the folder is an image, in the order of
    the names.

    Returns:
        The study, and the bytes of every file by name.

    Raises:
        ContributionError: there is no usable `study.json`.
    """
    document, files = _document(folder), _files(folder)
    entries = document.setdefault("images", [{"file": name} for name in sorted(files)])
    for entry in entries if isinstance(entries, list) else []:
        file = entry.get("file") if isinstance(entry, dict) else None
        if isinstance(file, str) and file in files:
            entry.setdefault("sha256", hashlib.sha256(files[file]).hexdigest())
    return parse_study(to_json(document)), files


def check_study(study: ParsedStudy, files: dict[str, bytes]) -> None:
    """Check a study and its images as intake would.

    Raises:
        ContributionError: something is wrong; every problem is listed, images by their position in the study.
    """
    found = [f"image {n}: {p}" for n, image in enumerate(study.images, start=1) for p in _problems(study, image, files)]
    found = [f"{reason}: {detail}" for reason, detail in objections(study.data, datetime.now(UTC).date())] + found
    if found:
        more = f"; and {len(found) - _MOST_PROBLEMS} more" if len(found) > _MOST_PROBLEMS else ""
        raise ContributionError(f"nothing was sent: {'; '.join(found[:_MOST_PROBLEMS])}{more}")


def deidentified(study: ParsedStudy, files: dict[str, bytes], key: bytes) -> tuple[Study, dict[str, bytes]]:
    """Return a checked study without identifiers: pseudonyms, neutral file names, clean DICOM headers and reports."""
    data = study.data
    identifiers = identifiers_of(data, study.images).union(
        *(dicom_identifiers(content) for content in files.values() if is_dicom(content))
    )
    images, clean = [], {}
    for position, image in enumerate(study.images, start=1):
        if isinstance(image, ImageRejectedError):
            raise image
        name = f"{position:04d}{_suffix(image.file)}"
        content = files[image.file]
        clean[name] = deidentify_dicom(content, key) if is_dicom(content) else without_metadata(content)
        changed = {"file": name, "sha256": hashlib.sha256(clean[name]).hexdigest()}
        entry = image_without_identifiers(image, identifiers)
        images.append(entry.model_copy(update=changed | {"report": _scrubbed(image.report, identifiers)}))
    replaced = {
        "identifiers": "pseudonyms",
        "study_id": study_pseudonym(key, data),
        "patient_id": patient_pseudonym(key, data),
        "report": _scrubbed(data.report, identifiers),
    }
    nameless = without_identifiers(data, identifiers)
    return Study.model_validate(nameless.model_dump() | replaced | {"images": images}), clean


def _document(folder: Path) -> dict[str, Any]:
    try:
        document = from_json((folder / STUDY_FILE).read_bytes())
    except OSError as error:
        raise ContributionError(
            f"cannot read {folder / STUDY_FILE}: {error.strerror}; write one as `ladnn schema contribution` describes"
        ) from error
    except ValueError as error:
        place = str(error).rpartition(" at ")[2]
        raise ContributionError(f"{folder / STUDY_FILE} is no JSON document (at {place}); correct it") from None
    if not isinstance(document, dict):
        raise ContributionError(f"{folder / STUDY_FILE} is no JSON object; see `ladnn schema contribution`")
    return document


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in paths if path.name != STUDY_FILE}


def _problems(study: ParsedStudy, image: ContributedImage | ImageRejectedError, files: dict[str, bytes]) -> list[str]:
    if isinstance(image, ImageRejectedError):
        return [str(image)]
    if image.file not in files:
        return ["missing_file: study.json names it, but the folder has no such file"]
    content = files[image.file]
    if hashlib.sha256(content).hexdigest() != image.sha256:
        return ["wrong_digest: its bytes are not those that study.json states"]
    if len(content) > MAX_FILE_BYTES:
        return [f"too_large: it has more than {MAX_FILE_BYTES} bytes; send a series as one file a slice"]
    report = report_of(image, study.data)
    if not image.labels and not report:
        return ["no_report: it has neither report nor labels"]
    labels = read_labels(image, report, study.data.annotated_by)
    unlabelled = [labels] if isinstance(labels, ImageRejectedError) else []
    return [f"{error.reason}: {error}" for error in [*unlabelled, *_rejections(content)]]


def _rejections(content: bytes) -> list[ImageRejectedError]:
    found = []
    for frame in decode_frames(content):
        try:
            if isinstance(frame, ImageRejectedError):
                raise frame
            check_ct_slice(frame)
        except ImageRejectedError as error:
            found.append(error)
    return found


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix, re.ASCII) else ""


def _scrubbed(text: str | None, identifiers: frozenset[str]) -> str | None:
    return None if text is None else scrub(text, identifiers)
