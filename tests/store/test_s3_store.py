"""What the store on an S3 server promises beyond the interface: credentials, damage, lost replies, clear errors."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from s3_server import S3Server, faulty_proxy, running_strict_s3_server

from ladnn.errors import DigestMismatchError, SettingsError, StoreAccessError, StoreError
from ladnn.store import ObjectStore, S3Options, open_store

READ_ONLY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}],
}


@pytest.fixture(scope="module")
def strict_server() -> Iterator[tuple[S3Server, str]]:
    """A server that checks signatures, and its bucket, which the user may only read."""
    with running_strict_s3_server(READ_ONLY) as server_and_bucket:
        yield server_and_bucket


def bucket_of(store: ObjectStore) -> str:
    return urlsplit(store.url).netloc


def test_altered_bytes_are_noticed(s3_server: S3Server, s3_store: ObjectStore) -> None:
    s3_store.put("weights", b"\x00" * 1000)
    client, address = s3_server.client(), {"Bucket": bucket_of(s3_store), "Key": "lab/one/weights"}
    metadata = client.head_object(**address)["Metadata"]
    client.put_object(**address, Body=b"\x00" * 999 + b"\x01", Metadata=metadata)
    with pytest.raises(DigestMismatchError, match=r"'weights' .* damaged"):
        s3_store.get("weights")


def test_objects_of_others_are_read_unchecked_and_folder_markers_are_not_shown(
    s3_server: S3Server, s3_store: ObjectStore
) -> None:
    client, bucket = s3_server.client(), bucket_of(s3_store)
    for key in ("lab/one/", "lab/one/inbox/", "lab/one/inbox/.DS_Store", "lab/one/inbox/scan.png", "lab/two"):
        client.put_object(Bucket=bucket, Key=key, Body=b"dropped")
    assert list(s3_store.list("")) == ["inbox/scan.png"]
    assert s3_store.get("inbox/scan.png") == b"dropped"


def test_a_store_without_prefix_has_the_whole_bucket(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket()
    store = open_store(f"s3://{bucket}/", s3_server.options)
    store.put("a/b", b"1")
    assert store.url == f"s3://{bucket}"
    assert list(store.list("")) == ["a/b"]
    assert list(store.list("", "a/b")) == []


def test_a_write_whose_reply_was_lost_still_counts_as_created(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket()
    with faulty_proxy(s3_server, ["lost reply"]) as options:
        store = open_store(f"s3://{bucket}", options)
        assert store.put_if_absent("log/1", b"mine")
        assert not store.put_if_absent("log/1", b"mine")


def test_a_conflicting_write_is_tried_again(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket()
    with faulty_proxy(s3_server, ["conflict", "conflict"]) as options:
        assert open_store(f"s3://{bucket}", options).put_if_absent("log/1", b"mine")
    with faulty_proxy(s3_server, ["conflict"] * 99) as options, pytest.raises(StoreError, match="try again"):
        open_store(f"s3://{bucket}", options).put_if_absent("log/2", b"mine")


def test_a_missing_bucket_is_reported_with_the_setting_that_names_it(s3_server: S3Server) -> None:
    weights = open_store("s3://no-such-bucket/lab", s3_server.options, "LADNN_WEIGHTS_URL")
    with pytest.raises(StoreAccessError, match="correct LADNN_WEIGHTS_URL"):
        weights.get("a")
    store = open_store("s3://no-such-bucket/lab", s3_server.options)
    for act in (store.check_access, lambda: store.get("a"), lambda: store.put("a", b""), lambda: list(store.list(""))):
        with pytest.raises(StoreAccessError, match="s3://no-such-bucket/lab: no such bucket; create the bucket"):
            act()


def test_an_unreachable_server_is_reported() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://user:hunter2@127.0.0.1:{unused.getsockname()[1]}"
        store = open_store("s3://bucket", S3Options(address, "key", "hunter2", "us-east-1"))
        with pytest.raises(StoreAccessError, match=r"cannot reach 127.0.0.1:.*LADNN_S3_ENDPOINT_URL") as caught:
            store.check_access()
    assert "hunter2" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ladnn.store.s3._FIRST_ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = open_store("s3://bucket", S3Options(address, "key", "secret", "us-east-1"))
        with pytest.raises(StoreAccessError, match="ReadTimeoutError"):
            store.check_access()


def test_an_endpoint_that_is_no_url_is_reported() -> None:
    with pytest.raises(SettingsError, match="LADNN_S3_ENDPOINT_URL"):
        open_store("s3://bucket", S3Options("minio", "key", "secret", "us-east-1"))


def test_wrong_credentials_are_reported_without_the_secret(strict_server: tuple[S3Server, str]) -> None:
    server, bucket = strict_server
    for options, code in (
        (replace(server.options, secret_access_key="hunter2"), "SignatureDoesNotMatch"),
        (replace(server.options, access_key_id="AKIAUNKNOWN", secret_access_key="hunter2"), "InvalidAccessKeyId"),
    ):
        with pytest.raises(StoreAccessError, match=rf"s3://{bucket}: .* \({code}\); check AWS_ACCESS_KEY_ID") as caught:
            open_store(f"s3://{bucket}", options).check_access()
        assert "hunter2" not in str(caught.value)


def test_credentials_that_may_only_read_are_reported_on_writing(strict_server: tuple[S3Server, str]) -> None:
    server, bucket = strict_server
    store = open_store(f"s3://{bucket}", server.options)
    store.check_access()
    assert list(store.list("")) == []
    for act in (store.put, store.put_if_absent):
        with pytest.raises(StoreAccessError, match=r"may not do this \(AccessDenied\).*AWS_SECRET_ACCESS_KEY"):
            act("a", b"1")


def test_missing_credentials_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, s3_server: S3Server) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    options = replace(s3_server.options, access_key_id=None, secret_access_key=None)
    with pytest.raises(StoreAccessError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://bucket", options).check_access()
    with pytest.raises(StoreAccessError, match="set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://bucket", replace(options, access_key_id="half"))
