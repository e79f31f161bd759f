"""Tables of reports in, tables of labels out, and the measurement against annotations."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ladnn.cli.labels import app
from ladnn.errors import ContributionError
from ladnn.intake.reports.evaluation import evaluate_reports
from ladnn.intake.reports.table import ReportRow, panels_by_order, read_reports, read_text_table
from ladnn.labels import LABELS

HEADER = "id,covid,GGO,Csld,CrPa,AirBr,InSepThi\n"


def extracted(folder: Path, data: bytes, *options: str) -> str:
    source, target = folder / "in.csv", folder / "out.csv"
    source.write_bytes(data)
    result = CliRunner().invoke(app, ["extract", str(source), str(target), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return target.read_text(encoding="utf-8")


def test_extract_writes_one_row_a_report_in_the_same_order(tmp_path: Path) -> None:
    data = b'id,report\nb,GGO\na,"No GGO, possible consolidation"\nb,\n"c,d",COVID-19 was excluded\n'
    assert extracted(tmp_path, data) == HEADER + 'b,,1,,,,\na,,0,,,,\nb,,,,,,\n"c,d",0,,,,,\n'


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfid,report\r\n1,GGO\r\n",
        b"report,other,ID \nGGO,x,1\n",
        b'"id","report"\n"1","GGO"\n',
        b"id,report\n\n1,GGO\n\n",
        "id,report\n1,GGO\n".encode("utf-16"),
        b'id;report\n1;"GGO, bilateral; no more"\n',
        b"id\treport\n1\tGGO, bilateral\n",
        b"id,report\n1,caf\xe9 GGO \x81\n",
        b"id,report\n1,GGO\x00\n",
        b'id,report\n1,"GGO" in "both" lungs\n',
        b'id,report\n1,"multifocal\n""GGO"""\n',
        b"id,report\n1," + b"normal lung " * 20_000 + b"\n1,GGO\n",
    ],
    ids=["bom", "columns", "quoted", "blank", "utf16", "semicolons", "tabs", "latin", "nul", "stray", "lines", "huge"],
)
def test_extract_reads_the_tables_that_people_make(tmp_path: Path, data: bytes) -> None:
    assert extracted(tmp_path, data).splitlines()[-1] == "1,,1,,,,"


def test_mixed_encodings_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("id,report\n1,caf\u00e9\n".encode() + b"2,caf\xe9\n")
    assert [row.report for row in read_reports(path)] == ["caf\u00e9", "caf\u00e9"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name,report\n1,GGO\n", "has no column id"),
        (b"x\n", "has no column id or report"),
        (b"", "has no header line"),
        (b"id,report,id\n", "names a column twice"),
        (b"id,report\n1,GGO, consolidation\n", "line 2: more cells than columns"),
        (b'id,report\n1,"GGO\n', "a double quote is opened and never closed"),
    ],
)
def test_what_is_no_such_table_is_named_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(data)
    with pytest.raises(ContributionError, match=message) as error:
        read_reports(path)
    assert "GGO" not in str(error.value)


def test_a_missing_input_or_a_target_without_folder_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ContributionError, match=r"absent\.csv"):
        read_text_table(tmp_path / "absent.csv")
    source = tmp_path / "in.csv"
    source.write_text("id,report\n1,GGO\n")
    result = CliRunner().invoke(app, ["extract", str(source), str(tmp_path / "none" / "out.csv")])
    assert isinstance(result.exception, ContributionError)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_the_panel_column_chooses_the_part(tmp_path: Path) -> None:
    data = b"id,report,panel\n1,(A) GGO. (B) Consolidation.,A\n2,(A) GGO. (B) Consolidation.,(b)\n"
    assert extracted(tmp_path, data) == HEADER + "1,,1,,,,\n2,,,1,,,\n"


def test_running_numbers_of_images_that_share_a_caption_tell_the_part() -> None:
    caption = "(A) GGO. (B) Consolidation. (C) Crazy paving."
    rows = [ReportRow(name, caption, "") for name in ("fig_2.png", "fig_10.png", "fig_1.png", "fig_3.png")]
    assert panels_by_order([rows[0], rows[2], rows[3]]) == ["b", "a", "c"]
    assert panels_by_order(rows[:3]) == ["", "", ""]  # a number is missing
    assert panels_by_order(rows) == ["", "", "", ""]  # more images than parts
    assert panels_by_order([ReportRow("fig_1.png", caption, "C")]) == ["C"]


def test_details_tell_where_each_label_stands_and_quote_nothing(tmp_path: Path) -> None:
    details = tmp_path / "details.jsonl"
    report = "Suspected COVID-19. No GGO. The consolidation has resolved."
    extracted(tmp_path, f"id,report\n7,{report}\n".encode(), "--details", str(details))
    text = details.read_text(encoding="utf-8")
    document = json.loads(text)
    assert document["id"] == "7"
    assert document["diagnosis"] == "suspected"
    assert {code: report[slice(*label["span"])] for code, label in document["labels"].items()} == {
        "covid": "COVID-19",
        "GGO": "GGO",
        "Csld": "consolidation",
    }
    assert document["labels"]["GGO"]["negated"]
    assert document["labels"]["Csld"]["historical"]
    assert "resolved" not in text


def test_extract_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    data = b"id,report\n" + b"".join(b"%d,(A) GGO. (B) Possible consolidation.\n" % i for i in range(50))
    assert extracted(tmp_path, data) == extracted(tmp_path, data)


def annotated(folder: Path, *rows: tuple[str, str, str]) -> Path:
    columns = ("image", "patient_id", *LABELS, "report")
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(columns)
        for image, flags, report in rows:
            writer.writerow([image, image, *flags, report])
    return folder


def test_evaluate_counts_present_against_everything_else(tmp_path: Path) -> None:
    folder = annotated(
        tmp_path,
        ("a.png", "110000", "Patchy GGO."),
        ("b.png", "100000", "No GGO."),
        ("c.png", "111000", "GGO."),
        ("d.png", "000000", "GGO."),
    )
    result = evaluate_reports(folder)
    by_code = {row.lesion: row for row in result.lesions}
    assert result.n_images == 3
    assert (by_code["GGO"].reader.f1, by_code["GGO"].keywords.precision) == (1.0, pytest.approx(2 / 3))
    assert (by_code["Csld"].reader.recall, by_code["Csld"].reader.precision) == (0.0, None)
    assert [(item.image, item.lesion) for item in result.unsupported] == [("c.png", "Csld")]
    assert result.accuracy == pytest.approx(14 / 15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,covid\n", "has no column"),
        ("image,patient_id,report,covid,ggo,csld,crpa,airbr,insepthi\n", "no positive"),
    ],
)
def test_evaluate_needs_the_layout_and_a_positive_image(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(ContributionError, match=message):
        evaluate_reports(tmp_path)


def test_lesions_of_real_captions_agree_with_their_annotation(real_data: Path) -> None:
    result = evaluate_reports(real_data)
    scores = {row.lesion: row.reader.f1 for row in result.lesions}
    print(result.macro_f1, scores)
    assert result.n_images == 251
    assert result.macro_f1 is not None
    assert result.macro_f1 >= 0.93
    assert all(score is not None and score >= 0.87 for score in scores.values())


def test_the_command_prints_one_document_or_tables_and_no_report_text(tmp_path: Path) -> None:
    folder = annotated(tmp_path, ("a.png", "111000", "Patchy GGO of a secret patient."))
    printed = CliRunner().invoke(app, ["evaluate", str(folder), "--json"], catch_exceptions=False)
    document = json.loads(printed.stdout)
    assert document == evaluate_reports(folder).model_dump(mode="json")
    shown = CliRunner().invoke(app, ["evaluate", str(folder), "--each-alone"], catch_exceptions=False)
    assert "a.png" in shown.stdout
    assert "secret" not in printed.output + shown.output
