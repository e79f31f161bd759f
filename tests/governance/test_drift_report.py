"""Evidently's part: indices by hand, a page that holds its limit and says what it lacks, and the workspace."""

import json
import math
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from drift_samples import two_sides, with_noise

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import Sides
from ladnn.governance.drift.evidently_report import describe, draw
from ladnn.governance.drift.sample import Sample
from ladnn.governance.drift.verdict import DriftRecord, judge

CONFIG = DriftConfig()


def record_of(sides, config=CONFIG):
    verdict, comparisons = judge({"contributions": sides}, config, 0)
    return DriftRecord(
        id="k-1",
        checked_at=datetime(2026, 11, 25, tzinfo=UTC),
        model_version="1",
        bundle_id="b-1",
        dataset_version="d-1",
        n_reference_images=sides.reference.n_images,
        n_reference_patients=sides.reference.n_patients,
        config=config,
        streams=(),
        verdict=verdict,
        comparisons=comparisons,
        properties=tuple(describe("contributions", sides, config)),
    )


def test_the_stability_index_is_that_of_the_definition():
    def side(values):
        names = np.array([f"p{place}" for place in range(len(values))], np.str_)
        return Sample(pd.DataFrame({"acquisition.format": values}), names, np.full(len(values), "s", np.str_))

    sides = Sides(side(["PNG"] * 6 + ["JPEG"] * 4), side(["PNG"] * 2 + ["JPEG"] * 8), frozenset({"s"}))

    (fact,) = describe("contributions", sides, CONFIG)

    by_hand = (0.2 - 0.6) * math.log(0.2 / 0.6) + (0.8 - 0.4) * math.log(0.8 / 0.4)
    assert fact.psi == pytest.approx(by_hand, rel=1e-3)
    assert fact.distance == pytest.approx(0.4)
    # 6.635 is the 99th percentile of a chi-squared variable with one degree of freedom.
    assert fact.psi_noise == pytest.approx((1 / 10 + 1 / 10) * 6.635, rel=1e-3)


@pytest.mark.parametrize(("n_reference", "n_current"), [(12, 12), (20, 20), (20, 8)])
def test_of_too_few_measurements_no_index_is_told_but_of_kinds_it_is(n_reference, n_current):
    def side(n, kind, seed):
        names = np.array([f"p{seed}-{place}" for place in range(n)], np.str_)
        table = pd.DataFrame({"intensity.i0": np.random.default_rng(seed).normal(size=n), "acquisition.kvp": kind})
        return Sample(table, names, np.full(n, "s", np.str_))

    sides = Sides(side(n_reference, 120.0, 0), side(n_current, 80.0, 1), frozenset({"s"}))

    psi = {fact.name: fact.psi for fact in describe("contributions", sides, CONFIG)}

    assert psi["intensity.i0"] is None
    assert psi["acquisition.kvp"] > 1


def test_the_page_tells_the_verdict_and_is_added_to_the_workspace_once(tmp_path):
    sides = two_sides(1)
    sides.current.table["intensity.i0"] += 2
    record = record_of(sides)

    page, told = draw(record, {"contributions": sides}, tmp_path / "evidently")
    draw(record, {"contributions": sides}, tmp_path / "evidently")

    text = page.decode()
    assert "Drift: retrain" in text
    assert "intensity.i0" in record.verdict.reason
    assert record.verdict.reason in text
    assert f"{told.n_properties} of {told.n_properties} properties are drawn" in text
    assert (told.n_left_out, told.n_bytes) == (0, len(page))
    assert len(list((tmp_path / "evidently").glob("*/snapshots/*.json"))) == 1


def test_the_workspaces_list_of_checks_is_whole_at_any_moment(tmp_path):
    sides, workspace = two_sides(1), tmp_path / "evidently"
    record = record_of(sides)
    draw(record, {"contributions": sides}, workspace)
    with (workspace / "checks.json").open() as reader:
        draw(record.model_copy(update={"id": "k-2"}), {"contributions": sides}, workspace)
        assert json.load(reader) == ["k-1"]  # the list is replaced, never written over
    assert json.loads((workspace / "checks.json").read_text()) == ["k-1", "k-2"]
    assert not [path for path in workspace.iterdir() if path.name.startswith(".checks")]


def test_a_page_that_would_be_too_large_keeps_what_moved_most_and_says_what_it_lacks():
    sides, rng = two_sides(2), np.random.default_rng(0)
    sides = Sides(with_noise(sides.reference, rng, 40), with_noise(sides.current, rng, 40), sides.known_sites)
    sides.current.table["intensity.i3"] += 2
    config = DriftConfig(max_html_bytes=4_500_000)
    record = record_of(sides, config)

    page, told = draw(record, {"contributions": sides}, None)

    assert len(page) <= config.max_html_bytes
    assert 0 < told.n_left_out < told.n_properties
    text = page.decode()
    assert f"{told.n_left_out} of {told.n_properties} properties" in text
    assert "Drift in column 'intensity.i3'" in text
    assert text.count("Drift in column '") == told.n_properties - told.n_not_comparable - told.n_left_out


def test_an_empty_column_is_described_without_an_index():
    sides = two_sides(3)
    sides.current.table["acquisition.kvp"] = np.nan
    facts = {fact.name: fact for fact in describe("contributions", sides, CONFIG)}
    assert facts["acquisition.kvp"].psi is None
    assert facts["acquisition.kvp stated"].psi is not None


class Tags(HTMLParser):
    """Collects the tags of a page as a browser finds them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs).get("src")))


def test_what_a_client_writes_into_an_attribute_is_shown_and_never_run(tmp_path):
    hostile = "</script><script src=//evil.example/x.js></script><img src=//evil.example/y onerror=alert(1)>"
    sides = two_sides(4)
    for side in (sides.reference, sides.current):
        side.table["acquisition.manufacturer"] = "ACME"
    plain, _ = draw(record_of(sides), {"contributions": sides}, None)
    sides.current.table["acquisition.manufacturer"] = hostile

    page, _ = draw(record_of(sides), {"contributions": sides}, tmp_path)

    assert "evil.example" in page.decode()
    assert [tag for tag in Tags(page).found if tag[0] in {"script", "img"}] == [
        tag for tag in Tags(plain).found if tag[0] in {"script", "img"}
    ]
    (snapshot,) = tmp_path.glob("*/snapshots/*.json")
    assert "evil.example" in snapshot.read_text()
    assert "<script" not in snapshot.read_text()
