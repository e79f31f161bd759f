"""The pixel cache gives what direct preprocessing gives, and can be lost at any time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import picture

from ladnn.dataset.pixels import load_pixels
from ladnn.errors import DigestMismatchError, ObjectNotFoundError
from ladnn.intake.decode import canonical_digest, encode_canonical
from ladnn.intake.record import image_key
from ladnn.model.preprocessing import Preprocessing
from ladnn.store import ObjectStore

SMALL = Preprocessing(size_px=32, interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1))
PICTURES = [picture(number, (40 + number, 64)) for number in range(7)]
IMAGES = [canonical_digest(pixels) for pixels in PICTURES]


class CountingStore:
    """A store that counts reads."""

    def __init__(self, store: ObjectStore) -> None:
        self.store, self.url, self.n_reads, self.lock = store, store.url, 0, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def get(self, key: str) -> bytes:
        with self.lock:
            self.n_reads += 1
        return self.store.get(key)


@pytest.fixture
def counted(file_store: ObjectStore) -> CountingStore:
    """A store that holds the pictures."""
    for pixels, digest in zip(PICTURES, IMAGES, strict=True):
        file_store.put(image_key(digest), encode_canonical(pixels))
    return CountingStore(file_store)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_recipes_that_show_other_tones_of_the_same_pixels_share_a_file(counted: CountingStore, cache: Path) -> None:
    for framing in (
        SMALL,
        SMALL.model_copy(update={"gamma": (0.6, 1, 1.6)}),
        SMALL.model_copy(update={"mean": (1, 1, 1)}),
    ):
        load_pixels(counted, IMAGES, framing, cache)
    assert counted.n_reads == len(IMAGES)
    load_pixels(counted, IMAGES, SMALL.model_copy(update={"interpolation": "bilinear"}), cache)
    assert counted.n_reads == 2 * len(IMAGES)


def test_the_cache_equals_direct_preprocessing_in_the_order_asked_for(counted: CountingStore, cache: Path) -> None:
    order = [3, 0, 6, 6, 1]
    loaded = load_pixels(counted, [IMAGES[number] for number in order], SMALL, cache)
    assert loaded.dtype == np.uint8
    assert np.array_equal(loaded, np.stack([SMALL.apply(PICTURES[number]) for number in order]))
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 0


def test_the_cache_is_made_once_and_losing_it_is_harmless(counted: CountingStore, cache: Path) -> None:
    steps: list[tuple[int, int]] = []
    first = np.array(load_pixels(counted, IMAGES, SMALL, cache, lambda done, total: steps.append((done, total))))
    assert steps == [(done, 7) for done in range(1, 8)]
    assert counted.n_reads == 7
    load_pixels(counted, IMAGES, SMALL, cache)
    assert counted.n_reads == 7
    (path,) = (cache / "pixels").iterdir()
    for damage in (None, b"", path.read_bytes()[:-1], b"rotten" * 99, b"\x93NUMPY"):
        path.unlink() if damage is None else path.write_bytes(damage)
        assert np.array_equal(load_pixels(counted, IMAGES, SMALL, cache), first)
    assert counted.n_reads == 7 * 6
    assert list((cache / "pixels").iterdir()) == [path]


def test_other_images_order_or_preprocessing_have_another_cache(counted: CountingStore, cache: Path) -> None:
    for images, resize in (
        (IMAGES, SMALL),
        (IMAGES[:3], SMALL),
        (IMAGES[::-1], SMALL),
        (IMAGES, SMALL.model_copy(update={"interpolation": "bilinear"})),
        (IMAGES, SMALL.model_copy(update={"size_px": 40})),
    ):
        loaded = load_pixels(counted, images, resize, cache)
        expected = {digest: resize.apply(pixels) for digest, pixels in zip(IMAGES, PICTURES, strict=True)}
        assert np.array_equal(loaded, np.stack([expected[digest] for digest in images]))
    assert len(list((cache / "pixels").iterdir())) == 5


def test_no_image_needs_no_cache(file_store: ObjectStore, cache: Path) -> None:
    assert load_pixels(file_store, [], SMALL, cache).shape == (0, 32, 32)
    assert not cache.exists()


@pytest.mark.parametrize(
    "data",
    [encode_canonical(PICTURES[0]), b"", b"rotten", encode_canonical(PICTURES[2])[:99]],
    ids=["another image", "empty", "no image", "truncated"],
)
def test_a_damaged_image_is_found_and_no_cache_is_left(counted: CountingStore, cache: Path, data: bytes) -> None:
    counted.store.put(image_key(IMAGES[2]), data)
    with pytest.raises(DigestMismatchError, match=f"image {IMAGES[2]} .* restore it"):
        load_pixels(counted, IMAGES, SMALL, cache)
    assert list((cache / "pixels").iterdir()) == []


def test_a_missing_image_is_an_error_and_no_cache_is_left(counted: CountingStore, cache: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        load_pixels(counted, [*IMAGES, "0" * 64], SMALL, cache)
    assert list((cache / "pixels").iterdir()) == []


def test_many_makers_of_one_cache_do_not_disturb_each_other(counted: CountingStore, cache: Path) -> None:
    with ThreadPoolExecutor(6) as threads:
        loaded = list(threads.map(lambda _: load_pixels(counted, IMAGES, SMALL, cache), range(6)))
    expected = np.stack([SMALL.apply(pixels) for pixels in PICTURES])
    assert all(np.array_equal(pixels, expected) for pixels in loaded)
    assert len(list((cache / "pixels").iterdir())) == 1
