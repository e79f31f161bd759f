"""One vocabulary, many spellings, and no label lost in silence."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ladnn.errors import UnknownLabelError
from ladnn.labels import DIAGNOSIS, LABELS, LESION_NAMES, LESIONS, Label, label_code


def test_the_order_of_labels_is_the_diagnosis_and_then_five_lesions() -> None:
    assert LABELS == (DIAGNOSIS, "GGO", "Csld", "CrPa", "AirBr", "InSepThi")
    assert tuple(LESION_NAMES) == LESIONS == LABELS[1:]


@pytest.mark.parametrize("code", LABELS)
def test_a_code_and_the_name_of_its_lesion_are_spellings_of_it(code: str) -> None:
    name = LESION_NAMES.get(code, "COVID-19")
    for spelling in (code, code.lower(), code.upper(), name, name.upper(), name.replace(" ", "_").replace("-", "_")):
        assert label_code(spelling) == code


@pytest.mark.parametrize(
    ("spelling", "code"),
    [("Aibr", "AirBr"), ("InSep", "InSepThi"), ("crazy_paving", "CrPa"), ("air_bronchograms", "AirBr")],
)
def test_spellings_of_released_code_and_tables_are_known(spelling: str, code: str) -> None:
    assert label_code(spelling) == code


@pytest.mark.parametrize("name", ["", "pneumonia", "GGOs", "covid-20", "csld2", "消失"])
def test_an_unknown_label_is_an_error_that_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownLabelError, match="covid, GGO, Csld, CrPa, AirBr, InSepThi"):
        label_code(name)


@given(st.text(max_size=40))
def test_any_text_is_a_code_or_unknown(name: str) -> None:
    with suppress(UnknownLabelError):
        assert label_code(name) in LABELS


@pytest.mark.parametrize("value", [-1, 2, 0.5, "", float("nan")])
def test_a_known_label_is_1_or_0(value: object) -> None:
    with pytest.raises(ValidationError):
        Label.model_validate({"value": value, "source": "report", "by": "tests"})
