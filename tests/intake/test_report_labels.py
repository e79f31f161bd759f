"""What a report states, and what it leaves open."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.intake.report_labels import EXTRACTOR, labels_from_report
from ladnn.labels import DIAGNOSIS, LESIONS
from ladnn.phantoms.disease import KINDS, Tumour
from ladnn.phantoms.reports import Facts, write_report
from ladnn.phantoms.study import generate_study

COLUMNS = ("ggo", "consolidation", "crazy_paving", "air_bronchograms", "interlobular_septal_thickening")


def stated(report: str) -> dict[str, int]:
    return {code: label.value for code, label in labels_from_report(report).items()}


@pytest.mark.parametrize(
    ("report", "labels"),
    [
        ("No consolidation is seen.", {"Csld": 0}),
        ("Consolidation without air bronchograms.", {"Csld": 1, "AirBr": 0}),
        ("Neither crazy paving nor consolidation is seen.", {"CrPa": 0, "Csld": 0}),
        ("There is no evidence of GGO or interlobular septal thickening.", {"GGO": 0, "InSepThi": 0}),
        ("No ground-glass opacity, consolidation, or crazy paving.", {"GGO": 0, "Csld": 0, "CrPa": 0}),
        ("No pleural effusion, ground-glass opacities in both lungs.", {"GGO": 1}),
        ("No effusion but consolidation of the left lower lobe.", {"Csld": 1}),
        ("GGO without consolidation, with crazy paving.", {"GGO": 1, "Csld": 0, "CrPa": 1}),
        ("Consolidation is not seen. GGO are noted.", {"Csld": 0, "GGO": 1}),
        ("GGO is noted in both lungs.", {"GGO": 1}),
        ("GGO and consolidation are not seen.", {"GGO": 0, "Csld": 0}),
        ("GGO in the left lung and consolidation is not seen.", {"GGO": 1, "Csld": 0}),
        ("GGO is present and consolidation absent.", {"GGO": 1, "Csld": 0}),
        ("No evidence\nof consolidation.", {"Csld": 0}),
        ("No consolidation\nGround-glass opacities in both lungs", {"Csld": 0, "GGO": 1}),
        ("Consolidation: none\nGGO: present\nCrazy paving: absent", {"Csld": 0, "GGO": 1, "CrPa": 0}),
        ("No significant change in the ground-glass opacities.", {"GGO": 1}),
        ("Not only GGO but also consolidation.", {"GGO": 1, "Csld": 1}),
        ("Complete resolution of the consolidation.", {"Csld": 0}),
        ("A 4.5 mm nodule; no GGO larger than 2.5 mm.", {"GGO": 0}),
    ],
)
def test_negation_reaches_as_far_as_its_clause_or_list(report: str, labels: dict[str, int]) -> None:
    assert stated(report) == labels


@pytest.mark.parametrize(
    ("report", "labels"),
    [
        ("RT-PCR for SARS-CoV-2 negative.", {DIAGNOSIS: 0}),
        ("SARS-CoV-2 RT-PCR was negative.", {DIAGNOSIS: 0}),
        ("Negative for COVID-19.", {DIAGNOSIS: 0}),
        ("COVID-19 was excluded by RT-PCR.", {DIAGNOSIS: 0}),
        ("Non-COVID-19 pneumonia.", {DIAGNOSIS: 0}),
        ("SARS-CoV-2 RT-PCR positive.", {DIAGNOSIS: 1}),
        ("First swab negative for SARS-CoV-2. Second swab positive for SARS-CoV-2.", {DIAGNOSIS: 1}),
        ("COVID-19 patient with GGO and negative blood cultures.", {DIAGNOSIS: 1, "GGO": 1}),
        ("Contact with a COVID-19 patient. CT during the COVID-19 pandemic.", {}),
        ("2019\u2010nCoV pneumonia with ground\u2013glass opacities.", {DIAGNOSIS: 1, "GGO": 1}),
    ],
)
def test_the_diagnosis_is_read_from_tests_and_not_from_circumstances(report: str, labels: dict[str, int]) -> None:
    assert stated(report) == labels


@pytest.mark.parametrize(
    "report",
    [
        "Possible consolidation.",
        "Consolidation cannot be excluded.",
        "Consolidation could not be ruled out.",
        "Findings may represent consolidation.",
        "Consolidation is questionable.",
        "Consolidation?",
        "Suspected COVID-19.",
        "COVID-19 is unlikely.",
        "Unlikely COVID-19.",
        "CT to rule out COVID-19.",
        "Suspicious for COVID-19.",
        "COVID-19 not confirmed.",
    ],
)
def test_a_finding_named_only_with_doubt_stays_unknown(report: str) -> None:
    assert stated(report) == {}


@pytest.mark.parametrize(
    ("report", "labels"),
    [
        ("Suspected COVID-19 patient with GGO in both lungs.", {"GGO": 1}),
        ("In May 2020 CT showed consolidation.", {"Csld": 1}),
        ("Possible consolidation. Definite consolidation in the left lung.", {"Csld": 1}),
        ("Possible consolidation. No consolidation on the left.", {"Csld": 0}),
    ],
)
def test_doubt_reaches_no_further_than_what_it_is_about(report: str, labels: dict[str, int]) -> None:
    assert stated(report) == labels


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (DIAGNOSIS, ("COVID-19", "covid 19", "2019-nCoV", "SARS-CoV-2", "NCP", "novel coronavirus pneumonia")),
        (
            "GGO",
            (
                "ground-glass opacity",
                "Ground glass shadow",
                "GGO",
                "GGOs",
                "ground\u2010glass",
                "frosted glass density",
            ),
        ),
        ("Csld", ("consolidation", "consolidations", "consolidated lung", "Consolidative opacity")),
        ("CrPa", ("crazy paving", "crazy-paving pattern", "paving stone sign")),
        ("AirBr", ("air bronchogram", "air-bronchograms", "air bronchogram sign", "air bronchus sign")),
        (
            "InSepThi",
            (
                "interlobular septal thickening",
                "thickened interlobular septa",
                "thickening of the interlobular septa",
                "interlobular septum thickening",
                "septal thickening",
            ),
        ),
    ],
)
def test_synonyms_state_the_same_finding(code: str, words: tuple[str, ...]) -> None:
    for word in words:
        assert stated(f"CT shows {word}.") == {code: 1}
        assert stated(f"No {word}.") == {code: 0}


def test_a_finding_that_is_not_named_is_unknown() -> None:
    for report in ("", " \n", "Normal chest CT.", "The lungs are clear.", "COVIDIEN stapler, bring-your-own glass."):
        assert stated(report) == {}


def test_a_label_knows_where_in_the_report_it_stands() -> None:
    report = "Non-contrast chest CT. Fig. 1.\nNo air bronchograms; patchy Ground-Glass opacities."
    labels = labels_from_report(report)
    assert {code: report[slice(*label.span or ())] for code, label in labels.items()} == {
        "AirBr": "air bronchograms",
        "GGO": "Ground-Glass",
    }
    assert labels["AirBr"].negated
    assert not labels["GGO"].negated
    assert {(label.source, label.by) for label in labels.values()} == {("report", EXTRACTOR)}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            ["no ", "GGO", " consolidation", ", ", " or ", ".", "\n", "is not seen", " possible ", "COVID-19 ", "\0é"]
        )
        | st.text(max_size=5),
        max_size=30,
    )
)
def test_any_text_gives_labels_whose_spans_lie_in_it(parts: list[str]) -> None:
    report = "".join(parts)
    for label in labels_from_report(report).values():
        assert label.span is not None
        assert 0 <= label.span[0] < label.span[1] <= len(report)
        assert (label.value == 0) == label.negated


@pytest.mark.timeout(20)
def test_a_huge_report_is_read_in_linear_time() -> None:
    assert stated("no not without possible GGO , " * 40_000)["GGO"] in (0, 1)
    assert stated("thicken of the lobular " * 20_000 + "\n \n" * 50_000) == {}


def phantom_facts(n_reports: int) -> Iterator[tuple[str, dict[str, int]]]:
    rng = np.random.default_rng(7)
    for number in range(n_reports):
        kind = KINDS[number % len(KINDS)]
        sides = {code: str(rng.choice(["left", "right", "both"])) for code in LESIONS if rng.random() < 0.4}
        tumours = (Tumour(1, 1.0, 5.0, 9.0, bool(rng.random() < 0.5)),) if kind in ("nodule", "mass") else ()
        report = write_report(Facts(kind, 50, "F", float(rng.random()), sides, tumours), rng)
        yield report, {code: int(code in sides) for code in LESIONS} | {DIAGNOSIS: int(kind == "covid")}


def phantom_slices(n_patients: int) -> Iterator[tuple[str, dict[str, int]]]:
    for index in range(n_patients):
        phantom = generate_study(3, index, n_slices=2)
        for piece in phantom.slices:
            yield (
                piece.report,
                {code: int(code in piece.lesions) for code in LESIONS} | {DIAGNOSIS: int(phantom.covid)},
            )


@pytest.mark.parametrize("source", [phantom_facts(3000), phantom_slices(12)], ids=["wordings", "studies"])
def test_labels_of_phantom_reports_never_contradict_the_truth(source: Iterator[tuple[str, dict[str, int]]]) -> None:
    n_stated = n_found = 0
    for report, truth in source:
        labels = stated(report)
        assert {code: truth[code] for code in labels} == labels, report
        # A report always tells the diagnosis and every lesion that is present; absent ones it may leave out.
        expected = {DIAGNOSIS, *(code for code in LESIONS if truth[code])}
        n_stated += len(expected)
        n_found += len(expected & labels.keys())
    assert n_found / n_stated > 0.999


def test_lesions_of_real_captions_agree_with_their_annotation(real_data: Path) -> None:
    with (real_data / "metadata.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["covid"] == "1"]
    found = [stated(row["report"]) for row in rows]
    scores = {}
    for code, column in zip(LESIONS, COLUMNS, strict=True):
        pairs = [(labels.get(code) == 1, row[column] == "1") for labels, row in zip(found, rows, strict=True)]
        scores[code] = (
            2
            * pairs.count((True, True))
            / (2 * pairs.count((True, True)) + pairs.count((True, False)) + pairs.count((False, True)))
        )
    print("F1", {code: round(score, 3) for code, score in scores.items()})
    assert len(rows) == 251
    assert sum(scores.values()) / len(scores) >= 0.80
