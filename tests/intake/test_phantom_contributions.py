"""Phantoms reach the platform as contributions of two sites, with true labels."""

from factories import TODAY, intake

from ladnn.intake.catalogue import read_outcomes
from ladnn.intake.inbox import contribute
from ladnn.intake.phantom_contributions import phantom_contributions
from ladnn.phantoms.study import generate_study
from ladnn.store import ObjectStore


def test_phantoms_are_taken_in_whole_with_labels_that_are_true(file_store: ObjectStore) -> None:
    for _ in range(2):
        sent = [contribute(file_store, study, files, TODAY) for study, files in phantom_contributions(5, 4, n_slices=1)]
    assert [new for _, new in sent] == [False] * 4
    report = intake(file_store)
    assert (report.n_accepted, report.quarantined) == (4, ())
    records = [record for outcome in read_outcomes(file_store) for record in outcome.accepted]
    assert all(record.synthetic for record in records)
    assert {record.site for record in records} == {"phantom-a", "phantom-b"}
    assert len({record.group for record in records}) == 4
    truth = [generate_study(5, index, style="a" if index % 3 else "b", n_slices=1).covid for index in range(4)]
    assert sorted(bool(record.labels["covid"].value) for record in records) == sorted(truth)
