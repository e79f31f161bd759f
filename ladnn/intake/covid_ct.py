"""Importer of the public COVID-CT layout (He et al. 2020, arXiv:2003.13865): `images/` beside a `metadata.csv`.

One contribution a patient. Where a positive image names no lesion, and on negatives, lesions are unknown: the
annotators of this collection noted what a caption named, and 0 then means "not mentioned".
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import ValidationError

from ladnn.errors import ContributionError, UnknownLabelError
from ladnn.intake.contribution import FORMAT, ContributedImage, Study
from ladnn.intake.reports.table import ReportRow, panels_by_order
from ladnn.labels import DIAGNOSIS, LESIONS, label_code

SITE = "covid-ct"
PUBLISHED_ON = date(2020, 3, 30)
"""First publication of the collection (arXiv:2003.13865v1): it is the paper's D0."""
_SPLITS: dict[str, Literal["train", "validation"]] = {"train": "train", "val": "validation", "validation": "validation"}


def read_labelled_images(table: Path) -> pd.DataFrame:
    """Read a CSV with `image`, `patient_id`, `covid` and lesion columns; the latter may be missing.

    Returns:
        The table with text columns as they are and one float64 column a label code: 1, 0 or NaN (unknown).

    Raises:
        ContributionError: the file is missing or no such table, or a label is neither 1, 0 nor empty (line named).
    """
    try:
        frame = pd.read_csv(table, dtype=str, keep_default_na=False).fillna("")  # short lines leave gaps
    except OSError as error:
        raise ContributionError(f"cannot read {table}: {error.strerror}; name a file like COVID-CT's") from error
    except ValueError as error:
        raise ContributionError(
            f"cannot read {table} as CSV ({type(error).__name__}); name a file like COVID-CT's metadata.csv"
        ) from error
    missing = {"image", "patient_id", "covid"} - set(frame.columns)
    if missing:
        raise ContributionError(f"{table} has no column {', '.join(sorted(missing))}; see the README for its columns")
    frame["patient_id"] = frame["patient_id"].str.strip()
    columns = {column: code for column in frame.columns if (code := _label_column(column))}
    if len(set(columns.values())) < len(columns):
        raise ContributionError(f"{table} has two columns of one label among {', '.join(columns)}; keep one of them")
    labels = pd.DataFrame({code: _label_values(frame[column], table) for column, code in columns.items()})
    labels = labels.reindex(columns=[DIAGNOSIS, *LESIONS])
    stated = (labels[DIAGNOSIS] == 1) & (labels[list(LESIONS)] == 1).any(axis=1)
    labels[list(LESIONS)] = labels[list(LESIONS)].where(stated)
    return pd.concat([frame.drop(columns=list(columns)), labels], axis="columns")


@dataclass(frozen=True, slots=True)
class ImportedStudy:
    """One patient's contribution; `study` is None where none of the patient's images has a file."""

    study: Study | None
    files: dict[str, bytes]
    missing: tuple[str, ...]
    """A line for each image that the table names and the folder lacks."""


def covid_ct_studies(folder: Path, split_column: str | None = None) -> Iterator[ImportedStudy]:
    """Yield the collection patient by patient; an image without a patient id is a study of its own.

    Args:
        folder: holds `metadata.csv` and `images/`.
        split_column: keep the published split of this column (train and val).

    Raises:
        ContributionError: the layout, the table or the split column is not as stated.
    """
    frame = read_labelled_images(folder / "metadata.csv")
    frame["panel"] = _panels(frame)
    owner = frame["patient_id"].where(frame["patient_id"] != "", frame["image"])
    if split_column is not None:
        _check_split(frame, owner, split_column, folder / "metadata.csv")
    for name, rows in frame.groupby(owner, sort=True):
        yield _imported(str(name), rows, folder / "images", split_column)


def _imported(owner: str, rows: pd.DataFrame, folder: Path, split_column: str | None) -> ImportedStudy:
    files, images, missing = {}, [], []
    for position, (_, row) in enumerate(rows.iterrows(), start=1):
        path = folder / row["image"]
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            suffix = path.suffix.lower()
            name = f"{position:04d}" + (suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix, re.ASCII) else "")
            files[name] = path.read_bytes()
            images.append(_image(row, name, files[name]))
        else:
            missing.append(f"image {row['image']} is named in metadata.csv but is not in {folder}; left out")
    study = _study(owner, rows.iloc[0], tuple(images), split_column) if images else None
    return ImportedStudy(study, files, tuple(missing))


def _label_column(column: str) -> str | None:
    try:
        return label_code(column)
    except UnknownLabelError:
        return None  # a column of something else, such as age


def _label_values(column: "pd.Series[str]", table: Path) -> "pd.Series[float]":
    known = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "": float("nan")}
    stripped = column.str.strip()
    wrong = ~stripped.isin(list(known))
    if wrong.any():
        raise ContributionError(f"{table}, {_line(wrong)}, column {column.name}: a label is 1, 0 or empty")
    return stripped.map(known).astype("float64")


def _line(wrong: "pd.Series[bool]") -> str:
    """Name the first line of the file that is wrong; the header is line 1, a quoted line break makes no new line."""
    return f"line {int(wrong.to_numpy().argmax()) + 2}"


def _check_split(frame: pd.DataFrame, owner: "pd.Series[str]", column: str, table: Path) -> None:
    if column not in frame:
        raise ContributionError(f"{table} has no column {column!r}; its columns are {', '.join(frame.columns)}")
    unknown = ~frame[column].isin(list(_SPLITS))
    if unknown.any():
        raise ContributionError(f"{table}, {_line(unknown)}, column {column}: a kept split is train or val")
    leaking = frame[column].map(_SPLITS).groupby(owner).transform("nunique") > 1
    if leaking.any():
        raise ContributionError(
            f"{table}, {_line(leaking)}: column {column} puts one patient into two parts; such a split leaks, "
            "so drop the option or correct the column"
        )


def _image(row: "pd.Series[str]", name: str, data: bytes) -> ContributedImage:
    labels = {code: int(row[code]) for code in (DIAGNOSIS, *LESIONS) if not pd.isna(row[code])}
    return ContributedImage.model_validate(
        {
            "file": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "panel": row["panel"] or None,
            "report": str(row.get("report", "")).strip() or None,
            "labels": labels,
        }
    )


def _panels(frame: pd.DataFrame) -> list[str]:
    """Return which part of its caption each image is, as far as the running numbers of a figure's images tell it."""
    reports = frame["report"] if "report" in frame else [""] * len(frame)
    return panels_by_order([ReportRow(i, r, "") for i, r in zip(frame["image"], reports, strict=True)])


def _study(owner: str, row: "pd.Series[str]", images: tuple[ContributedImage, ...], split_column: str | None) -> Study:
    age, sex = str(row.get("age", "")).strip(), str(row.get("gender", "")).strip().upper()
    source = str(row.get("source", "")).split(":")[0].strip().lower()
    try:
        return Study(
            format=FORMAT,
            site=SITE,
            study_id=owner,
            patient_id=row["patient_id"] or None,
            consent=True,  # published for research
            contributed_on=PUBLISHED_ON,
            source=re.sub(r"[^a-z0-9._/-]+", "-", source)[:60] or "unknown",
            age_y=int(float(age)) if re.fullmatch(r"\d{1,2}(\.\d+)?|1[01]\d", age, re.ASCII) else None,
            sex=sex if sex in ("F", "M") else None,  # type: ignore[arg-type]
            annotated_by="covid-ct metadata",
            split=_SPLITS[row[split_column]] if split_column else None,
            images=images,
        )
    except ValidationError as error:
        fields = ", ".join(str(item["loc"][0]) for item in error.errors(include_input=False))
        raise ContributionError(
            f"metadata.csv: the study of image {row['image']} has an unusable {fields}; correct the table"
        ) from None  # the cause would quote the patient's data
