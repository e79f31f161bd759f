"""What the caption of a figure says of each of its parts."""

import pytest
from caption_lesions import caption_lesions

from ladnn.intake.reports.extract import read_report

CAPTIONS: tuple[tuple[str, dict[str, dict[str, int]]], ...] = (
    (
        "Figure 1. Chest CT in a 38-year-old man. (A) On day 3, CT shows no abnormality. (B) On day 7, "
        "there are multiple GGOs (arrows). (C) On day 11, consolidation (arrowheads) has replaced the "
        "GGO. (D) On day 18, residual GGO.",
        {
            "A": {"GGO": 0, "Csld": 0},
            "B": {"GGO": 1},
            "C": {"GGO": 0, "Csld": 1},
            "d": {"GGO": 1},
            "day 11": {"GGO": 0, "Csld": 1},
            "D7": {"GGO": 1},
        },
    ),
    (
        "Fig. 4 Typical CT features: GGO (A), crazy paving sign (B), consolidation (C), air bronchogram "
        "sign (D) and interlobular septal thickening (E).",
        {"A": {"GGO": 1}, "B": {"CrPa": 1}, "C": {"Csld": 1}, "D": {"AirBr": 1}, "E": {"InSepThi": 1}},
    ),
    (
        "Chest CT of three patients. Patient 1: patchy GGO in both lungs (a, b). Patient 2: "
        "consolidation in the right lower lobe (c). Patient 3: GGO with crazy-paving pattern (d).",
        {"a": {"GGO": 1}, "c": {"Csld": 1}, "patient 3": {"GGO": 1, "CrPa": 1}, "2": {"GGO": 1}},
    ),
    (
        "A, axial CT shows ground-glass opacity; B, coronal CT shows consolidation with air "
        "bronchogram; C, sagittal CT, no consolidation.",
        {"A": {"GGO": 1}, "B": {"Csld": 1, "AirBr": 1}, "C": {"Csld": 0}},
    ),
    (
        "CT on admission (A) shows GGO in both lungs. Follow-up CT 5 days later (B) shows "
        "consolidation. CT before discharge (C) shows that the lesions were completely absorbed.",
        {"A": {"GGO": 1}, "B": {"Csld": 1}, "C": {"GGO": 0, "Csld": 0}},
    ),
    (
        "Images obtained on illness day 2 (A, B), day 6 (C, D) and day 12 (E, F). A, B: small GGO. C, "
        "D: enlarged GGO with crazy paving. E, F: consolidation.",
        {"B": {"GGO": 1}, "C": {"GGO": 1, "CrPa": 1}, "F": {"Csld": 1}, "day 6": {"GGO": 1, "CrPa": 1}},
    ),
    (
        "a: GGO b: consolidation c: crazy paving",
        {"a": {"GGO": 1}, "b": {"Csld": 1}, "c": {"CrPa": 1}},
    ),
    (
        "The left image shows GGO; the right image shows consolidation.",
        {"left": {"GGO": 1}, "right": {"Csld": 1}},
    ),
    (
        "Top row: GGO at day 1. Bottom row: consolidation at day 9.",
        {"top": {"GGO": 1}, "Bottom row": {"Csld": 1}, "day 9": {"Csld": 1}},
    ),
    (
        "Case 1 (upper) had GGO, case 2 (lower) had consolidation.",
        {"case 1": {"GGO": 1}, "case 2": {"Csld": 1}, "upper": {"GGO": 1}},
    ),
    (
        "CT images of a 40-year-old woman on January 22 (A) and January 28 (B): GGO had progressed.",
        {"A": {"GGO": 1}, "B": {"GGO": 1}},
    ),
    (
        "(1) GGO in the left lung; (2) consolidation in the right lung; (3) both absorbed.",
        {"1": {"GGO": 1}, "(2)": {"Csld": 1}},
    ),
    (
        "Before treatment, GGO was seen; after treatment, consolidation was seen.",
        {"before treatment": {"GGO": 1}, "after treatment": {"Csld": 1}},
    ),
    (
        "Figure 5A-C. Chest CT. 5A: GGO. 5B: GGO and consolidation. 5C: consolidation.",
        {"A": {"GGO": 1}, "5B": {"GGO": 1, "Csld": 1}, "c": {"Csld": 1}},
    ),
    (
        "On the third day of illness CT showed GGO. On the tenth day, consolidation.",
        {"day 3": {"GGO": 1}, "day 10": {"Csld": 1}},
    ),
    (
        "Day 1: GGO. Day 5: GGO, consolidation. Day 14: absorption of consolidation.",
        {"day 1": {"GGO": 1}, "day 5": {"GGO": 1, "Csld": 1}, "day 14": {"Csld": 1}},
    ),
    (
        "Figure 2: (left) axial view, GGO; (right) coronal view, consolidation.",
        {"left": {"GGO": 1}, "(right)": {"Csld": 1}},
    ),
    (
        "Panel a: GGO. Panel b: none of the above. Panel c: crazy paving.",
        {"a": {"GGO": 1}, "b": {}, "C": {"CrPa": 1}},
    ),
    (
        "A. B. C. Axial images show GGO. D. Coronal image shows consolidation.",
        {"A": {"GGO": 1}, "C": {"GGO": 1}, "D": {"Csld": 1}},
    ),
    (
        "In (A) and (B) GGO is visible; in (C) consolidation is visible.",
        {"A": {"GGO": 1}, "B": {"GGO": 1}, "C": {"Csld": 1}},
    ),
)


@pytest.mark.parametrize(
    ("caption", "panels"), CAPTIONS, ids=lambda value: value[:30] if isinstance(value, str) else ""
)
def test_each_panel_of_a_caption_has_its_own_lesions(caption: str, panels: dict[str, dict[str, int]]) -> None:
    assert {panel: caption_lesions(caption, panel) for panel in panels} == panels


def test_the_shared_head_belongs_to_every_panel() -> None:
    caption = "Bilateral GGO in a COVID-19 patient. (A) Crazy paving. (B) Consolidation."
    assert caption_lesions(caption, "A") == {"GGO": 1, "CrPa": 1}
    assert caption_lesions(caption, "B") == {"GGO": 1, "Csld": 1}
    assert read_report(caption, "B")["covid"].value == 1


def test_a_panel_overrules_the_head_it_shares() -> None:
    assert caption_lesions("Patients with GGO. (A) Patchy GGO. (B) No GGO.", "B") == {"GGO": 0}


def test_without_a_panel_what_at_least_half_of_the_parts_state_is_present() -> None:
    labels = read_report("(A) GGO. (B) GGO and consolidation. (C) GGO with crazy paving. (D) Crazy paving.")
    assert {code: label.value for code, label in labels.items()} == {"GGO": 1, "Csld": None, "CrPa": 1}
    assert labels["Csld"].uncertain
    assert labels["GGO"].doubt == labels["CrPa"].doubt == 0.5


def test_a_caption_that_holds_only_its_own_part_is_read_as_one() -> None:
    caption = "A and B were day 2; C and D were day 7. D. Patchy consolidation."
    assert caption_lesions(caption, None) == {"Csld": 1}


def test_enumerated_findings_are_no_panels() -> None:
    assert caption_lesions("Findings: 1. GGO. 2. Consolidation. 3. Crazy paving.", None) == {
        "GGO": 1,
        "Csld": 1,
        "CrPa": 1,
    }


def test_an_air_bronchogram_of_many_images_at_once_is_unknown_of_each() -> None:
    label = read_report("Consolidation with air bronchogram (A-D).", "B")["AirBr"]
    assert (label.value, label.uncertain) == (None, True)
    assert caption_lesions("Consolidation with air bronchogram (A-D).", "B")["Csld"] == 1
    assert caption_lesions("Consolidation with air bronchogram (A, B).", "B")["AirBr"] == 1


@pytest.mark.parametrize(
    ("caption", "panel"),
    [
        ("CT scans of COVID-19 patients: GGO (A), crazy paving (B), and consolidation (C, D).", "B"),
        ("Chest CT of COVID-19 patients shows GGO (A), crazy paving (B), and consolidation (C, D).", "D"),
        ("COVID-19 pneumonia: GGO (left), consolidation (right).", "right"),
    ],
)
def test_what_a_head_says_of_the_disease_holds_for_every_part(caption: str, panel: str) -> None:
    assert read_report(caption, panel)["covid"].value == 1
