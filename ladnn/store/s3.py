"""Owns the object store on an S3 server; the only module that knows boto3, and slow to import because of it.

The server must honour conditional writes (`If-None-Match: *`), as Amazon S3 does:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import base64
import hashlib
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from botocore import exceptions as boto
from botocore.config import Config

from ladnn.errors import (
    DigestMismatchError,
    ObjectNotFoundError,
    SettingsError,
    StoreAccessError,
    StoreError,
    StoreFullError,
)
from ladnn.store import S3Options
from ladnn.store.keys import check_discardable, check_key, check_prefix, check_size, is_reserved

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_VARIABLES = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 60
_N_ATTEMPTS = 4
_FIRST_ANSWER_S = 10
"""So long the first question of a command waits: a person who mistyped the address should not wait for minutes."""
_N_CONNECTIONS = 32
_CONFLICT_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_CONFLICT = 409  # another conditional write of this key was under way
_PRECONDITION_FAILED = 412  # an object has this key
_NOT_FOUND = {"NoSuchKey", "404"}
_UNKNOWN_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}
_FORBIDDEN_STATUSES = {401, 403}
_INSUFFICIENT_STORAGE = 507


class S3Store:
    """An `ObjectStore` under a prefix (possibly empty, without slashes at its ends) of a bucket."""

    def __init__(self, bucket: str, prefix: str, options: S3Options, variable: str) -> None:
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._address, self._variable = _address(options), variable
        if (options.access_key_id is None) != (options.secret_access_key is None):
            raise StoreAccessError(f"{self.url}: only half of the credentials is given; set both {_VARIABLES}")
        with self._explained():
            self._client = _client(options, _READ_TIMEOUT_S, _N_ATTEMPTS)
        self._options = options

    def list(self, prefix: str, start_after: str = "", skip: tuple[str, str] | None = None) -> Iterator[str]:
        """See `ObjectStore.list`; asks for a page of 1000 keys at a time."""
        check_prefix(prefix)
        keys = self._listed(prefix, start_after)
        first, last = skip or ("", "")
        if not first or first.encode() > last.encode():
            return keys
        before = takewhile(lambda key: key.encode() < first.encode(), keys)
        return chain(before, self._listed(prefix, max(start_after, last, key=str.encode)))

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        try:
            self._metadata(key)
        except ObjectNotFoundError:
            return False
        return True

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        with self._explained(key):
            reply = self._client.get_object(Bucket=self._bucket, Key=self._full(key))
            with closing(reply["Body"]) as body:
                check_size(key, reply["ContentLength"], max_bytes)
                data = body.read()
        noted = reply["Metadata"].get("sha256")
        if noted not in {None, hashlib.sha256(data).hexdigest()}:
            raise self._mismatch(key)
        return data

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        with self._explained(key):
            self._send(key, data, {}, {})

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `ObjectStore.put_if_absent`."""
        writer = uuid4().hex
        for wait_s in _CONFLICT_WAITS_S:
            status = self._create(key, data, writer)
            if status == _PRECONDITION_FAILED:
                # The object may be this very write, sent again by the client because the first reply was lost.
                return self._metadata(key).get("writer") == writer
            if status != _CONFLICT:
                return True
            time.sleep(wait_s)
        raise StoreError(f"object {key!r} in {self.url} is being written by too many others; try again")

    def discard(self, key: str) -> None:
        """See `ObjectStore.discard`."""
        check_discardable(key)
        with self._explained(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    def check_access(self) -> None:
        """See `ObjectStore.check_access`; lists one key, since a probe could not be deleted again."""
        try:
            with self._explained():
                first = _client(self._options, _FIRST_ANSWER_S, n_attempts=2)
                first.list_objects_v2(Bucket=self._bucket, Prefix=self._root, MaxKeys=1)
        except ObjectNotFoundError as error:
            raise StoreAccessError(
                f"{self.url}: {self._address} answers, but not as an S3 server with this bucket; "
                f"check LADNN_S3_ENDPOINT_URL and {self._variable}"
            ) from error

    def _full(self, key: str) -> str:
        check_key(key)
        return self._root + key

    def _listed(self, prefix: str, start_after: str) -> Iterator[str]:
        cursor = self._root + start_after
        after: dict[str, Any] = {"StartAfter": cursor} if cursor else {}
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self._bucket, Prefix=self._root + prefix, **after)
        with self._explained():
            for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self._root)
                    if not is_reserved(key) and not key.endswith("/"):  # consoles make empty objects for folders
                        yield key

    def _metadata(self, key: str) -> dict[str, str]:
        with self._explained(key):
            return self._client.head_object(Bucket=self._bucket, Key=self._full(key))["Metadata"]

    def _create(self, key: str, data: bytes, writer: str) -> int:
        """Try once to create an object; return the HTTP status."""
        with self._explained(key):
            try:
                self._send(key, data, {"writer": writer}, {"IfNoneMatch": "*"})
            except boto.ClientError as error:
                if _status(error) in {_CONFLICT, _PRECONDITION_FAILED}:
                    return _status(error)
                raise
        return 200

    def _send(self, key: str, data: bytes, metadata: dict[str, str], condition: dict[str, Any]) -> None:
        digest = hashlib.sha256(data)
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._full(key),
            Body=data,
            Metadata={"sha256": digest.hexdigest(), **metadata},
            ChecksumSHA256=base64.b64encode(digest.digest()).decode(),  # the server refuses other bytes
            **condition,
        )

    def _mismatch(self, key: str) -> DigestMismatchError:
        return DigestMismatchError(f"object {key!r} in {self.url} is damaged or was altered", "restore it from backup")

    @contextmanager
    def _explained(self, key: str = "") -> Iterator[None]:
        """Turn an error of boto3 into one that says what to do."""
        try:
            yield
        except boto.FlexibleChecksumError as error:
            raise self._mismatch(key) from error
        except boto.ClientError as error:
            raise self._refusal(key, error) from error
        except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
            raise StoreAccessError(f"{self.url}: no complete credentials; set {_VARIABLES}") from error
        except (boto.HTTPClientError, boto.ConnectionError) as error:
            raise StoreAccessError(
                f"{self.url}: cannot reach {self._address} ({type(error).__name__});"
                " check LADNN_S3_ENDPOINT_URL and the network"
            ) from error
        except boto.BotoCoreError as error:
            raise StoreError(f"{self.url}: {_line(error)}; check the AWS_ and LADNN_S3_ variables") from error

    def _refusal(self, key: str, error: boto.ClientError) -> StoreError:
        code = error.response["Error"].get("Code", "")
        status = _status(error)
        if code in _NOT_FOUND:
            return ObjectNotFoundError(f"no object {key!r} in {self.url}", "check the key, or run what makes it first")
        if code == "NoSuchBucket":
            return StoreAccessError(f"{self.url}: no such bucket; create the bucket or correct {self._variable}")
        if status == _INSUFFICIENT_STORAGE or "QuotaExceeded" in code:
            return StoreFullError(f"{self.url}: no space left to write {key!r} ({code}); free space or raise the quota")
        if code in _UNKNOWN_CREDENTIALS:
            return StoreAccessError(f"{self.url}: the server refused the credentials ({code}); check {_VARIABLES}")
        if status in _FORBIDDEN_STATUSES:
            return StoreAccessError(
                f"{self.url}: these credentials may not do this ({code});"
                f" check {_VARIABLES}, or let them list, read and write the bucket"
            )
        return StoreError(f"{self.url}: {_line(error)}; check {self._variable}, LADNN_S3_ENDPOINT_URL and the server")


def _client(options: S3Options, read_timeout_s: int, n_attempts: int) -> "S3Client":
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": n_attempts},
        max_pool_connections=_N_CONNECTIONS,
        # Servers other than Amazon's rarely have a host name for every bucket.
        s3={"addressing_style": "path"} if options.endpoint_url else {},
    )
    try:
        session = boto3.Session(  # one of its own: boto3's default session is not safe to share between threads
            options.access_key_id, options.secret_access_key, region_name=options.region
        )
        return session.client("s3", endpoint_url=options.endpoint_url, config=config)
    except ValueError as error:
        raise SettingsError("LADNN_S3_ENDPOINT_URL is not a URL; write it as http://host:port") from error


def _address(options: S3Options) -> str:
    """Name the server without a password that its URL may hold."""
    if not options.endpoint_url:
        return "Amazon S3"
    return options.endpoint_url.rpartition("@")[2]


def _status(error: boto.ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
