"""The contribution format: a folder in the inbox with images and a `study.json`, which is written last.

`inbox/<contribution id>/study.json` makes a contribution complete; images beside it, named in it, with digests.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ladnn.errors import ContributionError, UnknownLabelError
from ladnn.labels import LABELS, label_code
from ladnn.store import ObjectStore

INBOX = "inbox/"
STUDY_FILE = "study.json"
_MOST_PROBLEMS = 10
"""Named in one error message."""
_STUDY_KEY = re.compile(r"inbox/(?:(.*)/)?study\.json", re.DOTALL)
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ()%&+,._-]{0,199}$")]


class ContributedImage(BaseModel):
    """One image of a contribution, with what its contributor knows of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: FileName
    """Name beside `study.json`; no folders."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the file's bytes."""
    report: str | None = None
    """Report or caption of this image; without it the study's report counts."""
    labels: dict[str, Literal[0, 1]] = {}
    """Expert annotations by label code or alias; a label that is not named is unknown."""

    @field_validator("labels")
    @classmethod
    def _use_codes(cls, labels: dict[str, Literal[0, 1]]) -> dict[str, Literal[0, 1]]:
        try:
            codes = {label_code(name): value for name, value in labels.items()}
        except UnknownLabelError:
            raise ValueError(f"unknown label; known labels are {', '.join(LABELS)}") from None  # names may be anything
        if len(codes) < len(labels):
            raise ValueError("a label is named twice, by two of its spellings")
        return codes


class Study(BaseModel):
    """The content of `study.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ladnn-contribution/1"] = "ladnn-contribution/1"
    site: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Contributing site; scope of patient and study identifiers."""
    study_id: str = Field(min_length=1, max_length=200)
    """The site's identifier of the study; becomes a pseudonym at intake."""
    patient_id: str | None = Field(default=None, min_length=1, max_length=200)
    """The site's identifier of the patient, if known; becomes a pseudonym at intake."""
    contributed_on: date
    """Day of the contribution (UTC)."""
    source: str = Field(default="hospital", max_length=60, pattern=r"^[a-z0-9:._/-]+$")
    """Kind of origin, such as hospital or medpix."""
    synthetic: bool = False
    """True for phantoms, which never enter a dataset version of real images."""
    age_y: int | None = Field(default=None, ge=0, le=120)
    sex: Literal["F", "M"] | None = None
    report: str | None = None
    """Report of the whole study."""
    annotated_by: str = Field(default="contributor", max_length=60)
    """Who set the images' labels."""
    split: Literal["train", "validation"] | None = None
    """Keep a published split: honoured once, when the patient is first seen."""
    images: tuple[ContributedImage, ...] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _no_repeated_file(self) -> "Study":
        files = [image.file for image in self.images]
        if len(set(files)) < len(files) or STUDY_FILE in files:
            raise ValueError("two images have the same file name, or one is called study.json")
        return self


def parse_study(data: bytes) -> Study:
    """Read a `study.json`.

    Raises:
        ContributionError: not JSON, or not a study; the message names fields, never their values.
    """
    try:
        return Study.model_validate_json(data)
    except ValidationError as error:
        items = error.errors(include_input=False)
        problems = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in items[:_MOST_PROBLEMS])
        more = f"; and {len(items) - _MOST_PROBLEMS} more" if len(items) > _MOST_PROBLEMS else ""
        raise ContributionError(f"study.json is invalid: {problems}{more}") from None  # the cause would quote the input


def contribute(store: ObjectStore, study: Study, files: Mapping[str, bytes]) -> tuple[str, bool]:
    """Write one contribution to the inbox; the same study with the same images is one contribution for ever.

    Returns:
        The contribution id and whether it is new.

    Raises:
        ContributionError: `files` does not hold exactly the study's images.
    """
    if set(files) != {image.file for image in study.images}:
        raise ContributionError("the files of a contribution must be exactly the images that its study names")
    document = study.model_dump_json(indent=1, exclude_none=True).encode()
    contribution_id = f"{study.site}-{hashlib.sha256(document).hexdigest()[:16]}"
    folder = f"{INBOX}{contribution_id}/"
    if store.exists(folder + STUDY_FILE):
        return contribution_id, False
    for name, data in files.items():
        store.put(folder + name, data)
    return contribution_id, store.put_if_absent(folder + STUDY_FILE, document)


def complete_contributions(store: ObjectStore) -> Iterator[tuple[str, bool]]:
    """Yield the contributions whose `study.json` has arrived, in the order of their keys.

    Returns:
        The id, which is the folder's name, and True. A folder whose name cannot be an id, such as one inside another,
        is not passed over in silence: it gets an id made of its digest, and False.
    """
    for key in store.list(INBOX):
        match = _STUDY_KEY.fullmatch(key)
        if match:
            folder = match.group(1) or ""
            usable = bool(_FOLDER.fullmatch(folder))
            yield (folder if usable else f"folder-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"), usable


def _place(location: tuple[int | str, ...]) -> str:
    """Name a field by its path; what is no field's name is the document's own text and stays out."""
    fields = Study.model_fields.keys() | ContributedImage.model_fields.keys() | set(LABELS)
    return ".".join(str(part) if isinstance(part, int) or part in fields else "?" for part in location) or "document"
