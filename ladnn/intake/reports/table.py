"""Owns tables of reports: reads a CSV of ids and reports, and writes the CSV of labels and the details beside it."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ladnn.errors import ContributionError
from ladnn.intake.reports.extract import MAX_CHARACTERS, diagnosis_status, read_report
from ladnn.intake.reports.panels import panels_in_order
from ladnn.labels import DIAGNOSIS, LABELS, Label
from ladnn.progress import Steps, no_steps
from ladnn.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report of a table; `panel` is empty where the table does not say it."""

    id: str
    report: str
    panel: str


def read_reports(path: Path) -> list[ReportRow]:
    """Read a CSV with the columns `id`, `report` and, where known, `panel`, in any order and among others.

    Text is UTF-8, with or without a byte order mark; where it is not, single bytes are read as Windows-1252.

    Raises:
        ContributionError: the file cannot be read as such a table.
    """
    frame = read_text_table(path)
    missing = {"id", "report"} - set(frame.columns)
    if missing:
        raise ContributionError(
            f"{path} has no column {' or '.join(sorted(missing))}; its first line must name the columns id and report"
        )
    panels = frame["panel"] if "panel" in frame else [""] * len(frame)
    rows = zip(frame["id"], frame["report"], panels, strict=True)
    return [ReportRow(str(name), str(report), str(panel).strip()) for name, report, panel in rows]


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV as text, every cell as it stands; column names without case and outer spaces.

    A header line without a comma but with semicolons or tabs, as spreadsheets write them, says that these part the cells.

    Raises:
        ContributionError: the file is missing, empty, or no CSV.
    """
    try:
        text = _decoded(path.read_bytes()).replace("\0", " ")
    except OSError as error:
        raise ContributionError(f"cannot read {path} ({error.strerror}); name a CSV file with a header line") from error
    lines = _lines(text, path)
    header = [column.strip().casefold() for column in lines[0][1]] if lines else []
    if not header or len(set(header)) < len(header):
        raise ContributionError(f"{path} has no header line, or names a column twice; its first line names the columns")
    too_long = next((number for number, cells in lines if len(cells) > len(header)), None)
    if too_long:
        raise ContributionError(
            f"{path}, line {too_long}: more cells than columns; put double quotes around cells that hold a comma (or a semicolon, where semicolons part the cells)"
        )
    cells = [row + [""] * (len(header) - len(row)) for _, row in lines[1:]]
    return pd.DataFrame(cells, columns=header, dtype=object)


def _lines(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """Return the cells of each record that is not empty, with the number of its last line."""
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    header = text.lstrip().split("\n", 1)[0]
    delimiter = next((mark for mark in ",;\t" if mark in header), ",")
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise ContributionError(f"cannot read {path} as CSV: a double quote is opened and never closed") from error
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter
    )  # text after a closing quote belongs to the cell
    return [(reader.line_num, row) for row in reader if row]


def _decoded(data: bytes) -> str:
    """Decode line by line, as tables put together from several sources mix encodings."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    return "".join(_decoded_line(line) for line in data.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True))


def _decoded_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")  # five bytes have no meaning in Windows-1252


def panels_by_order(rows: Sequence[ReportRow]) -> list[str]:
    """Return the panel of each row: as stated, or told by the order of ids such as `fig1_0`, `fig1_1` of one caption.

    Ids tell it where those that share a report differ only in a running number and are as many as the parts.
    """
    panels = [row.panel for row in rows]
    groups: dict[tuple[str, str], dict[int, int]] = {}
    for position, row in enumerate(rows):
        numbered = re.search(r"(\d+)(?:\.\w+)?$", row.id)
        if numbered and not row.panel and row.report:
            stem = row.id[: numbered.start()] + row.id[numbered.end(1) :]
            groups.setdefault((stem, row.report), {}).setdefault(int(numbered[1]), position)
    for (_, report), members in groups.items():
        numbers = sorted(members)
        running = len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1
        names = panels_in_order(report, len(numbers)) if running else None
        for number, name in zip(numbers, names or (), strict=False):
            panels[members[number]] = name
    return panels


def extract_labels(rows: Sequence[ReportRow], steps: Steps = no_steps) -> list[dict[str, Label]]:
    """Return the labels of each row."""
    labels = []
    for done, (row, panel) in enumerate(zip(rows, panels_by_order(rows), strict=True), start=1):
        labels.append(read_report(row.report, panel or None))
        if done % 20 == 0 or done == len(rows):
            steps(done, len(rows))
    return labels


def write_labels(path: Path, rows: Sequence[ReportRow], labels: Sequence[dict[str, Label]]) -> None:
    """Write `id` and one column a label: 1, 0 or empty (unknown); the file appears whole or not at all."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(("id", *LABELS))
    for row, known in zip(rows, labels, strict=True):
        writer.writerow((row.id, *(_cell(known.get(code)) for code in LABELS)))
    _write(path, target.getvalue())


def write_details(path: Path, rows: Sequence[ReportRow], labels: Sequence[dict[str, Label]]) -> None:
    """Write a JSON document a line and report: every label with its provenance, and no word of the report."""
    _write(path, "".join(_details(rows, labels)))


def _details(rows: Sequence[ReportRow], labels: Sequence[dict[str, Label]]) -> Iterable[str]:
    for row, panel, known in zip(rows, panels_by_order(rows), labels, strict=True):
        document = {
            "id": row.id,
            "panel": panel or None,
            "diagnosis": diagnosis_status(known.get(DIAGNOSIS)),
            "cut": len(row.report) > MAX_CHARACTERS,
            "labels": {code: known[code].model_dump(mode="json") for code in LABELS if code in known},
        }
        yield json.dumps(document, ensure_ascii=False) + "\n"


def _cell(label: Label | None) -> str:
    return "" if label is None or label.value is None else str(label.value)


def _write(path: Path, text: str) -> None:
    """Write a text file whole.

    Raises:
        ContributionError: the folder does not exist, or the path is a folder.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise ContributionError(f"cannot write {path}; name a file in a folder that exists")
    write_whole(path, text.encode("utf-8", errors="replace"))
