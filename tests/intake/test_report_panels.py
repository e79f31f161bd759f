"""Which part of a caption an image is, and what the parts of a figure are."""

import pytest

from ladnn.intake.reports.extract import read_report
from ladnn.intake.reports.marks import only_part_words
from ladnn.intake.reports.panels import panels_in_order
from ladnn.labels import LESIONS

LETTERS_THEN_DAYS = (
    "Fig. 2 Chest CT of a patient with COVID-19. (A) Day 3: ground-glass opacities in both lungs. (B) "
    "Day 8: consolidation with air bronchograms. (C) Day 20: the lesions were completely absorbed."
)
TRAILING_LIST = "Chest CT images show ground glass opacity (A, B), crazy-paving pattern (C) and consolidation (D)."
LETTERS_WITH_COLONS = (
    "Figure 1. CT of two patients. A: 45-year-old man, GGO in the right lung. B: 60-year-old woman, "
    "consolidation. There is also air bronchogram."
)
PANELS_AS_SUBJECTS = (
    "Panel A shows GGO. Panels B and C show consolidation without air bronchogram. Panel D shows normal lung."
)
DAYS = (
    "On day 3, GGO was seen in the right lower lobe; on day 11, consolidation was seen in both lungs, "
    "and on day 19 only faint GGO remained."
)
CASES = "Case 1: GGO with interlobular septal thickening. Case 2: consolidation. Case 3: crazy paving."
SIDES = "Left: ground-glass opacities at admission. Right: consolidation at day 7."
NUMBERS = "1. GGO in the left lung. 2. Consolidation in the right lung. 3. Crazy-paving pattern."
SIDES_IN_BRACKETS = "Axial CT (left panel) shows consolidation, coronal CT (right panel) shows GGO."
SMALL_LETTERS = "a. GGO; b. consolidation; c. crazy paving"
RANGES = "(a-c) Multiple GGO; (d) consolidation with air bronchogram; (e, f) absorbed lesions with fibrosis."
DATES = (
    "CT scan on Jan 26 shows GGO. CT scan on February 3 shows consolidation. CT scan on Feb 9 shows that "
    "the GGO has resolved."
)
PLAIN_GROUPS = (
    "Fig 3. A-D CT scans of a 37-year-old man. A, B: patchy GGO on January 24; C, D: enlarged "
    "consolidation on January 29."
)
PROGRESS = "A 52-year-old woman. (A) GGO. (B) 3 days later, GGO progressed to consolidation (arrow)."
PATIENTS_AND_LETTERS = "Patient 1 (A, B): bilateral GGO. Patient 2 (C, D): consolidation and air bronchograms."
FIGURE_LETTERS = (
    "GGO in the upper lobes (Fig. 1A), consolidation in the lower lobes (Fig. 1B) and crazy paving (Fig. 1C)."
)
ORDINALS = "First image: GGO. Second image: consolidation."
ROWS = "Upper row, baseline: GGO. Lower row, follow-up: consolidation."
MOMENTS = "Baseline CT showed GGO. Follow-up CT showed consolidation."
TRAILING_WITH_DAYS = (
    "Chest CT showed multiple GGO (arrow) on illness day 5 (A) and consolidation on illness day 9 (B); "
    "on day 15 lesions were obviously absorbed (C)."
)

IMAGES = "Image 1: ground glass. Image 2: crazy paving. Image 3: consolidation."
LETTERED_PATIENTS = (
    "Patient A (female, 44 years) had consolidation. Patient B (male, 52 years) had GGO but no consolidation."
)
LETTERS_IN_ONE_BRACKET = (
    "Fig 1. CT findings of COVID-19 (A: GGO; B: crazy-paving; C: consolidation; D: air bronchogram)."
)
SMALL_LETTERS_WITH_COMMAS = (
    "a, CT of one patient shows consolidation; b, another patient shows GGO with septal thickening."
)

LETTERS_IN_A_SENTENCE = "Axial images showing: A) ground-glass opacities, B) consolidation, C) crazy paving."
RANGES_OF_PATIENTS = "Case 1-2: consolidation; case 3: GGO. Cases 4 and 5: crazy paving."
NUMBERS_WITH_COMMAS = "COVID-19: 1, consolidation; 2, GGO; 3, crazy paving."
ABSORBED_BY_PRONOUN = "CT shows multiple GGOs and consolidations (A), which were absorbed after treatment (B)."


def lesions(caption: str, panel: str | None) -> dict[str, int | None]:
    return {code: label.value for code, label in read_report(caption, panel).items() if code in LESIONS}


@pytest.mark.parametrize(
    ("caption", "panel", "expected"),
    [
        (IMAGES, "3", {"Csld": 1}),
        (IMAGES, "image 1", {"GGO": 1}),
        (LETTERED_PATIENTS, "Patient A", {"Csld": 1}),
        (LETTERED_PATIENTS, "B", {"GGO": 1, "Csld": 0}),
        (LETTERS_IN_ONE_BRACKET, "A", {"GGO": 1}),
        (LETTERS_IN_ONE_BRACKET, "d", {"AirBr": 1}),
        (SMALL_LETTERS_WITH_COMMAS, "b", {"GGO": 1, "InSepThi": 1}),
        (LETTERS_IN_A_SENTENCE, "B", {"Csld": 1}),
        (RANGES_OF_PATIENTS, "case 2", {"Csld": 1}),
        (RANGES_OF_PATIENTS, "case 5", {"CrPa": 1}),
        (NUMBERS_WITH_COMMAS, "2", {"GGO": 1}),
        (ABSORBED_BY_PRONOUN, "B", {"GGO": 0, "Csld": 0}),
        (LETTERS_THEN_DAYS, "A", {"GGO": 1}),
        (LETTERS_THEN_DAYS, "(b)", {"Csld": 1, "AirBr": 1}),
        (LETTERS_THEN_DAYS, "day 8", {"Csld": 1, "AirBr": 1}),
        (LETTERS_THEN_DAYS, "Day 3", {"GGO": 1}),
        (LETTERS_THEN_DAYS, "C", {"GGO": 0, "Csld": 0, "AirBr": 0}),
        (LETTERS_THEN_DAYS, "2", {"Csld": 1, "AirBr": 1}),
        (TRAILING_LIST, "A", {"GGO": 1}),
        (TRAILING_LIST, "b", {"GGO": 1}),
        (TRAILING_LIST, "C", {"CrPa": 1}),
        (TRAILING_LIST, "D", {"Csld": 1}),
        (LETTERS_WITH_COLONS, "A", {"GGO": 1}),
        (LETTERS_WITH_COLONS, "B", {"Csld": 1, "AirBr": 1}),
        (PANELS_AS_SUBJECTS, "A", {"GGO": 1}),
        (PANELS_AS_SUBJECTS, "C", {"Csld": 1, "AirBr": 0}),
        (PANELS_AS_SUBJECTS, "D", {}),
        (DAYS, "day 3", {"GGO": 1}),
        (DAYS, "Day 11", {"Csld": 1}),
        (DAYS, "19", {"GGO": 1}),
        (DAYS, "d11", {"Csld": 1}),
        (CASES, "patient 2", {"Csld": 1}),
        (CASES, "case 1", {"GGO": 1, "InSepThi": 1}),
        (CASES, "3", {"CrPa": 1}),
        (SIDES, "left", {"GGO": 1}),
        (SIDES, "Right", {"Csld": 1}),
        (NUMBERS, "2", {"Csld": 1}),
        (NUMBERS, "3.", {"CrPa": 1}),
        (SIDES_IN_BRACKETS, "left", {"Csld": 1}),
        (SIDES_IN_BRACKETS, "right panel", {"GGO": 1}),
        (SMALL_LETTERS, "b", {"Csld": 1}),
        (SMALL_LETTERS, "C)", {"CrPa": 1}),
        (RANGES, "b", {"GGO": 1}),
        (RANGES, "D", {"Csld": 1, "AirBr": 1}),
        (RANGES, "f", {"GGO": 0, "Csld": 0, "AirBr": 0}),
        (DATES, "Feb 3", {"Csld": 1}),
        (DATES, "January 26", {"GGO": 1}),
        (DATES, "Feb. 9", {"GGO": 0}),
        (PLAIN_GROUPS, "B", {"GGO": 1}),
        (PLAIN_GROUPS, "C", {"Csld": 1}),
        (PROGRESS, "A", {"GGO": 1}),
        (PROGRESS, "B", {"GGO": 0, "Csld": 1}),
        (PATIENTS_AND_LETTERS, "b", {"GGO": 1}),
        (PATIENTS_AND_LETTERS, "D", {"Csld": 1, "AirBr": 1}),
        (PATIENTS_AND_LETTERS, "patient 2", {"Csld": 1, "AirBr": 1}),
        (FIGURE_LETTERS, "A", {"GGO": 1}),
        (FIGURE_LETTERS, "1B", {"Csld": 1}),
        (FIGURE_LETTERS, "Fig. 1C", {"CrPa": 1}),
        (ORDINALS, "1", {"GGO": 1}),
        (ORDINALS, "second image", {"Csld": 1}),
        (ROWS, "upper", {"GGO": 1}),
        (ROWS, "lower row", {"Csld": 1}),
        (MOMENTS, "baseline", {"GGO": 1}),
        (MOMENTS, "follow-up", {"Csld": 1}),
        (TRAILING_WITH_DAYS, "A", {"GGO": 1}),
        (TRAILING_WITH_DAYS, "B", {"Csld": 1}),
        (TRAILING_WITH_DAYS, "C", {}),
        (TRAILING_WITH_DAYS, "day 9", {"Csld": 1}),
    ],
)
def test_a_named_panel_is_read_alone(caption: str, panel: str, expected: dict[str, int]) -> None:
    assert lesions(caption, panel) == expected


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
    assert {panel: lesions(caption, panel) for panel in panels} == panels


def test_the_shared_head_belongs_to_every_panel() -> None:
    caption = "Bilateral GGO in a COVID-19 patient. (A) Crazy paving. (B) Consolidation."
    assert lesions(caption, "A") == {"GGO": 1, "CrPa": 1}
    assert lesions(caption, "B") == {"GGO": 1, "Csld": 1}
    assert read_report(caption, "B")["covid"].value == 1


def test_a_panel_overrules_the_head_it_shares() -> None:
    assert lesions("Patients with GGO. (A) Patchy GGO. (B) No GGO.", "B") == {"GGO": 0}


@pytest.mark.parametrize("panel", ["Z9", "day 99", "coronal", "?", " ", "\u2603"])
def test_a_panel_that_the_caption_does_not_name_reads_all_with_more_doubt(panel: str) -> None:
    caption = "(A) GGO in the left lung. (B) GGO in the right lung."
    assert lesions(caption, panel) == {"GGO": 1}
    assert read_report(caption, panel)["GGO"].doubt >= (0.5 if panel.strip() else 0.0)


def test_a_label_names_the_panel_that_it_was_read_from() -> None:
    labels = read_report("COVID-19. (a, b) GGO; (c) consolidation.", "b")
    assert labels["GGO"].panel == "a, b"
    assert labels["covid"].panel is None


def test_without_a_panel_what_at_least_half_of_the_parts_state_is_present() -> None:
    labels = read_report("(A) GGO. (B) GGO and consolidation. (C) GGO with crazy paving. (D) Crazy paving.")
    assert {code: label.value for code, label in labels.items()} == {"GGO": 1, "Csld": None, "CrPa": 1}
    assert labels["Csld"].uncertain
    assert labels["GGO"].doubt == labels["CrPa"].doubt == 0.5


def test_a_caption_that_holds_only_its_own_part_is_read_as_one() -> None:
    caption = "A and B were day 2; C and D were day 7. D. Patchy consolidation."
    assert lesions(caption, None) == {"Csld": 1}


def test_enumerated_findings_are_no_panels() -> None:
    assert lesions("Findings: 1. GGO. 2. Consolidation. 3. Crazy paving.", None) == {"GGO": 1, "Csld": 1, "CrPa": 1}


def test_an_air_bronchogram_of_many_images_at_once_is_unknown_of_each() -> None:
    label = read_report("Consolidation with air bronchogram (A-D).", "B")["AirBr"]
    assert (label.value, label.uncertain) == (None, True)
    assert lesions("Consolidation with air bronchogram (A-D).", "B")["Csld"] == 1
    assert lesions("Consolidation with air bronchogram (A, B).", "B")["AirBr"] == 1


@pytest.mark.parametrize(
    ("caption", "n_images", "panels"),
    [
        (TRAILING_LIST, 4, ("a", "b", "c", "d")),
        (RANGES, 6, ("a", "b", "c", "d", "e", "f")),
        (ORDINALS, 2, ("image 1", "image 2")),
        (CASES, 3, ("patient 1", "patient 2", "patient 3")),
        (DAYS, 3, ("day 3", "day 11", "day 19")),
        (TRAILING_LIST, 3, None),
        ("GGO in both lungs.", 2, None),
        ("(A) GGO.", 1, None),
        ("", 2, None),
    ],
)
def test_images_of_one_caption_take_its_parts_in_order_if_they_are_as_many(
    caption: str, n_images: int, panels: tuple[str, ...] | None
) -> None:
    assert panels_in_order(caption, n_images) == panels


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


@pytest.mark.parametrize("panel", ["A", "d8", "D11", "Day5", "case2", "patient1", "day 5", "(a-c)"])
def test_names_of_parts_are_kept_where_words_that_may_name_people_are_not(panel: str) -> None:
    assert only_part_words(f"{panel}, Roe", "x") == f"{panel}, x"
