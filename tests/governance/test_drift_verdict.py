"""Verdicts on drift: silence on the same distribution, alarms on what is injected, and the right one to ask."""

import numpy as np
import pandas as pd
import pytest
from drift_samples import two_sides, with_noise

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import Sides
from ladnn.governance.drift.sample import Sample, family_of
from ladnn.governance.drift.verdict import Action, judge

CONFIG = DriftConfig()


def verdict_of(sides, seed=0, stream="contributions", config=CONFIG):
    return judge({stream: sides}, config, seed)[0]


def test_samples_of_the_same_distribution_alarm_in_at_most_a_twentieth_of_200_draws():
    alarms = sum(verdict_of(two_sides(seed, 48, 24), seed).action is not Action.NONE for seed in range(200))
    assert alarms <= 10


def test_a_hundred_more_properties_of_noise_do_not_alarm():
    for seed in range(3):
        sides = two_sides(seed)
        rng = np.random.default_rng(seed)
        noisy = Sides(with_noise(sides.reference, rng), with_noise(sides.current, rng), sides.known_sites)
        assert verdict_of(noisy, seed).action is Action.NONE


def test_another_scanner_everywhere_asks_for_a_retrain():
    sides = two_sides(1)
    sides.current.table[["intensity.i0", "intensity.i1"]] += 1.5

    verdict = verdict_of(sides)

    assert verdict.action is Action.RETRAIN
    assert set(verdict.properties) == {"intensity.i0", "intensity.i1"}
    assert "site-a, site-b" in verdict.reason


def test_another_mix_of_labels_asks_for_a_retrain():
    sides = two_sides(2, 120, 90)
    rng = np.random.default_rng(2)
    turned = [name for name in np.unique(sides.current.patients) if rng.random() < 0.8]
    sides.current.table.loc[np.isin(sides.current.patients, turned), "label.covid"] = 1.0

    verdict = verdict_of(sides)

    assert (verdict.action, verdict.properties) == (Action.RETRAIN, ("label.covid",))


@pytest.mark.parametrize("seed", range(4))
def test_another_mix_of_lesions_is_noticed_though_it_is_unknown_of_all_negatives(seed):
    sides = two_sides(seed, 200, 150)
    for side, n_of_five in ((sides.reference, 3), (sides.current, 1)):
        positive = side.table["label.covid"].to_numpy() == 1
        with_it = [name for place, name in enumerate(np.unique(side.patients[positive])) if place % 5 < n_of_five]
        side.table["label.GGO"] = np.where(positive, np.isin(side.patients, with_it).astype(np.float64), np.nan)

    verdict = verdict_of(sides, seed)

    assert (verdict.action, verdict.properties) == (Action.RETRAIN, ("label.GGO",))


def test_labels_that_are_left_out_more_often_are_noticed_apart_from_the_mix():
    sides = two_sides(2, 120, 90)
    sides.reference.table["label.GGO"] = sides.reference.table["label.covid"]
    turned = np.isin(sides.current.patients, np.unique(sides.current.patients)[::2])
    sides.current.table["label.GGO"] = sides.current.table["label.covid"].where(~turned, np.nan)

    assert verdict_of(sides).properties == ("label.GGO stated",)


def test_a_site_is_asked_too_where_the_model_told_nothing_of_any_image():
    def side(n, shift, seed):
        rng = np.random.default_rng(seed)
        sites = np.repeat(np.array(["site-a", "site-b"]), n)
        moved = rng.normal(size=2 * n) + shift * (sites == "site-a")
        return Sample(pd.DataFrame({"intensity.i0": moved}), np.array([f"p{seed}-{i}" for i in range(2 * n)]), sites)

    verdict = verdict_of(Sides(side(60, 0, 0), side(60, 3, 1), frozenset({"site-a", "site-b"})))

    assert (verdict.action, verdict.sites) == (Action.INVESTIGATE, ("site-a",))


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_one_bad_site_is_to_be_asked_by_name_with_what_moved(seed):
    sides = two_sides(seed)
    sides.current.table.loc[sides.current.sites == "site-b", "intensity.i2"] -= 3

    verdict = verdict_of(sides, seed)

    assert (verdict.action, verdict.sites, verdict.properties) == (Action.INVESTIGATE, ("site-b",), ("intensity.i2",))
    assert "ask site-b" in verdict.reason


def few_of(sides, site, n_patients, n_sites=1):
    """Keep few current patients of a site, and share all of them out among so many sites."""
    places = {name: place for place, name in enumerate(np.unique(sides.current.patients[sides.current.sites == site]))}
    kept = [place is None or place < n_patients for place in map(places.get, sides.current.patients)]
    few = Sides(sides.reference, sides.current.where(np.array(kept)), sides.known_sites)
    names = [f"tiny-{number}" for number in range(n_sites)]
    for side in (few.reference, few.current):
        numbers = np.unique(side.patients, return_inverse=True)[1]
        side.sites[:] = np.where(side.sites == site, np.array(names)[numbers % n_sites], side.sites)
    return Sides(few.reference, few.current, frozenset({"site-b", *names}))


@pytest.mark.parametrize(("n_others", "n_sites"), [(0, 1), (3, 1), (12, 3)])
@pytest.mark.parametrize("seed", [3, 4])
def test_a_bad_site_is_asked_also_where_it_contributes_alone_or_beside_small_ones(seed, n_others, n_sites):
    sides = few_of(two_sides(seed), "site-a", n_others, n_sites)
    sides.current.table.loc[sides.current.sites == "site-b", "intensity.i2"] -= 3

    verdict = verdict_of(sides, seed)

    assert (verdict.action, verdict.sites) == (Action.INVESTIGATE, ("site-b",))
    told = "no other site moved" if n_others > CONFIG.min_site_patients else "other sites sent too little to tell"
    assert f"{told}" in verdict.reason
    assert "ask site-b" in verdict.reason


def test_a_bad_site_is_asked_though_the_service_moved_too():
    sides, served = two_sides(3), two_sides(4)
    sides.current.table.loc[sides.current.sites == "site-b", "intensity.i2"] -= 3
    served.current.table["intensity.i0"] += 3
    served.current.sites[:] = ""
    streams = {"contributions": sides, "service": Sides(served.reference, served.current, frozenset())}

    verdict, _ = judge(streams, CONFIG, 0)

    assert (verdict.action, verdict.sites) == (Action.INVESTIGATE, ("site-b",))
    assert verdict.streams == ("contributions", "service")


def test_a_single_hospital_that_moves_has_none_to_be_held_against():
    sides = two_sides(3)
    for side in (sides.reference, sides.current):
        side.sites[:] = "site-b"
    sides.current.table["intensity.i2"] -= 3
    assert verdict_of(Sides(sides.reference, sides.current, frozenset({"site-b"}))).action is Action.RETRAIN


def test_where_all_who_contribute_moved_the_silence_of_an_old_site_keeps_no_retrain_away():
    sides = two_sides(1)
    sides.current.table[["intensity.i0", "intensity.i1"]] += 1.5
    old = Sides(sides.reference, sides.current, sides.known_sites | {"site-old"})
    assert verdict_of(old).action is Action.RETRAIN


def test_a_site_that_stops_stating_an_attribute_is_noticed():
    sides = two_sides(6)
    sides.current.table.loc[sides.current.sites == "site-b", "acquisition.kvp"] = np.nan
    assert "acquisition.kvp stated" in verdict_of(sides).properties


def test_a_new_site_is_held_against_all_and_named():
    sides = two_sides(7)
    new = sides.current.sites == "site-b"
    sides.current.sites[:] = np.where(new, "site-c", sides.current.sites)
    sides.current.table.loc[new, "intensity.i0"] += 6

    verdict = verdict_of(sides)

    assert (verdict.action, verdict.sites) == (Action.INVESTIGATE, ("site-c",))


def test_a_week_of_one_known_site_is_no_drift():
    sides = two_sides(8)
    only = Sides(sides.reference, sides.current.where(sides.current.sites == "site-b"), sides.known_sites)
    assert verdict_of(only).action is Action.NONE


def test_predictions_are_held_against_patients_whom_the_model_did_not_see():
    sides = two_sides(9)
    fitted = sides.reference.table["prediction.covid"].isna()
    assert 0 < fitted.sum() < len(fitted)
    sides.current.table["prediction.covid"] += 1

    verdict, comparisons = judge({"contributions": sides}, CONFIG, 0)

    assert [family_of(name) for name in verdict.properties] == ["prediction"]
    by_basis = {item.basis: item.n_reference_patients for item in comparisons if item.scope == "all"}
    assert by_basis == {"data": 90, "model": 30}


def test_the_service_is_compared_as_a_whole():
    sides = two_sides(10)
    served = Sides(sides.reference, sides.current, frozenset())
    served.current.sites[:] = ""
    served.current.table["intensity.i0"] += 3

    verdict = verdict_of(served, stream="service")

    assert (verdict.action, verdict.sites, verdict.streams) == (Action.RETRAIN, (), ("service",))


def test_too_few_patients_are_a_verdict_of_their_own():
    verdict = verdict_of(two_sides(11, n_current=6))
    assert verdict.action is Action.NOT_ENOUGH_CASES
    assert "too few to compare data of all: 6 new patients, drift.min_patients is 20" in verdict.reason


def test_where_a_site_is_too_small_it_is_said_on_which_side():
    sides = two_sides(8)
    of_b = sides.reference.sites == "site-b"
    few = np.isin(sides.reference.patients, np.unique(sides.reference.patients[of_b])[:5])
    alone = sides.current.where(sides.current.sites == "site-b")
    verdict = verdict_of(Sides(sides.reference.where(~of_b | few), alone, sides.known_sites))

    assert verdict.action is Action.NOT_ENOUGH_CASES
    assert (
        "too few to compare data of site-b: 5 patients in the champion's data, drift.min_site_patients is 8"
        in verdict.reason
    )
    assert "new patients" not in verdict.reason


def test_a_site_alone_needs_no_more_patients_than_beside_others():
    sides = two_sides(8)
    of_b = np.unique(sides.current.patients[sides.current.sites == "site-b"])[:10]
    alone = Sides(sides.reference, sides.current.where(np.isin(sides.current.patients, of_b)), sides.known_sites)
    assert verdict_of(alone).action is Action.NONE


def test_nothing_at_all_is_not_enough_cases():
    assert judge({}, CONFIG, 0)[0].action is Action.NOT_ENOUGH_CASES


def test_a_shift_that_is_sure_but_small_does_not_count():
    sides = two_sides(12)
    sides.current.table["intensity.i0"] += 1.5
    assert verdict_of(sides, config=DriftConfig(min_distance=0.9)).action is Action.NONE
