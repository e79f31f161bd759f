"""Which part of a caption an image is."""

import pytest
from caption_lesions import caption_lesions

from ladnn.intake.reports.extract import read_report
from ladnn.intake.reports.marks import only_part_words
from ladnn.intake.reports.panels import panels_in_order

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
    assert caption_lesions(caption, panel) == expected


@pytest.mark.parametrize("panel", ["Z9", "day 99", "coronal", "?", " ", "\u2603"])
def test_a_panel_that_the_caption_does_not_name_reads_all_with_more_doubt(panel: str) -> None:
    caption = "(A) GGO in the left lung. (B) GGO in the right lung."
    assert caption_lesions(caption, panel) == {"GGO": 1}
    assert read_report(caption, panel)["GGO"].doubt >= (0.5 if panel.strip() else 0.0)


def test_a_label_names_the_panel_that_it_was_read_from() -> None:
    labels = read_report("COVID-19. (a, b) GGO; (c) consolidation.", "b")
    assert labels["GGO"].panel == "a, b"
    assert labels["covid"].panel is None


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


@pytest.mark.parametrize("panel", ["A", "d8", "D11", "Day5", "case2", "patient1", "day 5", "(a-c)"])
def test_names_of_parts_are_kept_where_words_that_may_name_people_are_not(panel: str) -> None:
    assert only_part_words(f"{panel}, Roe", "x") == f"{panel}, x"
