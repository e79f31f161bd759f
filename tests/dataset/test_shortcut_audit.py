"""The shortcut audit: it finds what predicts the diagnosis without the disease, and nothing where there is none."""

from itertools import count

import numpy as np
import pytest
from factories import keep_records, make_record
from pydantic import ValidationError

from ladnn.config import AuditConfig, DataConfig, ProbeLimits
from ladnn.dataset.freezing import freeze
from ladnn.dataset.shortcuts.acceptance import accept_audit, read_acceptance
from ladnn.dataset.shortcuts.audit import AuditVerdict, audit_version, judge, read_audits
from ladnn.dataset.shortcuts.prediction import held_out_auroc
from ladnn.errors import DatasetError
from ladnn.intake.decode import canonical_digest, encode_canonical
from ladnn.intake.record import image_key
from ladnn.phantoms.study import generate_study
from ladnn.statistics import Bootstrap, Interval, not_computable

SAMPLING = Bootstrap(n_replicates=200, confidence=0.95, seed=1)
CONFIG = AuditConfig()
GREEN, FEW, AMBER, RED = AuditVerdict


def frozen(store, style_of, n_patients=40):
    """Freeze phantom patients, every other one with COVID-19, each scanned in the style that the diagnosis gives."""
    records = []
    for index in range(n_patients):
        covid = index % 2 == 0
        phantom = generate_study(7, index, style=style_of(covid), kind="covid" if covid else "normal", n_slices=1)
        pixels = phantom.slices[0].pixels
        digest, data = canonical_digest(pixels), encode_canonical(pixels)
        store.put_if_absent(image_key(digest), data)
        shape = {"height_px": pixels.shape[0], "width_px": pixels.shape[1], "n_bytes": len(data)}
        labels = {"covid": int(covid)}
        records.append(make_record(phantom.patient_id, labels=labels, image=digest, synthetic=True, **shape))
    keep_records(store, records)
    return freeze(store, DataConfig(synthetic=True)).id


@pytest.fixture(scope="module")
def confounded(tmp_path_factory):
    """A version whose positives come from one scanner and whose negatives come from another one."""
    from ladnn.store import open_store

    folder = tmp_path_factory.mktemp("confounded")
    store = open_store((folder / "store").as_uri())
    return store, frozen(store, lambda covid: "b" if covid else "a"), folder / "cache"


def test_a_scanner_that_goes_with_the_diagnosis_is_red(confounded):
    store, version, cache = confounded
    audit = audit_version(store, version, CONFIG, SAMPLING, cache)
    verdicts = {(result.probe, result.stage): result.verdict for result in audit.results}

    assert audit.verdict == RED
    assert {"file_properties", "borders", "outside_lungs"} <= {result.probe for result in audit.red}
    assert verdicts["file_properties", "contributed"] == verdicts["file_properties", "stored"] == RED
    assert (audit.n_images, audit.n_patients, audit.n_unknown) == (40, 40, 0)


def test_the_canonical_form_takes_the_scanners_frame_away(confounded):
    store, version, cache = confounded
    audit = audit_version(store, version, CONFIG, SAMPLING, cache)
    outside = {r.stage: r.auroc.value for r in audit.results if r.probe == "outside_lungs"}

    assert outside["stored"] > 0.95
    assert outside["canonical"] < outside["stored"]


def test_scanners_that_know_no_diagnosis_are_not_red(file_store, tmp_path):
    styles = count()
    version = frozen(file_store, lambda _: "b" if next(styles) % 3 == 0 else "a")
    audit = audit_version(file_store, version, CONFIG, SAMPLING, tmp_path)

    # Grey levels are left out: COVID-19 against healthy lungs moves them, whatever the scanner.
    assert {result.verdict for result in audit.results if result.probe != "intensity"} <= {GREEN, FEW}
    assert not audit.red


def test_an_audit_is_made_once_and_is_the_same_anywhere(confounded, tmp_path):
    store, version, cache = confounded
    first = audit_version(store, version, CONFIG, SAMPLING, cache)
    n_audits = len(read_audits(store, version))
    other = AuditConfig(borders=ProbeLimits(amber=0.7, red=0.8))

    assert audit_version(store, version, CONFIG, SAMPLING, tmp_path / "never made") == first
    assert not (tmp_path / "never made").exists()
    again = audit_version(store, version, other, SAMPLING, cache)
    assert [result.auroc for result in again.results] == [result.auroc for result in first.results]
    assert len(read_audits(store, version)) == n_audits + 1


def test_of_a_large_version_whole_patients_are_drawn(confounded):
    store, version, cache = confounded
    audit = audit_version(store, version, AuditConfig(max_images=20), SAMPLING, cache)

    assert (audit.n_images, audit.n_patients, audit.n_not_sampled) == (20, 20, 20)


def test_only_what_is_red_can_be_accepted_by_name_and_reason_and_only_once(confounded, file_store, tmp_path):
    store, version, cache = confounded
    with pytest.raises(DatasetError, match="no shortcut audit"):
        accept_audit(file_store, version, "Ada", "why")
    audit = audit_version(store, version, CONFIG, SAMPLING, cache)
    for by, reason in (("", "why"), ("Ada", " ")):
        with pytest.raises(DatasetError, match="--by and --reason"):
            accept_audit(store, version, by, reason)
    assert read_acceptance(store, version) is None
    first = accept_audit(store, version, "Ada", "demonstration")

    assert read_acceptance(store, version) == first
    with pytest.raises(DatasetError, match="Ada has accepted"):
        accept_audit(store, version, "Bob", "me too")
    assert set(first.accepted) == {result.probe for result in audit.red}
    assert len(read_audits(store, version)) >= 1


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.75, 0.9, RED),
        (0.749, 0.9, AMBER),
        (0.60, 0.7, AMBER),
        (0.59, 0.75, FEW),
        (0.2, 0.99, FEW),
        (0.59, 0.749, GREEN),
        (0.1, 0.3, GREEN),
        (None, None, FEW),
    ],
)
def test_the_bounds_are_held_against_the_limits(low, high, verdict):
    interval = Interval(value=low, low=low, high=high, n=40)

    assert judge(interval, ProbeLimits(amber=0.60, red=0.75)) == verdict


def test_limits_that_leave_no_amber_are_refused():
    with pytest.raises(ValidationError, match="below red"):
        ProbeLimits(amber=0.8, red=0.75)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_predicts_nothing_even_where_images_of_a_patient_are_alike(seed):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(30), 4)
    features = rng.normal(size=(30, 3))[patients]  # a patient's images are the same: a split by image would find them
    auroc = held_out_auroc(features, patients % 2 == 0, [str(p) for p in patients], 5, SAMPLING)

    assert auroc.value < 0.9


def test_too_few_patients_of_a_class_are_not_enough_cases():
    positive = np.repeat([True, False], (8, 12))
    patients = ["a", "b", "c", "d"] * 2 + [str(n) for n in range(12)]

    assert held_out_auroc(np.ones((20, 1)), positive, patients, 5, SAMPLING) == not_computable(20)
