"""A site that was asked is asked no more for what had moved, while the same model is champion."""

import pytest
from drift_records import check_of
from drift_samples import two_sides

from ladnn.config_monitoring import DriftConfig
from ladnn.errors import DriftError
from ladnn.governance.drift.acceptance import accept_drift, acceptances_of, drift_acceptances, sites_to_ask
from ladnn.governance.drift.verdict import Action, judge

A, B = "hospital-a", "hospital-b"
MOVED = {A: ("intensity.mean", "embedding.c03"), B: ("acquisition.kvp",)}


def asks(moved=MOVED, **values):
    return check_of(Action.INVESTIGATE, moved, **values)


def test_a_check_is_accepted_with_all_its_sites_by_name_and_reason(store):
    record = asks()
    assert sites_to_ask(store, record) == (A, B)

    given = accept_drift(store, record, "Ada", "both have new scanners")

    assert (given.by, given.reason, given.check_id, given.moved) == ("Ada", "both have new scanners", "k-1", MOVED)
    assert drift_acceptances(store) == acceptances_of(store, record) == [given]
    assert sites_to_ask(store, record) == ()


def test_one_site_is_accepted_alone(store):
    given = accept_drift(store, asks(), "Ada", "a new scanner", site=B)

    assert given.moved == {B: MOVED[B]}
    assert sites_to_ask(store, asks()) == (A,)
    assert accept_drift(store, asks(), "Bob", "they changed the window").moved == {A: MOVED[A]}
    assert sites_to_ask(store, asks()) == ()


def test_the_next_check_is_accepted_too_until_another_family_moves(store):
    accept_drift(store, asks(), "Ada", "new scanners")

    tomorrow = asks({A: ("intensity.black", "embedding.c01"), B: ("acquisition.format",)}, check_id="k-2")
    assert sites_to_ask(store, tomorrow) == ()
    later = asks({A: ("intensity.mean", "label.covid"), B: MOVED[B]}, check_id="k-3")
    assert sites_to_ask(store, later) == (A,)
    accept_drift(store, later, "Ada", "an outbreak")
    assert sites_to_ask(store, later) == ()


def test_it_counts_for_the_champion_that_was_looked_at_alone(store):
    accept_drift(store, asks(), "Ada", "new scanners")

    assert sites_to_ask(store, asks(bundle_id="b-2")) == (A, B)
    assert acceptances_of(store, asks(bundle_id="b-2")) == []


@pytest.mark.parametrize("action", [Action.NONE, Action.RETRAIN, Action.NOT_ENOUGH_CASES])
def test_where_no_site_is_asked_there_is_nothing_to_accept(store, action):
    record = check_of(action, MOVED)

    assert sites_to_ask(store, record) == ()
    with pytest.raises(DriftError, match=f"asks no site, its verdict is {action}"):
        accept_drift(store, record, "Ada", "why")


def test_another_site_nobody_no_reason_and_a_second_time_are_refused(store):
    with pytest.raises(DriftError, match="does not ask hospital-c; it asks hospital-a, hospital-b"):
        accept_drift(store, asks(), "Ada", "why", site="hospital-c")
    for by, reason in (("", "why"), ("Ada", " ")):
        with pytest.raises(DriftError, match="--by and --reason"):
            accept_drift(store, asks(), by, reason)
    assert drift_acceptances(store) == []

    accept_drift(store, asks(), "Ada", "new scanners")
    with pytest.raises(DriftError, match="hospital-a, hospital-b was accepted already"):
        accept_drift(store, asks(), "Bob", "again")


def judged(seed, change):
    """A check of samples in which the images of one site were changed."""
    sides = two_sides(seed)
    change(sides.current.table, sides.current.sites == "site-b")
    verdict, comparisons = judge({"contributions": sides}, DriftConfig(), seed)
    return asks(check_id=f"k-{seed}").model_copy(update={"verdict": verdict, "comparisons": comparisons})


def test_what_the_statistics_find_day_by_day_is_accepted_once(file_store):
    def shifted(table, here, names):
        table.loc[here, list(names)] -= 3

    def only_positive(table, here):
        shifted(table, here, ("intensity.i2",))
        table.loc[here, "label.covid"] = 1.0

    first = judged(3, lambda table, here: shifted(table, here, ("intensity.i2",)))
    given = accept_drift(file_store, first, "Ada", "a new scanner")
    assert given.moved == {"site-b": ("intensity.i2",)}

    second = judged(4, lambda table, here: shifted(table, here, ("intensity.i1", "intensity.i2")))
    assert (second.verdict.action, sites_to_ask(file_store, second)) == (Action.INVESTIGATE, ())
    third = judged(5, only_positive)
    assert (third.verdict.action, sites_to_ask(file_store, third)) == (Action.INVESTIGATE, ("site-b",))
