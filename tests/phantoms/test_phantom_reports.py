"""Phantom reports tell what the slice shows and never more."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.labels import LESIONS
from ladnn.phantoms.disease import KINDS, Tumour
from ladnn.phantoms.reports import Facts, write_report
from ladnn.phantoms.study import generate_study

MENTION = {
    "GGO": r"ground[- ]glass|\bGGO\b",
    "Csld": r"consolidation",
    "CrPa": r"crazy[- ]paving",
    "AirBr": r"air bronchogram",
    "InSepThi": r"interlobular sept",
}
NEGATION = re.compile(r"\b(no|not|neither|without|negative|excluded)\b", re.IGNORECASE)


def affirmed(report: str) -> set[str]:
    """A reading of its own: lesions named in a sentence before any negating word."""
    found = set()
    for sentence in report.split(". "):
        before = NEGATION.split(sentence)[0]
        found |= {lesion for lesion, pattern in MENTION.items() if re.search(pattern, before, re.IGNORECASE)}
    return found


def denied(report: str) -> set[str]:
    return {lesion for lesion, pattern in MENTION.items() if re.search(pattern, report, re.IGNORECASE)} - affirmed(
        report
    )


facts = st.builds(
    Facts,
    kind=st.sampled_from(KINDS),
    age=st.integers(18, 88),
    sex=st.sampled_from("FM"),
    level=st.floats(0, 1),
    sides=st.dictionaries(st.sampled_from(LESIONS), st.sampled_from(["right", "left", "both"])),
    tumours=st.lists(
        st.builds(Tumour, st.sampled_from([-1, 1]), st.just(1.0), st.just(20.0), st.floats(4, 27), st.booleans()),
        max_size=2,
    ).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(facts, st.integers(0, 2**32))
def test_report_affirms_exactly_the_lesions_present(what: Facts, seed: int) -> None:
    report = write_report(what, np.random.default_rng(seed))
    assert affirmed(report) == set(what.sides)
    assert not denied(report) & set(what.sides)
    assert "{" not in report


@settings(max_examples=200, deadline=None)
@given(facts, st.integers(0, 2**32))
def test_report_states_the_diagnosis(what: Facts, seed: int) -> None:
    report = write_report(what, np.random.default_rng(seed))
    sentences = [part for part in re.split(r"(?<=\.) ", report) if "COVID-19" in part or "SARS-CoV-2" in part]
    assert len(sentences) == 1
    assert bool(NEGATION.search(sentences[0])) == (what.kind != "covid")


def test_some_absent_lesions_are_denied_in_words() -> None:
    reports = [write_report(Facts("normal", 50, "F", 0.5, {}, ()), np.random.default_rng(seed)) for seed in range(40)]
    assert set().union(*map(denied, reports)) == set(LESIONS)
    assert len(set(reports)) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_each_slice_has_a_report_of_its_own_truth(kind: str) -> None:
    for index in range(3):
        for image in generate_study(14, index, kind=kind, n_slices=2).slices:
            assert affirmed(image.report) == image.lesions
