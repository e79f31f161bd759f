"""A bundle's signature: whoever has none of the trusted keys cannot make a model that is believed; no pickle is opened."""

import hashlib
import io
import json
import pickle
import pickletools
import shutil
import subprocess
import zipfile
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from challengers import decision_for, held, result_against_the_champion
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ladnn.errors import BundleError
from ladnn.governance.approval import answer
from ladnn.registry.approvals import give_answer, settle
from ladnn.registry.bundle import load_bundle, open_bundle
from ladnn.registry.bundle_assembly import assemble_bundle
from ladnn.registry.challenger import promote_challenger
from ladnn.registry.model_versions import MODEL, register
from ladnn.registry.named_models import open_download
from ladnn.registry.promotion import promotions
from ladnn.registry.rollback import roll_back
from ladnn.registry.test_set import open_test_set
from ladnn.serving.predictor import load_champion
from ladnn.serving.pyfunc import _load_pyfunc
from ladnn.serving.web import create_app
from ladnn.signing import SigningKey, TrustedKeys

FILES = ("bundle.json", "bundle.sig", "golden.safetensors", "model.onnx", "weights.safetensors")


def folder_of(platform):
    return platform.home / "store" / "bundles" / platform.bundle_id


def written(platform, name, data):
    """Replace a file as somebody with access to the store's disk could: the store notes no digest of it."""
    (folder_of(platform) / name).write_bytes(data)
    shutil.rmtree(platform.home / "store" / ".sha256" / "bundles", ignore_errors=True)


def unsigned(platform):
    (folder_of(platform) / "bundle.sig").unlink()


def signed_by_a_stranger(platform):
    written(platform, "bundle.sig", SigningKey.new().sign((folder_of(platform) / "bundle.json").read_bytes()))


def with_the_signature_of_another_bundle(platform):
    other = folder_of(platform).with_name(platform.another_bundle(0.3))
    written(platform, "bundle.sig", (other / "bundle.sig").read_bytes())


ATTACKS = pytest.mark.parametrize("attack", [unsigned, signed_by_a_stranger, with_the_signature_of_another_bundle])


@ATTACKS
def test_predictor_service_and_evaluation_refuse_it_and_say_what_to_do(champion_platform, attack):
    platform = champion_platform
    attack(platform)

    for use in (
        lambda: load_champion(platform.store, platform.trusted),
        lambda: create_app(platform.store, platform.trusted),
        lambda: open_bundle(folder_of(platform), platform.trusted),
        lambda: open_test_set(
            platform.store,
            platform.plan,
            platform.version,
            platform.bundle_id,
            platform.trusted,
            platform.settings.cache,
        ),
    ):
        with pytest.raises(
            BundleError, match=r"not signed.*(restore its bundle.sig|LADNN_TRUSTED_KEYS).*retrain with --force"
        ):
            use()


@ATTACKS
def test_promotion_approval_and_rollback_refuse_it_and_change_nothing(platform, tracking, attack):
    attack(platform)
    decision = held(platform)
    test = result_against_the_champion(platform)

    with pytest.raises(BundleError, match="not signed"):
        promote_challenger(
            platform.store, tracking, platform.trusted, decision_for(platform), test, by="gates", reason="all passed"
        )
    with pytest.raises(BundleError, match="not signed"):
        give_answer(platform.store, platform.trusted, decision, "approved", "A. Person", "fine")
    answer(platform.store, decision, "approved", "A. Person", "fine")  # before somebody changed the bundle
    with pytest.raises(BundleError, match="not signed"):
        settle(platform.store, tracking, platform.trusted, decision)
    assert promotions(platform.store) == []

    platform.promote(platform.bundle_id, "1")
    platform.promote("b-2", "2")
    with pytest.raises(BundleError, match="not signed"):
        roll_back(platform.store, platform.trusted, by="A. Person", reason="worse")
    assert len(promotions(platform.store)) == 2


def test_whoever_changes_a_bundle_and_its_id_and_its_digests_still_lacks_the_signature(platform):
    document = json.loads((folder_of(platform) / "bundle.json").read_bytes()) | {"threshold": 0.999}
    data = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    changed = folder_of(platform).with_name("b-" + hashlib.sha256(data).hexdigest()[:16])
    shutil.copytree(folder_of(platform), changed)
    (changed / "bundle.json").write_bytes(data)

    with pytest.raises(BundleError, match="not signed by a key"):
        load_bundle(platform.store, changed.name, platform.trusted)


def test_any_of_several_trusted_keys_is_enough_and_the_signer_is_named(platform):
    first = platform.settings.signing_key().public
    second = SigningKey.new()

    assert load_bundle(platform.store, platform.bundle_id, TrustedKeys((second.public, first))).signed_by == first
    with pytest.raises(BundleError, match="trusted here"):
        load_bundle(platform.store, platform.bundle_id, TrustedKeys((second.public,)))


@pytest.mark.parametrize("before", [unsigned, signed_by_a_stranger])
def test_a_retrain_that_runs_again_signs_its_bundle_with_the_key_of_now(platform, before):
    before(platform)
    key = SigningKey.new()

    again = assemble_bundle(platform.store, platform.plan, platform.trained, platform.validated, key, synthetic=True)

    assert again == platform.bundle_id
    assert load_bundle(platform.store, again, TrustedKeys((key.public,))).signed_by == key.public


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_the_signature(platform, tmp_path):
    raw = urlsafe_b64decode(str(platform.trusted).removeprefix("ed25519:") + "=")
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "key.pem").write_bytes(pem)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "key.pem", "-rawin"]
    command += ["-in", folder_of(platform) / "bundle.json", "-sigfile", folder_of(platform) / "bundle.sig"]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@ATTACKS
def test_mlflows_loader_refuses_it(platform, attack, monkeypatch):
    monkeypatch.setenv("LADNN_HOME", str(platform.home))
    assert _load_pyfunc(str(folder_of(platform)))
    attack(platform)

    with pytest.raises(BundleError, match="not signed"):
        _load_pyfunc(str(folder_of(platform)))


def test_the_upload_to_mlflow_carries_the_signature(platform, tracking, tmp_path):
    bundle = load_bundle(platform.store, platform.bundle_id, platform.trusted)
    run_id = tracking.variant_run(platform.retrain_id, "a", {})
    register(tracking, bundle, run_id)
    source = tracking.client.get_model_version(MODEL, "1").source.removeprefix("file://")

    assert open_bundle(Path(source) / "data" / bundle.id, platform.trusted).signed_by == str(platform.trusted)
    assert open_download(Path(source), platform.trusted).id == bundle.id


class _Exploit:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("name", [*FILES, "model.pkl", "python_model.pkl", "weights.pt"])
def test_a_planted_pickle_is_never_opened(champion_platform, tmp_path, name):
    evidence = tmp_path / "the pickle was opened"
    planted = pickle.dumps(_Exploit(evidence))
    written(champion_platform, name, planted)

    for load in (
        lambda: load_champion(champion_platform.store, champion_platform.trusted),
        lambda: open_bundle(folder_of(champion_platform), champion_platform.trusted),
    ):
        if name in FILES:
            with pytest.raises(BundleError, match=r"changed|not signed"):
                load()
        else:
            load()
    assert not evidence.exists()
    pickle.loads(planted).close()
    assert evidence.exists(), "the pickle of this test does nothing, so that it proves nothing"


@pytest.mark.parametrize("name", ["golden.safetensors", "model.onnx", "weights.safetensors"])
def test_not_even_a_pickle_that_the_owner_of_the_key_signed_is_opened(platform, tmp_path, name):
    evidence = tmp_path / "the pickle was opened"
    planted = pickle.dumps(_Exploit(evidence))
    document = json.loads((folder_of(platform) / "bundle.json").read_bytes())
    document["files"][name] = hashlib.sha256(planted).hexdigest()
    data = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    changed = folder_of(platform).with_name("b-" + hashlib.sha256(data).hexdigest()[:16])
    shutil.copytree(folder_of(platform), changed)
    for file, content in {name: planted, "bundle.json": data, "bundle.sig": None}.items():
        (changed / file).write_bytes(platform.settings.signing_key().sign(data) if content is None else content)

    with pytest.raises(BundleError):
        open_bundle(changed, platform.trusted).attention()
    assert not evidence.exists()


def test_no_file_of_a_bundle_is_or_holds_a_pickle(trained_platform):
    for path in folder_of(trained_platform).iterdir():
        data = path.read_bytes()
        assert not zipfile.is_zipfile(io.BytesIO(data)), f"{path.name} is an archive, as torch's pickles are"
        assert not _is_pickle(data), f"{path.name} is a pickle"


def _is_pickle(data: bytes) -> bool:
    """Tell whether an unpickler would get through the data to a STOP."""
    try:
        for _ in pickletools.genops(data):
            pass
    except Exception:
        return False
    return True


def test_the_search_for_pickles_finds_one():
    assert _is_pickle(pickle.dumps({"weights": [1.0, 2.0]}))
