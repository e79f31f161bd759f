"""A site of which more is quarantined than before is named; nothing of what was quarantined has to be read for it."""

from datetime import date

from factories import encoded, make_record, make_study, picture

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import quarantined
from ladnn.governance.drift.verdict import Action, judge
from ladnn.intake.inbox import contribute
from ladnn.intake.record import Outcome, Quarantined
from ladnn.registry.drift_intake import quarantine_sides

CONFIG = DriftConfig()
DAY = date(2026, 11, 25)


def sent(site, number, n_bad=0, n_good=0, synthetic=False):
    """The outcome of a contribution of so many images, some of which were quarantined."""
    name = f"t20261125-{site}-{number:016x}"
    findings = [
        Quarantined(contribution=name, position=place + 1, reason="not_ct", detail="it is none")
        for place in range(n_bad)
    ]
    records = [
        make_record(f"{site}{number}", place, site=site, synthetic=synthetic).model_copy(
            update={"contribution": name, "position": n_bad + place + 1}
        )
        for place in range(n_good)
    ]
    return Outcome(contribution=name, accepted=tuple(records), quarantined=tuple(findings))


def good(site, numbers):
    return [sent(site, number, n_good=1) for number in numbers]


def sides_of(before, now, **values):
    return quarantine_sides([*before, *now], len(before), CONFIG, 1, **({"synthetic": False} | values))


def verdict_of(before, now):
    return judge({"intake": sides_of(before, now)}, CONFIG, 0)[0]


BEFORE = [*good("hospital-a", range(20)), *good("hospital-b", range(12))]


def test_a_site_of_which_most_is_quarantined_is_asked_by_name_with_the_share():
    now = [
        *good("hospital-a", range(100, 114)),
        *good("hospital-b", [100]),
        *(sent("hospital-b", 101 + number, n_bad=1) for number in range(13)),
    ]
    verdict = verdict_of(BEFORE, now)

    assert (verdict.action, verdict.sites) == (Action.INVESTIGATE, ("hospital-b",))
    assert (verdict.properties, verdict.streams) == (("intake.quarantined",), ("intake",))
    assert "of what hospital-b sent 93% was quarantined, 0% before: ask hospital-b" in verdict.reason


def test_a_new_site_is_held_against_all():
    verdict = verdict_of(BEFORE, [sent("hospital-c", number, n_bad=2, n_good=1) for number in range(12)])
    assert verdict.sites == ("hospital-c",)
    assert "67% was quarantined, of all sites 0% before" in verdict.reason


def test_less_rubbish_than_before_a_little_in_each_series_and_few_contributions_alarm_nobody():
    bad = [sent("hospital-b", number, n_bad=1) for number in range(12)]
    assert not verdict_of([*BEFORE[:20], *bad], good("hospital-b", range(100, 120))).sites
    localizers = [sent("hospital-b", 100 + number, n_bad=1, n_good=40) for number in range(20)]
    assert not verdict_of(BEFORE, localizers).sites
    assert not verdict_of(BEFORE, [sent("hospital-b", 100 + number, n_bad=1) for number in range(7)]).sites


def test_a_release_takes_the_image_out_and_stays_with_the_time_of_its_contribution():
    held = sent("hospital-b", 50, n_bad=1)
    released = sent("hospital-b", 50, n_good=1)
    sides = sides_of([*BEFORE, held], [released, *good("hospital-b", [51])])

    assert quarantined(sides.reference) == 0
    assert sides.current.n_patients == 1


def test_a_contribution_that_was_refused_as_a_whole_counts_once_and_phantoms_are_not_patients():
    whole = sent("hospital-b", 60, n_bad=1)
    whole = whole.model_copy(update={"quarantined": (whole.quarantined[0].model_copy(update={"position": None}),)})
    phantoms = [sent("phantom-a", 1, n_good=1, synthetic=True), sent("phantom-a", 2, n_bad=1)]
    sides = sides_of(BEFORE, [whole, *phantoms])

    assert (sides.current.n_images, set(sides.current.sites)) == (1, {"hospital-b"})
    assert set(sides_of(phantoms[:1], phantoms[1:], synthetic=True).current.sites) == {"phantom-a"}


def test_the_site_is_read_from_the_name_that_a_contribution_is_given(file_store):
    files = {"1.png": encoded(picture(1))}
    name, _ = contribute(file_store, make_study(files, site="hospital-2-b"), files, DAY)
    finding = Quarantined(contribution=name, position=1, reason="not_ct", detail="it is none")
    sides = sides_of([], [Outcome(contribution=name, accepted=(), quarantined=(finding,))])
    assert set(sides.current.sites) == {"hospital-2-b"}
