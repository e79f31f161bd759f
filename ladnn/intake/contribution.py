"""The contribution format: a folder in the inbox with images and a `study.json`, which is written last.

`inbox/<contribution id>/study.json` makes a contribution complete; images lie beside it, named in it, with digests.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, from_json

from ladnn.errors import ContributionError, ImageRejectedError, StoreError, UnknownLabelError
from ladnn.labels import LABELS, label_code
from ladnn.store.keys import check_key

FORMAT: Final = "ladnn-contribution/2"
STUDY_FILE = "study.json"
MAX_STUDY_BYTES = 20_000_000
MAX_IMAGES = 10_000
MAX_REPORT_CHARACTERS = 100_000
_MOST_PROBLEMS = 10
"""Named in one error message."""
_IMAGE_REASONS = {"file": "bad_file_name", "sha256": "wrong_digest", "labels": "bad_labels"}
"""Quarantine code of an image entry by the field that is wrong; any other is a bad_image_entry."""

Binary = Literal[0, 1]


class ContributedImage(BaseModel):
    """One image of a contribution, with what its contributor knows of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^./\\][^/\\]*$")]
    """Name beside `study.json`: no folders, no leading dot, no control characters."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the file's bytes."""
    panel: str | None = Field(default=None, min_length=1, max_length=40)
    """Which part of the report this image is, such as "B" or "patient 3"."""
    day: int | None = Field(default=None, ge=-3650, le=3650)
    """Day of the illness, or of the follow-up, at which it was taken."""
    report: str | None = Field(default=None, max_length=MAX_REPORT_CHARACTERS)
    """Report or caption of this image; without it the study's report counts."""
    labels: dict[str, Binary] = {}
    """Expert annotations by label code or alias; a label that is not named is unknown."""

    @field_validator("file")
    @classmethod
    def _check_file(cls, file: str) -> str:
        try:
            check_key(file)
        except StoreError:
            raise ValueError("holds a control character or no UTF-8") from None
        if file.casefold() == STUDY_FILE:
            raise ValueError("an image cannot be called study.json")
        return file

    @field_validator("labels")
    @classmethod
    def _use_codes(cls, labels: dict[str, Binary]) -> dict[str, Binary]:
        try:
            codes = {label_code(name): value for name, value in labels.items()}
        except UnknownLabelError:
            raise ValueError(f"unknown label; known labels are {', '.join(LABELS)}") from None  # names may be anything
        if len(codes) < len(labels):
            raise ValueError("a label is named twice, by two of its spellings")
        return codes


class StudyData(BaseModel):
    """What `study.json` says of the study as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal["ladnn-contribution/2"]
    """Version of this format."""
    site: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Contributing site; scope of patient and study identifiers."""
    study_id: str = Field(min_length=1, max_length=200)
    """The site's identifier of the study; becomes a pseudonym at intake."""
    patient_id: str | None = Field(default=None, min_length=1, max_length=200)
    """The site's identifier of the patient, if known; becomes a pseudonym at intake."""
    identifiers: Literal["site", "pseudonyms"] = "site"
    """"pseudonyms" where `ladnn contribute` has replaced both already, with this platform's key."""
    consent: Annotated[bool, BeforeValidator(lambda stated: stated is True)] = False
    """True: the patient, or an ethics board, allows this use. Anything else is set aside as no_consent."""
    contributed_on: date
    """Day of the contribution (UTC)."""
    studied_on: date | None = None
    """Day of the examination."""
    source: str = Field(default="hospital", max_length=60, pattern=r"^[a-z0-9:._/-]+$")
    """Kind of origin, such as hospital or medpix."""
    synthetic: bool = False
    """True for phantoms, which never enter a dataset version of real images."""
    age_y: int | None = Field(default=None, ge=0, le=120)
    sex: Literal["F", "M"] | None = None
    report: str | None = Field(default=None, max_length=MAX_REPORT_CHARACTERS)
    """Report of the whole study."""
    annotated_by: str = Field(default="contributor", min_length=1, max_length=60)
    """Who set the images' labels."""
    split: Literal["train", "validation"] | None = None
    """Keep a published split: honoured once, when the patient is first seen."""

    @model_validator(mode="after")
    def _check_pseudonyms(self) -> "StudyData":
        identifiers = [self.study_id] + ([self.patient_id] if self.patient_id else [])
        if self.identifiers == "pseudonyms" and not all(_is_pseudonym(value) for value in identifiers):
            raise ValueError("identifiers are said to be pseudonyms, but are none of this platform's")
        return self


class Study(StudyData):
    """The content of `study.json`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        title="ladnn contribution",
        json_schema_extra=lambda schema: schema["required"].append("consent"),
    )

    images: tuple[ContributedImage, ...] = Field(min_length=1, max_length=MAX_IMAGES)

    @model_validator(mode="after")
    def _no_repeated_file(self) -> "Study":
        if _repeated(image.file for image in self.images):
            raise ValueError("two images have the same file name")
        return self


@dataclass(frozen=True, slots=True)
class ParsedStudy:
    """A `study.json` as it was found; `images` in their order, a refused entry in the place of an unusable one."""

    data: StudyData
    images: tuple[ContributedImage | ImageRejectedError, ...]


def parse_study(document: bytes) -> ParsedStudy:
    """Read a `study.json`; one bad image entry leaves the others usable.

    Raises:
        ContributionError: not JSON, or not a study; the message names fields, never their values.
    """
    try:
        values = from_json(document)
    except ValueError as error:
        place = str(error).rpartition(" at ")[2]  # the rest may quote the document
        raise ContributionError(f"study.json is invalid: no JSON document, see {place}; write it anew") from None
    entries = values.pop("images", None) if isinstance(values, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_IMAGES:
        raise ContributionError(f"study.json is invalid: images: must be a list of 1 to {MAX_IMAGES}") from None
    try:
        data = StudyData.model_validate(values)
    except ValidationError as error:
        raise ContributionError(f"study.json is invalid: {problems(error)}") from None  # the cause would quote it
    return ParsedStudy(data, _without_repeated([_parse_image(entry) for entry in entries]))


def problems(error: ValidationError) -> str:
    """Say what is wrong with a study, by field, without a value of it."""
    items = error.errors(include_input=False, include_url=False)
    named = "; ".join(f"{_place(item)}: {_message(item)}" for item in items[:_MOST_PROBLEMS])
    return f"{named}; and {len(items) - _MOST_PROBLEMS} more" if len(items) > _MOST_PROBLEMS else named


def contribution_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `study.json`."""
    schema = Study.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": FORMAT, **schema}


def _parse_image(entry: object) -> ContributedImage | ImageRejectedError:
    try:
        return ContributedImage.model_validate(entry)
    except ValidationError as error:
        location = error.errors(include_input=False)[0]["loc"]
        reason = _IMAGE_REASONS.get(str(location[0]) if location else "", "bad_image_entry")
        return ImageRejectedError(reason, f"its entry in study.json is unusable: {problems(error)}; send it again")


def _without_repeated(
    images: list[ContributedImage | ImageRejectedError],
) -> tuple[ContributedImage | ImageRejectedError, ...]:
    """Refuse every entry whose file name another one has: which of them is meant cannot be known."""
    repeated = _repeated(image.file for image in images if isinstance(image, ContributedImage))
    refusal = ImageRejectedError("duplicate_name", "study.json names its file twice; name every file once")
    return tuple(
        refusal if isinstance(image, ContributedImage) and image.file in repeated else image for image in images
    )


def _repeated(names: Any) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _is_pseudonym(value: str) -> bool:
    kind, dash, digits = value.partition("-")
    return kind in {"p", "s"} and dash == "-" and len(digits) == 20 and set(digits) <= set("0123456789abcdef")


def _place(item: ErrorDetails) -> str:
    """Name a field by its path; what is no field's name is the document's own text and stays out."""
    fields: Mapping[str, Any] = Study.model_fields | ContributedImage.model_fields | dict.fromkeys(LABELS)
    return ".".join(str(part) if isinstance(part, int) or part in fields else "?" for part in item["loc"]) or "document"


def _message(item: ErrorDetails) -> str:
    if item["type"] == "literal_error" and item["loc"] == ("format",):
        return f"this release reads {FORMAT} only; see `ladnn schema contribution`"
    if item["type"] == "extra_forbidden":  # its name may be anything
        return "is no field of this format; see `ladnn schema contribution` for those that are"
    return item["msg"].removeprefix("Value error, ")
