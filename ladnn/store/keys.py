"""Owns which keys an object may have, and how large one may be that is read, the same in every kind of store."""

import re

from ladnn.errors import ObjectTooLargeError, StoreError

CHECKPOINTS = "checkpoints/"
"""What is below can be computed again; all else is kept for ever."""

# Control characters, the backslash that Windows takes for a slash, and the surrogates that stand for non-UTF-8 names.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")


def check_key(key: str) -> None:
    """Refuse a key that could leave the store's root or that some store cannot hold.

    Raises:
        StoreError: the key has an empty part, one that begins with a dot, or an unusable character.
    """
    if _UNUSABLE.search(key):
        raise StoreError(f"key {key!r} holds a control character, a backslash or no UTF-8; rename the object")
    for part in key.split("/"):
        if not part:
            raise StoreError(f"key {key!r} has an empty part; write it as part/part, without slashes at its ends")
        if part.startswith("."):
            raise StoreError(f"key {key!r} has a part that begins with a dot, which is reserved; rename the object")


def check_discardable(key: str) -> None:
    """Refuse to delete what cannot be computed again.

    Raises:
        StoreError: see `check_key`; or the key is that of no checkpoint.
    """
    check_key(key)
    if not key.startswith(CHECKPOINTS):
        raise StoreError(f"object {key!r} is never deleted; only what lies below {CHECKPOINTS} is")


def check_prefix(prefix: str) -> str:
    """Refuse a prefix that no key can begin with; return its folder, the part up to the last slash, or nothing.

    Raises:
        StoreError: see `check_key`; the last part may be empty or incomplete.
    """
    folder, slash, name = prefix.rpartition("/")
    if slash:
        check_key(folder)
    if name:
        check_key(name)
    return folder


def is_reserved(key: str) -> bool:
    """Tell whether a part of a key begins with a dot."""
    return key.startswith(".") or "/." in key


def check_size(key: str, n_bytes: int, max_bytes: int | None) -> None:
    """Refuse to read an object that is larger than its reader takes.

    Raises:
        ObjectTooLargeError: it has more bytes.
    """
    if max_bytes is not None and n_bytes > max_bytes:
        raise ObjectTooLargeError(f"object {key!r} has {n_bytes} bytes, more than the {max_bytes} that are read")
