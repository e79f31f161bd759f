"""A store without some of its objects: what goes on with the rest of a store where a part of it is damaged."""

from collections.abc import Iterator, Sequence

from ladnn.errors import ObjectNotFoundError
from ladnn.store import ObjectStore


class HidingStore:
    """Another store, of which keys that begin with certain prefixes cannot be seen; see `ObjectStore`."""

    def __init__(self, store: ObjectStore, prefixes: Sequence[str]) -> None:
        self.url, self._store, self._prefixes = store.url, store, tuple(prefixes)

    def list(self, prefix: str, start_after: str = "", skip: tuple[str, str] | None = None) -> Iterator[str]:
        """See `ObjectStore.list`."""
        return (key for key in self._store.list(prefix, start_after, skip) if not self._hides(key))

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        return not self._hides(key) and self._store.exists(key)

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        if self._hides(key):
            raise ObjectNotFoundError(f"object {key!r} of {self.url} is left out here")
        return self._store.get(key, max_bytes)

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self._store.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `ObjectStore.put_if_absent`."""
        return self._store.put_if_absent(key, data)

    def discard(self, key: str) -> None:
        """See `ObjectStore.discard`."""
        self._store.discard(key)

    def check_access(self) -> None:
        """See `ObjectStore.check_access`."""
        self._store.check_access()

    def _hides(self, key: str) -> bool:
        return key.startswith(self._prefixes)
