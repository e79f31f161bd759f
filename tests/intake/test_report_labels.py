"""What a report states, what it leaves open, and what of it is past."""

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.intake.reports.extract import EXTRACTOR, MAX_CHARACTERS, diagnosis_status, read_report
from ladnn.labels import DIAGNOSIS, LABELS, LESIONS, Label
from ladnn.phantoms.disease import KINDS, Tumour
from ladnn.phantoms.reports import Facts, write_report
from ladnn.phantoms.study import generate_study

SENTENCES = Path(__file__).with_name("report_sentences.csv")
"""Synthetic sentences with the labels they should give ("?" for left open). The held-out ones were written together with
the first tuned ones and split off at random before the rules were; only their score was looked at, never a failure."""


def stated(report: str, panel: str | None = None) -> dict[str, int]:
    return {code: label.value for code, label in read_report(report, panel).items() if label.value is not None}


def sentences(part: str) -> Iterator[tuple[str, dict[str, int]]]:
    with SENTENCES.open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            if row["part"] == part:
                cells = dict(cell.split("=") for cell in row["expected"].split())
                yield row["sentence"], {code: int(value) for code, value in cells.items() if value != "?"}


def test_the_sentences_that_the_rules_were_tuned_on_are_all_read_right() -> None:
    wrong = [
        (sentence, labels, stated(sentence)) for sentence, labels in sentences("tuned") if stated(sentence) != labels
    ]
    assert wrong == []


def test_at_least_95_percent_of_held_out_sentences_are_read_right() -> None:
    right = [stated(sentence) == labels for sentence, labels in sentences("held-out")]
    print(f"held-out sentences read right: {sum(right)} of {len(right)}")
    assert len(right) >= 100
    assert sum(right) / len(right) >= 0.95


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
    labels = read_report(report)
    assert {code: report[slice(*label.span or ())] for code, label in labels.items()} == {
        "AirBr": "air bronchograms",
        "GGO": "Ground-Glass opacities",
    }
    assert labels["AirBr"].negated
    assert not labels["GGO"].negated
    assert {(label.source, label.by) for label in labels.values()} == {("report", EXTRACTOR)}


@pytest.mark.parametrize(
    ("report", "value", "negated", "uncertain", "historical"),
    [
        ("Consolidation in the left lung.", 1, False, False, False),
        ("No consolidation.", 0, True, False, False),
        ("Possible consolidation.", None, False, True, False),
        ("The consolidation has resolved.", 0, False, False, True),
        ("Compared with the previous consolidation, the effusion is unclear.", None, False, False, True),
    ],
)
def test_a_label_tells_denied_doubtful_and_past_apart(
    report: str, value: int | None, negated: bool, uncertain: bool, historical: bool
) -> None:
    label = read_report(report)["Csld"]
    assert (label.value, label.negated, label.uncertain, label.historical) == (value, negated, uncertain, historical)


def test_what_a_reviewer_should_look_at_first_has_the_greatest_doubt() -> None:
    doubts = [
        read_report(report)["GGO"].doubt
        for report in (
            "GGO in both lungs.",
            "The GGO has resolved.",
            "GGO in the left lung. No GGO.",
            "Possible GGO.",
        )
    ]
    assert doubts == sorted(doubts)
    assert doubts[0] == 0.0


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ("RT-PCR confirmed COVID-19.", "confirmed"),
        ("Suspected COVID-19.", "suspected"),
        ("COVID-19 was excluded.", "negative"),
        ("Contact with a COVID-19 patient.", "unknown"),
        ("GGO in both lungs.", "unknown"),
    ],
)
def test_the_diagnosis_is_confirmed_suspected_negative_or_unknown(report: str, status: str) -> None:
    assert diagnosis_status(read_report(report).get(DIAGNOSIS)) == status


FRAGMENTS = [
    "no ",
    "GGO",
    " consolidation",
    ", ",
    " or ",
    ".",
    "\n",
    "is not seen",
    " possible ",
    "COVID-19 ",
    "\x00é",
    "(A) ",
    "B, ",
    "day 8 ",
    "isn\u2019t ",
    "\u0130",
    "resolved ",
    "air bronchogram ",
    "lesions absorbed",
    "first image ",
    "?",
    "patient 2: ",
    "\u25a0",
]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=30),
    st.none() | st.sampled_from(["A", "day 8", "2", "left"]) | st.text(max_size=8),
)
def test_any_text_and_panel_give_the_same_labels_each_time_with_spans_inside(
    parts: list[str], panel: str | None
) -> None:
    report = "".join(parts)
    labels = read_report(report, panel)
    assert labels == read_report(report, panel)
    assert set(labels) <= set(LABELS)
    for label in labels.values():
        assert label.span is not None
        assert 0 <= label.span[0] < label.span[1] <= len(report)
        assert not (label.negated and label.value != 0)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("panel", [None, "A", "day 3", "2"])
@pytest.mark.parametrize(
    "report",
    [
        "no not without possible GGO , " * 40_000,
        "thicken of the lobular " * 20_000 + "\n \n" * 50_000,
        "A, " * 300_000,
        "(A) GGO " * 100_000,
        "day 3 GGO " * 100_000,
        "x" * 1_000_000,
    ],
    ids=lambda report: report[:12],
)
def test_a_huge_report_is_read_within_seconds(report: str, panel: str | None) -> None:
    read_report(report, panel)


def test_no_more_than_the_stated_number_of_characters_is_read() -> None:
    filler = "Normal lung. " * MAX_CHARACTERS
    assert stated(filler[: MAX_CHARACTERS - 20] + " GGO. " + filler + "Consolidation.") == {"GGO": 1}


def test_four_threads_read_as_one_does() -> None:
    reports = [sentence for sentence, _ in sentences("tuned")][:60]
    alone = [read_report(report) for report in reports]
    results: list[list[dict[str, Label]]] = []
    threads = [threading.Thread(target=lambda: results.append([read_report(r) for r in reports])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [alone] * 4


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


@pytest.mark.parametrize("source", [phantom_facts(600), phantom_slices(12)], ids=["wordings", "studies"])
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
