"""What a model and simple statistics see in pictures: what drift is looked for in, alike for stored and for served ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ladnn.dataset.intensity import intensity_statistics
from ladnn.dataset.pixels import read_pixels
from ladnn.errors import ObjectNotFoundError
from ladnn.labels import LABELS
from ladnn.progress import Steps, no_steps
from ladnn.registry.bundle import Bundle
from ladnn.store import ObjectStore
from ladnn.whole_file import write_whole

N_COMPONENTS = 32
"""Numbers that an embedding is reduced to, at most."""
_BATCH = 8
"""Pictures whose feature maps are held at once; they take up to some megabytes each."""
_REVISION = 1
"""Raised when the same picture would be described otherwise."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Looks:
    """What is seen in pictures.

    Attributes:
        probabilities: calibrated (N, 6).
        features: means of the backbone's maps (N, C).
        intensity: by name, each (N,).
    """

    probabilities: Floats
    features: Floats
    intensity: dict[str, Floats]

    def rows(self, start: int, stop: int) -> "Looks":
        """Return some of the pictures."""
        part = {name: values[start:stop] for name, values in self.intensity.items()}
        return Looks(self.probabilities[start:stop], self.features[start:stop], part)


@dataclass(frozen=True, slots=True)
class Reducer:
    """Principal components of a backbone's features.

    Attributes:
        mean: of the pictures that it was fitted to (C,).
        components: (K, C) with K at most `N_COMPONENTS`.
    """

    mean: Floats
    components: Floats

    def apply(self, features: Floats) -> Floats:
        """Reduce features (N, C) to (N, K)."""
        return (features - self.mean) @ self.components.T


def look(bundle: Bundle, pictures: Sequence[NDArray[np.uint8]]) -> Looks:
    """Look at canonical slices, uint8 (H, W) each, with a bundle's served graph."""
    manifest = bundle.manifest
    pixels = np.stack([manifest.preprocessing.apply(picture) for picture in pictures])
    logits, maps = bundle.graph.logits_and_maps(pixels)
    described = [intensity_statistics(picture) for picture in pictures]
    return Looks(
        probabilities=manifest.calibration.probabilities(logits),
        features=maps.mean(axis=(2, 3), dtype=np.float64),
        intensity={name: np.array([item[name] for item in described]) for name in described[0]},
    )


def look_at_stored(
    store: ObjectStore, bundle: Bundle, images: Sequence[str], cache: Path, on_step: Steps = no_steps
) -> Looks:
    """Look at stored images; what was seen is kept in the cache, under the digest of bundle and images.

    Args:
        store: holds the images.
        bundle: looks.
        images: their digests; at least one.
        cache: folder of the cache files.
        on_step: told how many images are done.

    Raises:
        DigestMismatchError: an image is damaged.
    """
    asked = "\n".join((bundle.id, str(_REVISION), *images))
    path = cache / "looks" / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.safetensors"
    if not path.exists():
        parts = []
        for start in range(0, len(images), _BATCH):
            parts.append(look(bundle, [read_pixels(store, name) for name in images[start : start + _BATCH]]))
            on_step(min(start + _BATCH, len(images)), len(images))
        _write(path, parts)
    tensors = load_tensors(path.read_bytes())
    probabilities, features = tensors.pop("probabilities"), tensors.pop("features")
    return Looks(probabilities, features, {name: tensors[name] for name in sorted(tensors)})


def fit_reducer(store: ObjectStore, bundle: Bundle, features: Floats) -> Reducer:
    """Fit principal components to features (N, C) of training images and keep them with the champion's name, once."""
    from sklearn.decomposition import PCA

    n_components = min(N_COMPONENTS, features.shape[1], max(1, len(features) - 1))
    fitted = PCA(n_components, svd_solver="full").fit(features)
    store.put_if_absent(_key(bundle.id), save_tensors({"mean": fitted.mean_, "components": fitted.components_}))
    kept = read_reducer(store, bundle.id)
    if kept is None:
        raise ObjectNotFoundError(f"{_key(bundle.id)} in {store.url} vanished after it was written; check the store")
    return kept


def read_reducer(store: ObjectStore, bundle_id: str) -> Reducer | None:
    """Read what `fit_reducer` kept of a bundle; None where nothing is kept yet."""
    if not store.exists(_key(bundle_id)):
        return None
    tensors = load_tensors(store.get(_key(bundle_id)))
    return Reducer(tensors["mean"], tensors["components"])


def named_probabilities(probabilities: Floats) -> dict[str, Floats]:
    """Return the columns of (N, 6) by label."""
    return {label: probabilities[:, column] for column, label in enumerate(LABELS)}


def _write(path: Path, parts: Sequence[Looks]) -> None:
    tensors = {
        "probabilities": np.concatenate([part.probabilities for part in parts]),
        "features": np.concatenate([part.features for part in parts]),
    }
    tensors |= {name: np.concatenate([part.intensity[name] for part in parts]) for name in parts[0].intensity}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save_tensors(tensors))


def _key(bundle_id: str) -> str:
    return f"drift/components/{bundle_id}.safetensors"
