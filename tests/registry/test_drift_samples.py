"""What of many images is drawn, and how labels are stated."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladnn.registry.drift_samples import Images, drawn_evenly, images_of_manifest, served_sample
from ladnn.registry.served import ServedPrediction


def patients_of(sizes):
    return tuple(f"p{number}" for number, size in enumerate(sizes) for _ in range(size))


def images(sizes):
    patients = patients_of(sizes)
    digests = tuple(f"{place}" for place in range(len(patients)))
    table = pd.DataFrame({"acquisition.place": np.arange(len(patients), dtype=np.float64)})
    return Images(digests, table, patients, ("a",) * len(patients))


@pytest.mark.parametrize("sizes", [[300] * 60, [60] * 60, [3] * 100 + [1001], [3] * 300 + [1001] * 5])
def test_of_whole_series_every_patient_stays_and_none_crowds_out_the_others(sizes):
    drawn = images(sizes).sampled(1000, 2020)

    assert len(drawn.digests) == 1000
    _, n_kept = np.unique(drawn.patients, return_counts=True)
    assert len(n_kept) == len(sizes)
    given_up = n_kept < np.asarray(sizes)[np.argsort([f"p{k}" for k in range(len(sizes))])]
    assert np.ptp(n_kept[given_up]) <= 1
    assert list(drawn.table["acquisition.place"]) == [float(name) for name in drawn.digests]


def test_of_more_patients_than_images_each_drawn_one_has_one():
    drawn = images([4] * 50).sampled(20, 1)
    assert len(set(drawn.patients)) == len(drawn.digests) == 20


def test_fewer_images_are_left_as_they_are():
    few = images([2, 3])
    assert few.sampled(5, 1) is few


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 100), st.integers(0, 9))
def test_no_image_is_drawn_twice_and_no_patient_has_two_more_than_one_that_gave_up_some(sizes, limit, seed):
    patients = patients_of(sizes)
    places = drawn_evenly(patients, limit, seed)

    assert len(places) == min(limit, len(patients))
    assert all(one < next_one for one, next_one in pairwise(places))
    kept = [sum(patients[place] == f"p{number}" for place in places) for number in range(len(sizes))]
    least = min((n for n, size in zip(kept, sizes, strict=True) if n < size), default=max(kept))
    assert max(kept) <= least + 1
    assert drawn_evenly(patients, limit, seed) == places


def test_a_whole_series_that_was_served_leaves_room_for_the_other_requests():
    answers = [
        ServedPrediction(
            at=datetime(2026, 11, 25, tzinfo=UTC),
            request=request,
            model_version="1",
            bundle_id="b-1",
            probabilities={"covid": 0.5},
            acquisition={"format": "PNG"},
            intensity={"mean": 90.0},
            embedding=None,
        )
        for request in [*(f"r{number}" for number in range(30)), *["series"] * 400]
    ]
    sample = served_sample(answers, 60, 1)
    assert (sample.n_images, sample.n_patients) == (60, 31)


def test_labels_are_numbers_and_unknown_ones_are_missing():
    labels = dict.fromkeys(("covid", "GGO", "Csld", "CrPa", "AirBr", "InSepThi"), np.nan)
    row = {"image": "d", "group": "p", "site": "a", "acquisition": "{}", "width_px": 4, "height_px": 2}
    row |= {"original_format": "PNG", "original_mode": "L"}
    rows = pd.DataFrame([row | labels | {"covid": 1.0, "GGO": 0.0}])

    table = images_of_manifest(rows).table

    assert table[["label.covid", "label.GGO"]].iloc[0].tolist() == [1.0, 0.0]
    assert table["label.CrPa"].isna().all()
