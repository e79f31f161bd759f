"""The bundle: content-addressed, checked before anything is served, no pickle, no patient's image."""

import hashlib
import io
import json
import pickletools
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from trained_platform import EXPERIMENT

from ladnn.errors import BundleError, DigestMismatchError
from ladnn.labels import LABELS
from ladnn.phantoms.study import generate_study
from ladnn.registry.bundle import Bundle, assemble_bundle, describe, load_bundle, open_bundle
from ladnn.store import canonical_json

FILES = ("bundle.json", "golden.safetensors", "model.onnx", "weights.safetensors")


def folder_of(platform, bundle_id=None):
    return platform.home / "store" / "bundles" / (bundle_id or platform.bundle_id)


def served_is_refused(platform, match):
    """Both ways to a bundle refuse it: from the store, and from a folder such as MLflow downloads."""
    with pytest.raises(BundleError, match=match):
        load_bundle(platform.store, platform.bundle_id)
    with pytest.raises(BundleError, match=match):
        open_bundle(folder_of(platform))


def renamed_to_its_id(folder, document):
    """Give an altered bundle the id that belongs to its altered `bundle.json`."""
    data = canonical_json(document)
    target = folder.with_name("b-" + hashlib.sha256(data).hexdigest()[:16])
    shutil.copytree(folder, target)
    (target / "bundle.json").write_bytes(data)
    return target


def with_file(folder, name, data):
    document = json.loads((folder / "bundle.json").read_bytes())
    document["files"][name] = hashlib.sha256(data).hexdigest()
    target = renamed_to_its_id(folder, document)
    (target / name).write_bytes(data)
    return target


def test_a_bundle_states_everything_that_a_service_needs(trained_platform):
    bundle = load_bundle(trained_platform.store, trained_platform.bundle_id)
    manifest = bundle.manifest

    assert sorted(bundle.files) == sorted(FILES)
    assert manifest.labels == LABELS
    assert manifest.threshold == trained_platform.validated.threshold
    assert manifest.calibration == trained_platform.validated.calibration
    assert manifest.validation == trained_platform.validated.scores
    assert manifest.preprocessing == trained_platform.trained.preprocessing
    assert manifest.dataset_version == trained_platform.plan.dataset_version
    assert manifest.config == EXPERIMENT
    assert manifest.synthetic is True
    assert describe(bundle)["threshold"] == manifest.threshold


def test_the_same_candidate_gives_the_same_id_and_the_same_bytes(platform):
    before = {path.name: path.read_bytes() for path in folder_of(platform).iterdir()}
    shutil.rmtree(platform.home / "store" / "bundles")

    again = assemble_bundle(platform.store, platform.plan, platform.trained, platform.validated, synthetic=True)

    assert again == platform.bundle_id
    assert {path.name: path.read_bytes() for path in folder_of(platform).iterdir()} == before


def test_another_operating_point_is_another_bundle(platform):
    other = platform.another_bundle(0.25)

    assert other != platform.bundle_id
    assert load_bundle(platform.store, other).manifest.threshold == 0.25


@pytest.mark.parametrize("kind", ["weights", "graph"])
def test_weights_or_a_graph_that_training_did_not_write_are_not_bundled(platform, kind):
    path = platform.home / "store" / getattr(platform.trained, kind).key
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    shutil.rmtree(platform.home / "store" / ".sha256")

    with pytest.raises(DigestMismatchError, match="not what training wrote"):
        assemble_bundle(platform.store, platform.plan, platform.trained, platform.validated, synthetic=True)


@pytest.mark.parametrize("noted", [True, False], ids=["digests noted by the store", "no digest noted"])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_file_is_refused(platform, name, noted):
    path = folder_of(platform) / name
    whole = path.read_bytes()
    if not noted:
        shutil.rmtree(platform.home / "store" / ".sha256")
    for place in (0, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        served_is_refused(platform, "changed")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_any_single_changed_byte_of_bundle_json_is_refused(trained_platform, tmp_path_factory, data):
    document = (folder_of(trained_platform) / "bundle.json").read_bytes()
    damaged = bytearray(document)
    damaged[data.draw(st.integers(0, len(document) - 1))] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("bundle") / trained_platform.bundle_id
    folder.mkdir()
    (folder / "bundle.json").write_bytes(damaged)

    with pytest.raises(BundleError, match=r"bundle.json of .* was changed"):
        open_bundle(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(platform, name):
    (folder_of(platform) / name).unlink()

    served_is_refused(platform, "is incomplete")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(platform, name):
    path = folder_of(platform) / name
    path.write_bytes(path.read_bytes()[:-1])

    served_is_refused(platform, "changed")


def test_golden_outputs_of_another_bundle_are_refused(platform):
    golden = load_tensors((folder_of(platform) / "golden.safetensors").read_bytes())
    golden["logits"] = golden["logits"][::-1].copy()
    (folder_of(platform) / "golden.safetensors").write_bytes(save_tensors(golden))

    served_is_refused(platform, "changed")


@pytest.mark.parametrize("logits", [lambda x: x + 0.1, lambda x: x[::-1].copy(), lambda x: x * np.nan])
def test_a_bundle_with_right_digests_that_does_not_reproduce_its_golden_outputs_is_refused(platform, logits):
    golden = load_tensors((folder_of(platform) / "golden.safetensors").read_bytes())
    golden["logits"] = logits(golden["logits"]).astype(np.float32)

    with pytest.raises(BundleError, match="golden"):
        open_bundle(with_file(folder_of(platform), "golden.safetensors", save_tensors(golden)))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "ladnn-bundle/9"},
        {"new_field": 1},
        {"labels": [*LABELS[:-1], "Other"]},
        {"files": {"../../secret": "0" * 64}},
        {"files": {}},
    ],
    ids=["newer format", "unknown field", "other outputs", "a file elsewhere", "no files"],
)
def test_a_bundle_that_this_release_does_not_understand_is_refused(platform, change):
    document = json.loads((folder_of(platform) / "bundle.json").read_bytes())

    with pytest.raises(BundleError, match="release"):
        open_bundle(renamed_to_its_id(folder_of(platform), document | change))


def test_a_graph_of_another_size_than_the_preprocessing_is_refused(platform):
    document = json.loads((folder_of(platform) / "bundle.json").read_bytes())
    document["preprocessing"]["size_px"] = 192

    with pytest.raises(BundleError, match="192 px"):
        open_bundle(renamed_to_its_id(folder_of(platform), document))


def test_an_unknown_bundle_is_refused(trained_platform):
    with pytest.raises(BundleError, match="b-0000000000000000 is incomplete"):
        load_bundle(trained_platform.store, "b-0000000000000000")


def test_golden_inputs_are_phantoms(trained_platform):
    bundle = load_bundle(trained_platform.store, trained_platform.bundle_id)
    golden = load_tensors(bundle.files["golden.safetensors"])
    resize = bundle.manifest.preprocessing.apply

    expected = [resize(generate_study(0, index, n_slices=1).slices[0].pixels) for index in range(4)]
    assert np.array_equal(golden["pixels"], np.stack(expected))
    np.testing.assert_allclose(golden["logits"], bundle.graph.logits(golden["pixels"]), atol=1e-5)


def test_no_file_of_a_bundle_is_or_holds_a_pickle(trained_platform):
    for path in folder_of(trained_platform).iterdir():
        data = path.read_bytes()
        assert not zipfile.is_zipfile(io.BytesIO(data)), f"{path.name} is an archive, as torch's pickles are"
        assert not _is_pickle(data), f"{path.name} is a pickle"


def test_a_planted_pickle_is_never_opened(platform):
    planted = folder_of(platform) / "model.pkl"
    planted.mkdir()  # whoever tries to read it fails

    assert "model.pkl" not in load_bundle(platform.store, platform.bundle_id).files
    assert "model.pkl" not in open_bundle(folder_of(platform)).files


def test_a_loaded_bundle_gives_probabilities_in_the_order_of_the_labels(trained_platform):
    bundle: Bundle = load_bundle(trained_platform.store, trained_platform.bundle_id)
    pixels = load_tensors(bundle.files["golden.safetensors"])["pixels"]

    probabilities = bundle.probabilities(pixels)

    assert probabilities.shape == (4, len(LABELS))
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-bundle.graph.logits(pixels))), atol=1e-6)


def _is_pickle(data: bytes) -> bool:
    """Tell whether an unpickler would get through the data to a STOP."""
    try:
        for _ in pickletools.genops(data):
            pass
    except Exception:
        return False
    return True


def test_the_search_for_pickles_finds_one(tmp_path: Path):
    import pickle

    assert _is_pickle(pickle.dumps({"weights": [1.0, 2.0]}))
