"""Findings that are misspelt, broken at a line's end, or damaged by a wrong encoding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.intake.reports.extract import read_report


def stated(report: str) -> dict[str, int]:
    return {code: label.value for code, label in read_report(report).items() if label.value is not None}


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[str, str]:
    code, before, word, after = draw(
        st.sampled_from(
            [
                ("GGO", "", "ground", "-glass opacity"),
                ("GGO", "ground-", "glass", " opacity"),
                ("Csld", "", "consolidation", ""),
                ("AirBr", "air ", "bronchogram", ""),
                ("InSepThi", "interlobular ", "septal", " thickening"),
                ("InSepThi", "interlobular septal ", "thickening", ""),
            ]
        )
    )
    place = draw(st.integers(1, len(word) - 2))
    kind = draw(st.sampled_from(["missing", "twice", "swapped", "foreign"]))
    written = {
        "missing": word[:place] + word[place + 1 :],
        "twice": word[:place] + word[place] + word[place:],
        "swapped": word[:place] + word[place + 1] + word[place] + word[place + 2 :],
        "foreign": word[:place] + draw(st.sampled_from("aeklrt")) + word[place + 1 :],
    }
    return code, before + written[kind] + after


@settings(deadline=None)
@given(misspelt())
def test_one_wrong_letter_hides_no_finding(case: tuple[str, str]) -> None:
    code, words = case
    assert stated(f"CT shows {words}.") == {code: 1}
    assert stated(f"No {words}.") == {code: 0}


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ("Ground\ufffd\\glass opacity", "GGO"),
        ("ground\u00c3\u00a2\u00e2\u201a\u00ac\u00e2\u20ac\u0153glass opacity", "GGO"),
        ("Consolida-\ntion of the right lower lobe.", "Csld"),
    ],
)
def test_damaged_and_broken_words_are_found_where_they_stand(report: str, code: str) -> None:
    label = read_report(report)[code]
    assert label.value == 1
    assert label.span is not None
    assert label.span[0] == 0


def test_a_word_that_only_looks_alike_is_no_finding() -> None:
    for report in (
        "In conclusion, no fluid.",
        "Round glass marble in the airway.",
        "Septic emboli.",
        "Interlobar fluid.",
    ):
        assert stated(report) == {}
