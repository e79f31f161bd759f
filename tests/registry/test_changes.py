"""The change-control sheet of a real candidate, from signed bundles and the data behind them."""

import shutil

import pytest

from ladnn.registry.changes import changes_of


def test_the_same_method_on_the_same_data_changes_nothing(champion_platform):
    platform = champion_platform
    candidate = platform.another_bundle(0.3)

    sheet = changes_of(platform.store, candidate, platform.bundle_id, platform.trusted)

    assert sheet.champion == platform.bundle_id
    assert sheet.outside == ()
    (sites,) = [item for item in sheet.items if item.what == "sites"]
    assert sites.before == sites.now == "phantom-a, phantom-b"


def test_a_first_candidate_is_compared_with_no_champion(platform):
    sheet = changes_of(platform.store, platform.bundle_id, None, platform.trusted)

    assert sheet.champion is None
    assert sheet.outside == ()


def test_a_champion_that_cannot_be_read_leaves_it_to_a_person(champion_platform):
    platform = champion_platform
    candidate = platform.another_bundle(0.3)
    (platform.home / "store" / "bundles" / platform.bundle_id / "bundle.sig").unlink()

    (item,) = changes_of(platform.store, candidate, platform.bundle_id, platform.trusted).outside

    assert item.what == "champion"
    assert "is not signed" in item.now


@pytest.mark.parametrize("is_there", [False, True])
def test_a_champion_whose_data_cannot_be_read_leaves_it_to_a_person(platform, is_there):
    lost, versions = "d-000000000000", platform.home / "store" / "datasets"
    if is_there:  # with other records than its id states
        shutil.copytree(versions / platform.version.id, versions / lost)
    champion_id = platform.same_model("r-lost", dataset_version=lost)

    (item,) = changes_of(platform.store, platform.bundle_id, champion_id, platform.trusted).outside

    assert item.what == "champion"
    assert lost in item.now
