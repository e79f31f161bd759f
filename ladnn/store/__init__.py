"""Owns what an object store is, and opens one by URL: `s3://bucket/prefix` or `file:///absolute/path`.

Nothing is ever deleted but checkpoints, which can be computed again. JSON documents have one canonical form, written
here.

    store = open_store("file:///srv/ladnn")
    write_json(store, "datasets/d1/card.json", {"n_records": 425})
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from ladnn.errors import SettingsError, StoreError
from ladnn.store.keys import check_key

_FORMS = "use file:///absolute/path or s3://bucket/prefix"


class ObjectStore(Protocol):
    """Whole objects under keys such as `datasets/d1/card.json`; safe to share between threads and processes.

    Parts of a key that begin with a dot are reserved: `list` does not show them and every other method refuses them.
    A key must not continue another key (`a` beside `a/b`), since files cannot do that.
    Any method may raise `StoreAccessError`, or `StoreError` for an unusable key or a failure of the store itself.
    """

    url: str

    def __hash__(self) -> int:
        """Stores are told apart by identity."""

    def list(self, prefix: str, start_after: str = "", skip: tuple[str, str] | None = None) -> Iterator[str]:
        """Yield the keys that begin with a prefix, strictly after a cursor, in the order of their UTF-8 bytes.

        Keys from the first of `skip`, which is not empty, to the second are passed over, at no cost where the store can.

        A foreign object whose key no other method accepts is listed too, so that it does not go unnoticed.
        """

    def exists(self, key: str) -> bool:
        """Tell whether an object has this key."""

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """Read a whole object, checked against the SHA-256 noted when it was written.

        An object that was put there by other means has no noted digest and is read unchecked.

        Raises:
            ObjectNotFoundError: no object has this key.
            ObjectTooLargeError: it has more than `max_bytes`; its bytes were not read.
            UnusableObjectError: it is no plain file, or may not be read.
            DigestMismatchError: the bytes are not those that were written.
        """

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object; durable on return, and readers see either the old or the new bytes, whole.

        Raises:
            StoreFullError: no space is left; an older object is untouched.
        """

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless one is there; of many writers exactly one gets True, the others change nothing.

        Raises:
            StoreFullError: no space is left; no object was made.
        """

    def discard(self, key: str) -> None:
        """Delete a checkpoint, if it is there; its key begins with `ladnn.store.keys.CHECKPOINTS`.

        Raises:
            StoreError: the key is that of anything else, which is never deleted.
        """

    def check_access(self) -> None:
        """Find out quickly whether the store can be used, or at least be read where it lies on a read-only disk.

        Raises:
            StoreAccessError: it cannot; the message says what to set.
        """


@dataclass(frozen=True)
class S3Options:
    """How to reach an S3 server; None leaves the choice to the AWS defaults (environment, profile, instance role)."""

    endpoint_url: str | None = None
    """Server other than Amazon's, such as `http://minio:9000`."""
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    region: str | None = None


def open_store(url: str, s3: S3Options | None = None, variable: str = "LADNN_STORE_URL") -> ObjectStore:
    """Open the store that a URL names, without touching it yet.

    Args:
        url: `s3://bucket/prefix` or `file:///absolute/path`.
        s3: how to reach an S3 server.
        variable: the setting that errors name.

    Raises:
        SettingsError: the URL is none that ladnn knows; the message does not repeat it, as it may hold a password.
        StoreAccessError: only half of the S3 credentials are given.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError(f"{variable} is not a URL; {_FORMS}")
    if scheme == "file":
        return _open_file(rest, variable)
    if scheme == "s3":
        return _open_s3(rest, s3 or S3Options(), variable)
    raise SettingsError(f"{variable} has the unknown scheme {scheme!r}; {_FORMS}")


def _open_file(path: str, variable: str) -> ObjectStore:
    from ladnn.store.file import FileStore

    if not path.startswith("/"):
        raise SettingsError(f"{variable} names no absolute path after file://; {_FORMS}")
    return FileStore(Path(unquote(path)))


def _open_s3(rest: str, options: S3Options, variable: str) -> ObjectStore:
    from ladnn.store.s3 import S3Store  # boto3 takes most of a second to import

    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", bucket):
        raise SettingsError(f"{variable} names no valid bucket after s3://; {_FORMS}")
    if prefix:
        try:
            check_key(prefix)
        except StoreError as error:
            raise SettingsError(f"{variable} names an unusable prefix: {error}") from error
    return S3Store(bucket, prefix, options, variable)


def canonical_json(document: Any) -> bytes:
    """Encode a document so that equal documents have equal bytes: sorted keys, no spaces, UTF-8.

    Raises:
        StoreError: the document holds something that JSON cannot, such as NaN.
    """
    try:
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"document is not JSON: {error}; use null where a number is missing") from error


def read_json(store: ObjectStore, key: str) -> Any:
    """Read a JSON document.

    Raises:
        ObjectNotFoundError: no object has this key.
        DigestMismatchError: the bytes are not those that were written.
        StoreError: the object is not JSON.
    """
    data = store.get(key)
    try:
        return json.loads(data)
    except ValueError as error:
        raise StoreError(f"object {key!r} in {store.url} is not a JSON document; restore it or name another") from error


def write_json(store: ObjectStore, key: str, document: Any) -> None:
    """Write or replace a document in canonical JSON."""
    store.put(key, canonical_json(document))


def write_json_if_absent(store: ObjectStore, key: str, document: Any) -> bool:
    """Write a document in canonical JSON unless an object has this key; tell whether it was written."""
    return store.put_if_absent(key, canonical_json(document))
