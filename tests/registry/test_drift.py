"""One check for drift on a small trained platform: asked once, kept in the store, shown in MLflow and Evidently."""

import hashlib
from datetime import date

import numpy as np
import pytest
from factories import TODAY
from trained_platform import EXPERIMENT

from ladnn.config_monitoring import DriftConfig
from ladnn.dataset.desk import open_desk
from ladnn.errors import NoChampionError
from ladnn.governance.drift.sample import FAMILIES, family_of
from ladnn.governance.drift.verdict import Action
from ladnn.intake.decode import decode_canonical, encode_canonical
from ladnn.intake.inbox import contribute
from ladnn.intake.phantom_contributions import phantom_contributions
from ladnn.intake.process import take_in
from ladnn.platform import Platform
from ladnn.registry.drift import Watch, check_drift, latest_check, log_check, read_page, watch_drift
from ladnn.registry.looks import N_COMPONENTS
from ladnn.registry.triggers import find_trigger

FEW = DriftConfig(min_patients=8, min_site_patients=6)
N_NEW = 16


def contribute_more(platform, seed, change=lambda pixels: pixels):
    """Contribute new phantoms, each picture changed, and take them in."""
    for study, files in phantom_contributions(seed, N_NEW, n_slices=1):
        changed = {name: encode_canonical(change(decode_canonical(data))) for name, data in files.items()}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in changed.items()}
        images = tuple(image.model_copy(update={"sha256": digests[image.file]}) for image in study.images)
        contribute(platform.store, study.model_copy(update={"images": images}), changed, TODAY)
    take_in(open_desk(Platform(platform.settings, platform.store)), today=date(2026, 11, 24))


def check(platform, config=FEW):
    return check_drift(Platform(platform.settings, platform.store), config)


def test_without_a_champion_the_error_says_what_to_run(platform):
    with pytest.raises(NoChampionError, match="ladnn retrain"):
        check(platform)


def test_the_monitor_weighs_its_triggers_without_a_champion(platform):
    watch = watch_drift(Platform(platform.settings, platform.store), FEW)
    assert watch == Watch(check=None, problem="no champion to compare with")


@pytest.mark.parametrize("damaged", ["model.onnx", "bundle.sig", "manifest.parquet"])
def test_the_monitor_weighs_its_triggers_though_the_champion_cannot_be_read_and_says_why(champion_platform, damaged):
    (file,) = (champion_platform.home / "store").glob(f"*/*/{damaged}")
    file.write_bytes(file.read_bytes()[:-9])

    watch = watch_drift(Platform(champion_platform.settings, champion_platform.store), FEW)
    trigger = find_trigger(champion_platform.store, EXPERIMENT, watch)

    assert watch.check is None
    assert watch.problem.startswith("no check for drift: ")
    assert file.parent.name in watch.problem
    assert (trigger.retrain, watch.problem in trigger.reason) == (False, True)


def test_before_anything_new_came_there_are_not_enough_cases_and_no_page(champion_platform):
    record = check(champion_platform)
    assert record.verdict.action is Action.NOT_ENOUGH_CASES
    assert read_page(champion_platform.store, record) is None


def test_patients_like_those_before_are_no_drift_and_the_check_is_kept_and_shown(champion_platform, tracking):
    contribute_more(champion_platform, 5)

    record = check(champion_platform)
    log_check(champion_platform.store, tracking, record)
    log_check(champion_platform.store, tracking, record)

    assert record.verdict.action is Action.NONE
    assert {family_of(item.name) for item in record.properties} == set(FAMILIES)
    assert sum(family_of(item.name) == "embedding" for item in record.properties) <= N_COMPONENTS
    assert check(champion_platform) == record == latest_check(champion_platform.store)
    page = read_page(champion_platform.store, record)
    assert b"Drift: none" in page
    assert len(page) <= FEW.max_html_bytes
    experiment = tracking.client.get_experiment_by_name("ladnn-monitoring")
    (run,) = tracking.client.search_runs([experiment.experiment_id])
    assert (run.data.tags["ladnn.drift"], run.info.status) == ("none", "FINISHED")
    assert {item.path for item in tracking.client.list_artifacts(run.info.run_id)} == {"drift.json", "pages"}
    assert len(list((champion_platform.home / "evidently").glob("*/snapshots/*.json"))) == 1


def test_another_scanner_is_noticed_in_the_grey_levels(champion_platform):
    contribute_more(champion_platform, 6, lambda pixels: (40 + 0.7 * pixels.astype(np.float64)).astype(np.uint8))

    record = check(champion_platform)

    assert record.verdict.action is Action.RETRAIN
    assert "intensity.p25" in record.verdict.properties
    assert {family_of(name) for name in record.verdict.properties} <= {"intensity", "embedding", "prediction"}


def test_sites_of_which_all_is_quarantined_are_named_though_there_is_no_image_to_look_at(champion_platform):
    contribute_more(champion_platform, 8, np.zeros_like)

    record = check(champion_platform)

    assert (record.verdict.action, record.verdict.properties) == (Action.INVESTIGATE, ("intake.quarantined",))
    assert set(record.verdict.sites) <= {"phantom-a", "phantom-b"}
    assert [(item.stream, item.n_patients) for item in record.streams] == [("intake", N_NEW)]
    assert check(champion_platform) == record


def test_no_record_names_a_patient(champion_platform):
    contribute_more(champion_platform, 7)
    store = champion_platform.store
    record = check(champion_platform)
    groups = {
        name for name in store.get("catalogue/00000002.json").decode().split('"') if name.startswith(("p-", "g-"))
    }
    text = store.get(f"drift/checks/{record.id}/record.json").decode() + read_page(store, record).decode()
    assert groups
    assert not [name for name in groups if name in text]
