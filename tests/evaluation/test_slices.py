"""Slices: every image in one slice of each dimension, each measured as if it were alone, few cases said to be few."""

import numpy as np
import pytest
from scored_parts import part

from ladnn.evaluation.slices import DIMENSIONS, score, score_slices
from ladnn.labels import LESIONS
from ladnn.statistics import Bootstrap

QUICK = Bootstrap(n_replicates=20, confidence=0.95, seed=3)


def of(slices, by):
    return {item.value: item for item in slices if item.by == by}


def test_each_dimension_holds_every_image_once():
    rows, probabilities = part()

    slices = score_slices(rows, probabilities, 0.5, QUICK, 1)

    assert list(dict.fromkeys(item.by for item in slices)) == list(DIMENSIONS)
    for by in DIMENSIONS:
        assert sum(item.n_images for item in of(slices, by).values()) == len(rows)
    assert list(of(slices, "sex")) == ["F", "M", "unknown"]
    assert list(of(slices, "age")) == ["0-17", "18-39", "40-59", "60-79", "80 and over", "unknown"]
    assert of(slices, "age")["0-17"].n_images == rows["age_y"].isin([5, 17]).sum()
    assert of(slices, "age")["80 and over"].n_images == rows["age_y"].isin([80, 104]).sum()


def test_a_slice_is_scored_as_if_it_were_all_there_is():
    rows, probabilities = part()
    inside = (rows["site"] == "b").to_numpy()

    (measured,) = (item for item in score_slices(rows, probabilities, 0.4, QUICK, 1) if item.value == "b")

    assert measured.scores == score(rows[inside], probabilities[inside], 0.4, QUICK)
    assert (measured.n_images, measured.n_patients) == (inside.sum(), rows.loc[inside, "group"].nunique())


def test_one_slice_that_is_the_whole_has_its_scores():
    rows, probabilities = part(source="web", site="a")

    slices = score_slices(rows, probabilities, 0.5, QUICK, 1)

    assert (
        of(slices, "source")["web"].scores == of(slices, "site")["a"].scores == score(rows, probabilities, 0.5, QUICK)
    )


def test_too_few_patients_are_a_result_and_no_number():
    rows, probabilities = part()
    rows.loc[:3, "site"] = "small"

    slices = of(score_slices(rows, probabilities, 0.5, QUICK, 5), "site")

    diagnosis = slices["small"].scores.diagnosis
    assert (slices["small"].n_images, slices["small"].n_patients, slices["small"].min_patients) == (4, 2, 5)
    assert (diagnosis.auroc.value, diagnosis.accuracy.value, diagnosis.n_images) == (None, None, 4)
    assert {lesion.f1.value for lesion in slices["small"].scores.lesions.values()} == {None}
    assert slices["a"].scores.diagnosis.auroc.value is not None


def test_small_sites_beyond_the_twentieth_are_taken_together():
    rows, probabilities = part(230)
    rows["site"] = [f"s{min(i % 40, 24):02d}" for i in range(230)]

    slices = of(score_slices(rows, probabilities, 0.5, QUICK, 1), "site")

    assert len(slices) == 20
    assert list(slices)[-1] == "others"
    assert sum(item.n_images for item in slices.values()) == 230


def test_a_small_site_that_is_named_is_measured_by_itself():
    rows, probabilities = part(230)
    rows["site"] = [f"s{min(i % 40, 24):02d}" for i in range(230)]
    before = of(score_slices(rows, probabilities, 0.5, QUICK, 1), "site")
    small = next(site for site in sorted(set(rows["site"])) if site not in before)

    slices = of(score_slices(rows, probabilities, 0.5, QUICK, 1, (f"site={small}", "site=nowhere")), "site")

    inside = (rows["site"] == small).to_numpy()
    assert slices[small].scores == score(rows[inside], probabilities[inside], 0.5, QUICK)
    assert slices["others"].n_images == before["others"].n_images - inside.sum()
    assert set(slices) == {*before, small}


def test_a_baseline_has_slices_without_lesions():
    rows, probabilities = part()

    slices = score_slices(rows, probabilities[:, :1], 0.5, QUICK, 1)

    assert all(item.scores.lesions is None for item in slices)


@pytest.mark.parametrize("columns", [["covid"], list(LESIONS)])
def test_unknown_labels_are_counted_and_not_measured(columns):
    rows, probabilities = part(**dict.fromkeys(columns, np.nan))

    scores = of(score_slices(rows, probabilities, 0.5, QUICK, 1), "site")["a"].scores

    if columns == ["covid"]:
        assert (scores.diagnosis.n_images, scores.diagnosis.auroc.value) == (0, None)
    else:
        assert {(lesion.n_known, lesion.auroc.value) for lesion in scores.lesions.values()} == {(0, None)}
