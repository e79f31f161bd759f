"""The bundle: content-addressed, checked before anything is served, no pickle, no patient's image."""

import hashlib
import json
import shutil
from importlib.metadata import version

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
from ladnn.registry.bundle import Bundle, describe, load_bundle, open_bundle
from ladnn.registry.bundle_assembly import assemble_bundle
from ladnn.store import canonical_json

FILES = ("bundle.json", "bundle.sig", "golden.safetensors", "model.onnx", "weights.safetensors")


def folder_of(platform, bundle_id=None):
    return platform.home / "store" / "bundles" / (bundle_id or platform.bundle_id)


def document_of(platform):
    return json.loads((folder_of(platform) / "bundle.json").read_bytes())


def served_is_refused(platform, match):
    """Both ways to a bundle refuse it: from the store, and from a folder such as MLflow downloads."""
    with pytest.raises(BundleError, match=match):
        load_bundle(platform.store, platform.bundle_id, platform.trusted)
    with pytest.raises(BundleError, match=match):
        open_bundle(folder_of(platform), platform.trusted)


def signed_anew(platform, document, **files):
    """Make an altered bundle as the owner of the key could: with the id and the signature that belong to it."""
    names = {f"{name}.safetensors": data for name, data in files.items()}
    document["files"] |= {name: hashlib.sha256(data).hexdigest() for name, data in names.items()}
    data = canonical_json(document)
    target = folder_of(platform, "b-" + hashlib.sha256(data).hexdigest()[:16])
    shutil.copytree(folder_of(platform), target)
    key = platform.settings.signing_key()
    for name, content in ({"bundle.json": data, "bundle.sig": key.sign(data)} | names).items():
        (target / name).write_bytes(content)
    return target


def test_a_bundle_states_everything_that_a_service_needs(trained_platform):
    bundle = load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted)
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
    assert manifest.lineage.retrain_id == trained_platform.retrain_id
    assert (manifest.lineage.parent, manifest.lineage.seed) == (None, EXPERIMENT.seed)
    assert manifest.lineage.n_train_images == trained_platform.version.splits["train"].n_images
    assert manifest.lineage.provenance.libraries["torch"].partition("+")[0] == version("torch").partition("+")[0]
    assert manifest.lineage.provenance.device.startswith(("cpu", "cuda"))
    assert describe(bundle)["threshold"] == manifest.threshold


def test_the_same_candidate_gives_the_same_id_and_the_same_bytes(platform):
    before = {path.name: path.read_bytes() for path in folder_of(platform).iterdir()}
    shutil.rmtree(platform.home / "store" / "bundles")

    again = assemble_bundle(
        platform.store,
        platform.plan,
        platform.trained,
        platform.validated,
        platform.settings.signing_key(),
        synthetic=True,
    )

    assert again == platform.bundle_id
    assert {path.name: path.read_bytes() for path in folder_of(platform).iterdir()} == before


def test_a_promotion_in_between_does_not_change_the_bundle_of_a_retrain_that_runs_again(platform):
    platform.promote("b-another", "1")

    assert platform.another_bundle(platform.validated.threshold) == platform.bundle_id


def test_another_operating_point_is_another_bundle(platform):
    other = platform.another_bundle(0.25)

    assert other != platform.bundle_id
    assert load_bundle(platform.store, other, platform.trusted).manifest.threshold == 0.25


@pytest.mark.parametrize("kind", ["weights", "graph"])
def test_weights_or_a_graph_that_training_did_not_write_are_not_bundled(platform, kind):
    path = platform.home / "store" / getattr(platform.trained, kind).key
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    shutil.rmtree(platform.home / "store" / ".sha256")

    with pytest.raises(DigestMismatchError, match="not what training wrote"):
        assemble_bundle(
            platform.store,
            platform.plan,
            platform.trained,
            platform.validated,
            platform.settings.signing_key(),
            synthetic=True,
        )


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
        served_is_refused(platform, "changed|is not signed by" if name == "bundle.sig" else "changed")


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
        open_bundle(folder, trained_platform.trusted)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(platform, name):
    (folder_of(platform) / name).unlink()

    served_is_refused(platform, "is not signed" if name == "bundle.sig" else "is incomplete")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(platform, name):
    path = folder_of(platform) / name
    path.write_bytes(path.read_bytes()[:-1])

    served_is_refused(platform, "changed|is not signed by" if name == "bundle.sig" else "changed")


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
        open_bundle(signed_anew(platform, document_of(platform), golden=save_tensors(golden)), platform.trusted)


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
    with pytest.raises(BundleError, match="release"):
        open_bundle(signed_anew(platform, document_of(platform) | change), platform.trusted)


def test_a_graph_of_another_size_than_the_preprocessing_is_refused(platform):
    document = document_of(platform)
    document["preprocessing"]["size_px"] = 192

    with pytest.raises(BundleError, match="192 px"):
        open_bundle(signed_anew(platform, document), platform.trusted)


def test_an_unknown_bundle_is_refused(trained_platform):
    with pytest.raises(BundleError, match="b-0000000000000000 is incomplete"):
        load_bundle(trained_platform.store, "b-0000000000000000", trained_platform.trusted)


def test_golden_inputs_are_phantoms(trained_platform):
    bundle = load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted)
    golden = load_tensors(bundle.files["golden.safetensors"])
    resize = bundle.manifest.preprocessing.apply

    expected = [resize(generate_study(0, index, n_slices=1).slices[0].pixels) for index in range(4)]
    assert np.array_equal(golden["pixels"], np.stack(expected))
    np.testing.assert_allclose(golden["logits"], bundle.graph.logits(golden["pixels"]), atol=1e-5)


def test_a_loaded_bundle_gives_probabilities_in_the_order_of_the_labels(trained_platform):
    bundle: Bundle = load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted)
    pixels = load_tensors(bundle.files["golden.safetensors"])["pixels"]

    probabilities = bundle.probabilities(pixels)

    assert probabilities.shape == (4, len(LABELS))
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-bundle.graph.logits(pixels))), atol=1e-6)
