"""Pixels of a set of records at a network's input size: decoded once, kept in a memory-mapped cache file.

The cache can be deleted at any time; its name is the digest of what it was made from.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ladnn.dataset.canonical_form import Framing
from ladnn.errors import DigestMismatchError, ImageRejectedError
from ladnn.intake.decode import canonical_digest, decode_canonical
from ladnn.intake.record import image_key
from ladnn.progress import Steps, no_steps
from ladnn.store import ObjectStore

_THREADS = 4


def load_pixels(
    store: ObjectStore, images: Sequence[str], framing: Framing, cache: Path, on_step: Steps = no_steps
) -> NDArray[np.uint8]:
    """Return the images' pixels at input size, uint8 (N, S, S), read-only and memory-mapped.

    Args:
        store: holds the canonical images.
        images: their digests, in the order of the result.
        framing: the network's preprocessing; recipes that differ in its tones alone share a file.
        cache: folder of the cache files.
        on_step: told how many images are decoded.

    Raises:
        DigestMismatchError: an image is not the one that its digest states.
    """
    shape = (len(images), framing.size_px, framing.size_px)
    if not images:
        return np.empty(shape, dtype=np.uint8)
    path = cache / "pixels" / f"{_digest(images, framing)}.npy"
    pixels = _cached(path, shape)
    if pixels is None:
        _make(path, store, images, framing, on_step)
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    return pixels


def _cached(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8] | None:
    """Open a cache file; None where it is missing or torn, and is to be made."""
    try:
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _make(path: Path, store: ObjectStore, images: Sequence[str], framing: Framing, on_step: Steps) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{uuid4().hex}.npy")
    try:
        pixels = np.lib.format.open_memmap(
            draft, mode="w+", dtype=np.uint8, shape=(len(images), framing.size_px, framing.size_px)
        )
        with draft.open("r+b") as file:  # a mapped page that finds no room would kill the process, without an error
            os.posix_fallocate(file.fileno(), 0, draft.stat().st_size)
        with ThreadPoolExecutor(_THREADS) as threads:
            for row, piece in enumerate(threads.map(lambda digest: framing.apply(read_pixels(store, digest)), images)):
                pixels[row] = piece
                on_step(row + 1, len(images))
        pixels.flush()
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_pixels(store: ObjectStore, digest: str) -> NDArray[np.uint8]:
    """Read one canonical image at its own size, uint8 (H, W).

    Raises:
        DigestMismatchError: it is not the one that its digest states.
    """
    data = store.get(image_key(digest))
    try:
        pixels = decode_canonical(data)
    except ImageRejectedError:
        pixels = None
    if pixels is None or canonical_digest(pixels) != digest:
        raise DigestMismatchError(
            f"image {digest} in {store.url} is damaged: its pixels have another digest; restore it"
        )
    return pixels


def _digest(images: Sequence[str], framing: Framing) -> str:
    text = "\n".join((framing.model_dump_json(include=set(Framing.model_fields)), *images))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
