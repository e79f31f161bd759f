"""Whatever stands in a `study.json`, it is read or refused: no crash, no hang, no memory to speak of."""

import json
import multiprocessing
import resource
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladnn.errors import ContributionError
from ladnn.intake.contribution import FORMAT, parse_study

VALID = {
    "format": FORMAT,
    "site": "lab",
    "study_id": "s",
    "patient_id": "p",
    "consent": True,
    "contributed_on": "2020-03-01",
    "age_y": 50,
    "sex": "F",
    "report": "GGO.",
    "images": [{"file": "a.png", "sha256": "0" * 64, "labels": {"covid": 1}, "panel": "A", "day": 3}],
}
WHOLE = json.dumps(VALID).encode()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([*VALID, "studied_on", "identifiers", "annotated_by", "split", "synthetic", "source", "x"])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A whole document with bytes changed, doubled or cut off."""
    data = bytearray(WHOLE)
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        if not data:
            break
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


def with_odd_values(values: dict[str, Any], image: dict[str, Any]) -> bytes:
    return json.dumps(VALID | {"images": [VALID["images"][0] | image]} | values).encode()  # type: ignore[index]


DOCUMENTS = st.one_of(
    st.binary(max_size=200),
    damaged(),
    st.builds(
        with_odd_values,
        st.dictionaries(FIELDS, ANYTHING, max_size=3),
        st.dictionaries(st.sampled_from(["file", "sha256", "labels", "panel", "day", "report", "x"]), ANYTHING),
    ),
    st.integers(1, 200_000).map(lambda depth: b"[" * depth),
    st.integers(1, 3000).map(lambda n: json.dumps(VALID | {"images": VALID["images"] * n}).encode()),
)


def read_or_refused(document: bytes) -> None:
    started = time.monotonic()
    with suppress(ContributionError):
        assert parse_study(document).images
    assert time.monotonic() - started < 5


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_any_document_is_read_or_refused(document: bytes) -> None:
    read_or_refused(document)


def _fuzz_whole() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many = settings(
        max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    many(given(DOCUMENTS)(read_or_refused))()
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown_bytes < 1 << 30


@pytest.mark.slow
def test_ten_thousand_documents_are_read_or_refused_in_little_memory() -> None:
    process = multiprocessing.get_context("forkserver").Process(target=_fuzz_whole)
    process.start()
    process.join()
    assert process.exitcode == 0
