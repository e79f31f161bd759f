"""Measures the reader of reports against lesions that people annotated, beside a plain keyword search.

Nothing is fitted to the annotations, so every image counts once and no folds are needed.
"""

from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.errors import ContributionError, UnknownLabelError
from ladnn.intake.reports.extract import EXTRACTOR
from ladnn.intake.reports.sentences import normalized
from ladnn.intake.reports.table import ReportRow, extract_labels, read_text_table
from ladnn.intake.reports.vocabulary import find_mentions
from ladnn.labels import DIAGNOSIS, LESIONS, label_code
from ladnn.progress import Steps, no_steps


class Agreement(BaseModel):
    """Agreement of predictions with annotations; None where nothing was predicted or annotated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: float | None
    recall: float | None
    f1: float | None
    n_wrong: int


class LesionAgreement(BaseModel):
    """One lesion: how the reader did, and the keyword search beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lesion: str
    n_annotated: int
    reader: Agreement
    keywords: Agreement


class Unsupported(BaseModel):
    """An image whose annotated lesion no word of its report names, so that no reading of text can find it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    lesion: str


class ReportEvaluation(BaseModel):
    """How labels read from reports compare with annotated lesions; prediction is "present" against all else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    extractor: str
    n_images: int
    n_patients: int
    lesions: tuple[LesionAgreement, ...]
    macro_f1: float | None
    keyword_macro_f1: float | None
    accuracy: float
    """Part of all decisions, images times lesions, that are right."""
    keyword_accuracy: float
    unsupported: tuple[Unsupported, ...]


def evaluate_reports(folder: Path, steps: Steps = no_steps, by_order: bool = True) -> ReportEvaluation:
    """Compare what reports state with the annotated lesions of the positive images of a COVID-CT folder.

    Args:
        folder: holds `metadata.csv` with `image`, `covid`, `report` and the lesions as 1 or 0.
        steps: told how many reports are read.
        by_order: let the running numbers of images that share a caption tell which part each is.

    Raises:
        ContributionError: the table is missing, or not as stated.
    """
    frame = _annotated(folder / "metadata.csv")
    positives = frame[frame[DIAGNOSIS] == 1].reset_index(drop=True)
    if positives.empty:
        raise ContributionError(f"{folder / 'metadata.csv'} has no positive image; there is nothing to compare")
    rows = [
        ReportRow(str(image) if by_order else "", str(report), "")
        for image, report in zip(positives["image"], positives["report"], strict=True)
    ]
    labels = extract_labels(rows, steps)
    named = [{mention.code for mention in find_mentions(normalized(row.report).replace("\n", " "))} for row in rows]
    read = pd.DataFrame([{code: code in known and known[code].value == 1 for code in LESIONS} for known in labels])
    return _compared(positives, read, pd.DataFrame([{code: code in found for code in LESIONS} for found in named]))


def _compared(positives: pd.DataFrame, read: pd.DataFrame, keywords: pd.DataFrame) -> ReportEvaluation:
    truth = positives[list(LESIONS)] == 1
    lesions = tuple(
        LesionAgreement(
            lesion=code,
            n_annotated=int(truth[code].sum()),
            reader=agreement(truth[code], read[code]),
            keywords=agreement(truth[code], keywords[code]),
        )
        for code in LESIONS
    )
    return ReportEvaluation(
        extractor=EXTRACTOR,
        n_images=len(truth),
        n_patients=int(positives["patient_id"].nunique()),
        lesions=lesions,
        macro_f1=_mean([lesion.reader.f1 for lesion in lesions]),
        keyword_macro_f1=_mean([lesion.keywords.f1 for lesion in lesions]),
        accuracy=float((truth == read).to_numpy().mean()),
        keyword_accuracy=float((truth == keywords).to_numpy().mean()),
        unsupported=tuple(
            Unsupported(image=str(image), lesion=code)
            for code in LESIONS
            for image in positives["image"][truth[code] & ~keywords[code]]
        ),
    )


def agreement(truth: "pd.Series[bool]", predicted: "pd.Series[bool]") -> Agreement:
    """Return precision, recall and their harmonic mean F1 = 2 TP / (2 TP + FP + FN), each from 0 to 1."""
    hits = int((truth & predicted).sum())
    n_wrong = int((truth != predicted).sum())
    return Agreement(
        precision=_ratio(hits, int(predicted.sum())),
        recall=_ratio(hits, int(truth.sum())),
        f1=_ratio(2 * hits, 2 * hits + n_wrong),
        n_wrong=n_wrong,
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _annotated(table: Path) -> pd.DataFrame:
    """Read the table with one column a label code, 1 or 0; an empty cell is not annotated, hence 0."""
    frame = read_text_table(table).rename(columns=_code)
    missing = {"image", "patient_id", "report", DIAGNOSIS, *LESIONS} - set(frame.columns)
    if missing:
        raise ContributionError(f"{table} has no column {', '.join(sorted(missing))}; see the README for its columns")
    for code in (DIAGNOSIS, *LESIONS):
        cells = frame[code].str.strip().str.removesuffix(".0")
        if not cells.isin(["1", "0", ""]).all():
            raise ContributionError(f"{table}, column of {code}: a label is 1, 0 or empty; correct the table")
        frame[code] = (cells == "1").astype("int64")
    return frame


def _code(column: str) -> str:
    try:
        return label_code(column)
    except UnknownLabelError:
        return column  # a column of something else, such as age
