"""What a study says of its images: reports and labels, whom it names, and what forbids its use."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache

from ladnn.errors import ImageRejectedError
from ladnn.intake.contribution import ContributedImage, StudyData
from ladnn.intake.deidentify import names_in_file_name, scrub
from ladnn.intake.record import report_part
from ladnn.intake.reports.extract import read_report
from ladnn.intake.reports.marks import only_part_words
from ladnn.labels import Label

_SHORTEST_IDENTIFIER = 3
"""Characters: shorter ones are parts of ordinary words and numbers."""
_LONG_NUMBER = re.compile(r"\d{5,}")
"""Reports name a patient "MRN-99887" by the number alone, too."""


def objections(study: StudyData, today: date) -> Iterator[tuple[str, str]]:
    """Yield reason and detail of what forbids to use a study at all."""
    if not study.consent:
        yield "no_consent", 'study.json does not state consent ("consent": true); obtain it and send it again'
    latest = today + timedelta(days=1)  # somewhere it is tomorrow already
    if study.contributed_on > latest or (study.studied_on or latest) > latest:
        yield "future_date", "study.json has a date in the future; correct it and send it again"


def report_of(image: ContributedImage, study: StudyData) -> str:
    """Return the report that speaks of an image: its own, else the study's, else nothing."""
    return next((text for text in (image.report, study.report) if text and text.strip()), "")


def identifiers_of(study: StudyData, images: Iterable[ContributedImage | ImageRejectedError]) -> frozenset[str]:
    """Return what of a study's own fields, and of its images' file names, must not stand in a report."""
    if study.identifiers == "pseudonyms":
        return frozenset()
    numbers = (study.study_id, study.patient_id or "")
    named = {*numbers, *(digits for number in numbers for digits in _LONG_NUMBER.findall(number))}
    files = (names_in_file_name(image.file) for image in images if isinstance(image, ContributedImage))
    return frozenset(name for name in named if len(name) >= _SHORTEST_IDENTIFIER).union(*files)


def without_identifiers(study: StudyData, identifiers: frozenset[str]) -> StudyData:
    """Return a study whose free fields name nobody; patient and study id stay, to become pseudonyms."""
    named = any(identifier.casefold() in study.source.casefold() for identifier in identifiers)
    clean = {"annotated_by": scrub(study.annotated_by, identifiers), "source": "removed" if named else study.source}
    return study.model_copy(update=clean)


def image_without_identifiers(image: ContributedImage, identifiers: frozenset[str]) -> ContributedImage:
    """Return an image entry whose panel names nobody."""
    panel = None if image.panel is None else only_part_words(scrub(image.panel, identifiers), "x")
    return image.model_copy(update={"panel": panel})


@lru_cache(maxsize=16)  # the images of a study mostly share one report
def _report_labels(report: str, panel: str | None) -> Mapping[str, Label]:
    return read_report(report, panel)


def read_labels(image: ContributedImage, report: str, annotated_by: str) -> dict[str, Label] | ImageRejectedError:
    """Return the labels of an image, or why there are none; annotations win over the report."""
    labels = dict(_report_labels(report, report_part(image.panel, image.day))) if report else {}
    for code, value in image.labels.items():
        labels[code] = Label(value=value, source="annotation", by=annotated_by)
    if any(label.value is not None for label in labels.values()):
        return labels
    detail = "its report states neither the diagnosis nor a lesion; contribute it again with labels"
    return ImageRejectedError("no_label", detail)
