"""Where ladnn runs, read from the environment; secrets stay secret."""

import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from ladnn.errors import SettingsError
from ladnn.settings import Settings, read_settings, silence_services
from ladnn.signing import SigningKey

KEY = "q7rT-0mX2-vLp9-ZkWd"
SHARED = {"LADNN_STORE_URL": "s3://bucket/lab"}


def own_key(home: str) -> bytes:
    return read_settings({"LADNN_HOME": home}).pseudonym_key()


def test_without_variables_everything_lives_under_the_home_folder(tmp_path: Path) -> None:
    settings = read_settings({"LADNN_HOME": str(tmp_path / "a b")})
    assert settings.embedded
    assert settings.store_url == (tmp_path / "a b" / "store").as_uri()
    assert settings.tracking_uri == f"sqlite:///{tmp_path / 'a b' / 'mlflow' / 'mlflow.db'}"
    assert settings.cache.is_relative_to(settings.home)
    assert settings.artifact_root.is_relative_to(settings.home)
    assert list(tmp_path.iterdir()) == []
    assert read_settings({}).home == Path.home() / ".ladnn"


def test_the_home_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({"LADNN_HOME": "here"}).home == tmp_path / "here"
    assert read_settings({"LADNN_HOME": "~/there"}).home == Path.home() / "there"


def test_variables_win_over_defaults_and_empty_ones_count_as_not_set(tmp_path: Path) -> None:
    settings = read_settings(SHARED | {"LADNN_TRACKING_URI": "http://mlflow:5000", "AWS_DEFAULT_REGION": "eu-west-1"})
    assert settings.weights_url is None
    assert read_settings({"LADNN_WEIGHTS_URL": "file:///weights"}).weights_url == "file:///weights"
    assert not settings.embedded
    assert (settings.tracking_uri, settings.s3_region) == ("http://mlflow:5000", "eu-west-1")
    names = (
        "LADNN_STORE_URL",
        "LADNN_WEIGHTS_URL",
        "LADNN_TRACKING_URI",
        "LADNN_S3_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_REGION",
    )
    home = {"LADNN_HOME": str(tmp_path)}
    empty = read_settings(home | dict.fromkeys(names, "") | {"LADNN_PSEUDONYM_KEY": ""})
    assert empty == read_settings(home)


@pytest.mark.parametrize("url", ["/srv/ladnn", "https://user:hunter2@host/x", "gs://hunter2/x"])
def test_a_store_of_another_scheme_is_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(SettingsError, match="LADNN_STORE_URL") as caught:
        read_settings({"LADNN_STORE_URL": url})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError, match="LADNN_WEIGHTS_URL"):
        read_settings({"LADNN_WEIGHTS_URL": url})


def test_long_lived_credentials_are_passed_on_and_temporary_ones_left_to_boto3() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    settings = read_settings(SHARED | keys)
    assert (settings.s3_access_key_id, settings.s3_secret_access_key) == ("AKIA", "hunter2")
    temporary = read_settings(SHARED | keys | {"AWS_SESSION_TOKEN": "token"})
    assert (temporary.s3_access_key_id, temporary.s3_secret_access_key) == (None, None)


@pytest.mark.parametrize("url", ["s3://bucket/lab", "file:///mnt/lab/store", "file:///mnt/lab%20of%20homes/a/store"])
def test_a_shared_store_needs_a_key_that_all_hosts_share(url: str) -> None:
    shared = {"LADNN_STORE_URL": url, "LADNN_HOME": "/mnt/lab of homes/b"}
    with pytest.raises(SettingsError, match="LADNN_PSEUDONYM_KEY is not set"):
        read_settings(shared).pseudonym_key()
    with pytest.raises(SettingsError, match="LADNN_SIGNING_KEY is not set"):
        read_settings(shared).signing_key()
    assert read_settings(shared | {"LADNN_PSEUDONYM_KEY": KEY}).pseudonym_key() == KEY.encode()
    assert read_settings(shared | {"LADNN_HOME": "/mnt/lab of homes/a"}).embedded == (
        "homes/a" in url.replace("%20", " ")
    )


@pytest.mark.parametrize("url", ["s3://bucket/lab", "file:///srv/store"])
def test_a_short_key_is_refused_and_not_shown(url: str) -> None:
    settings = read_settings({"LADNN_STORE_URL": url, "LADNN_PSEUDONYM_KEY": "hunter2"})
    with pytest.raises(SettingsError, match="shorter than 16") as caught:
        settings.pseudonym_key()
    assert "hunter2" not in str(caught.value)


def test_an_own_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    key = own_key(str(tmp_path / "home"))
    assert len(key) == 64
    assert own_key(str(tmp_path / "home")) == key
    assert own_key(str(tmp_path / "other")) != key
    (path,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_processes_and_threads_agree_on_one_own_key(tmp_path: Path) -> None:
    for turn in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(own_key, [str(tmp_path / f"threads-{turn}")] * 8))) == 1
    with ProcessPoolExecutor(4, multiprocessing.get_context("forkserver")) as processes:
        for turn in range(5):
            assert len(set(processes.map(own_key, [str(tmp_path / f"processes-{turn}")] * 8))) == 1


def test_a_torn_own_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").write_bytes(b"")
    with pytest.raises(SettingsError, match="no whole key; restore it"):
        own_key(str(tmp_path))


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="LADNN_HOME"):
        own_key(str(tmp_path / "file" / "home"))


def test_a_signing_key_of_its_own_is_made_once_and_trusted(tmp_path: Path) -> None:
    settings = read_settings({"LADNN_HOME": str(tmp_path / "home")})
    assert settings.trusted_keys().keys == ()
    assert not (tmp_path / "home").exists(), "whoever only serves makes no key"
    key = settings.signing_key()
    assert settings.signing_key().text == key.text
    assert settings.trusted_keys().keys == (key.public,)
    (path,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"", b"ed25519-private:AAAA", b"\x80\xff"])
def test_a_torn_signing_key_is_refused(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "signing.key").write_bytes(torn)
    with pytest.raises(SettingsError, match=r"signing.key holds no ed25519-private"):
        read_settings({"LADNN_HOME": str(tmp_path)}).signing_key()


def test_with_a_shared_store_the_signing_key_must_be_given_and_serving_needs_none() -> None:
    key, old = SigningKey.new(), SigningKey.new()
    with pytest.raises(SettingsError, match="LADNN_SIGNING_KEY is not set"):
        read_settings(SHARED).signing_key()
    serving = read_settings(SHARED | {"LADNN_TRUSTED_KEYS": f"{key.public}, {old.public}"})
    assert serving.trusted_keys().keys == (key.public, old.public)
    assert not serving.can_sign
    retraining = read_settings(SHARED | {"LADNN_SIGNING_KEY": key.text, "LADNN_TRUSTED_KEYS": old.public})
    assert retraining.signing_key().text == key.text
    assert retraining.trusted_keys().keys == (old.public, key.public)
    assert key.text not in repr(retraining)


def test_keys_may_stand_in_files(tmp_path: Path) -> None:
    key, old = SigningKey.new(), SigningKey.new()
    (tmp_path / "private").write_text(key.text + "\n")
    (tmp_path / "public").write_text(f"{old.public}  # until March\n\n{key.public}\n")
    files = {"LADNN_SIGNING_KEY": str(tmp_path / "private"), "LADNN_TRUSTED_KEYS": str(tmp_path / "public")}
    settings = read_settings(SHARED | files)
    assert settings.signing_key().text == key.text
    assert settings.trusted_keys().keys == (old.public, key.public)
    with pytest.raises(SettingsError, match=r"LADNN_SIGNING_KEY names .*none"):
        read_settings(SHARED | {"LADNN_SIGNING_KEY": str(tmp_path / "none")}).signing_key()


def test_a_wrong_key_is_refused_and_not_shown() -> None:
    key = SigningKey.new()
    for wrong in ("hunter2", "ed25519-private:hunter2", key.public, key.text[:-1]):
        with pytest.raises(SettingsError, match="LADNN_SIGNING_KEY holds no") as caught:
            read_settings(SHARED | {"LADNN_SIGNING_KEY": wrong}).signing_key()
        assert wrong not in str(caught.value)
    with pytest.raises(SettingsError, match="LADNN_TRUSTED_KEYS holds a private key") as caught:
        read_settings(SHARED | {"LADNN_TRUSTED_KEYS": key.text}).trusted_keys()
    assert key.text not in str(caught.value)


def test_repr_hides_secrets() -> None:
    settings: Settings = read_settings(
        {
            "LADNN_TRACKING_URI": "postgresql://ladnn:hunter2@db/mlflow",
            "LADNN_S3_ENDPOINT_URL": "http://user:hunter2@minio:9000",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "LADNN_PSEUDONYM_KEY": "hunter2 hunter2 hunter2",
        }
    )
    assert "hunter2" not in repr(settings) + str(settings)


def test_silencing_keeps_what_the_operator_has_set() -> None:
    environment = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9"}
    silence_services(environment)
    assert environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "9"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"


@pytest.mark.parametrize(
    "key", ["changeme-changeme-1", "default-key-0123456", "Change_Me_Please_42", "please-change-me-0123"]
)
def test_a_key_that_anyone_can_guess_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="placeholder") as caught:
        read_settings(SHARED | {"LADNN_PSEUDONYM_KEY": key}).pseudonym_key()
    assert key not in str(caught.value)
