"""Attention maps against the package grad-cam, which differentiates with torch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from settled_networks import phantom_slices, settle
from torch import Tensor, nn

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.dataset.canonical_form import CanonicalForm
from ladnn.errors import BundleError
from ladnn.evaluation.attention import (
    AttentionSource,
    attention_maps,
    channel_weights,
    fine_maps,
    grad_cam_plus_plus,
    onto_picture,
    scale,
    upsample,
)
from ladnn.evaluation.heads import Heads
from ladnn.labels import LABELS
from ladnn.model.backbones import BACKBONES
from ladnn.model.export import export_onnx, weights_to_safetensors
from ladnn.model.network import LADNN, build_network
from ladnn.model.pooling import StatisticsPooling, with_regions
from ladnn.model.preprocessing import Preprocessing
from ladnn.model.regions import N_REGIONS
from ladnn.model.weights import WeightsSource
from ladnn.phantoms.study import generate_study

SIZE_PX = 128
_QUICK = {("resnet18", "average"), ("efficientnet_lite0", "statistics")}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the images are few and the cores shared
    yield
    torch.set_num_threads(n_threads)


def _network(backbone: str, task: str = "ladnn", pooling: str = "average") -> LADNN:
    """Random weights whose batch-norm statistics fit the slices, as after training, so that maps are not all but 0."""
    variant = Variant(backbone=backbone, task=task)
    network = build_network(variant, TrainingConfig(weights="random", pooling=pooling), 5, WeightsSource())
    network.preprocessing = network.preprocessing.model_copy(update={"size_px": SIZE_PX})
    settle(network, _slices(network.preprocessing, 8))
    return network


def _slices(preprocessing: Preprocessing, n: int) -> np.ndarray:
    return phantom_slices(preprocessing, 4, n)


class _OfMaps(nn.Module):
    """The network behind a layer that the reference can hook: the maps, those of both signs taken apart."""

    def __init__(self, network: LADNN, pixels: Tensor) -> None:
        super().__init__()
        self.network, self.maps = network, nn.Identity()
        self.of_two_signs, self.density = isinstance(network.embedding, StatisticsPooling), network.density(pixels)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.network.features(images)
        if not self.of_two_signs:
            return self.network.classify(self.maps(maps))
        above, below = self.maps(torch.cat([maps.relu(), (-maps).relu()], 1)).chunk(2, 1)
        return self.network.classify(with_regions(above - below, self.density))


@contextmanager
def _reference(network: LADNN, pixels: np.ndarray) -> Iterator[Callable[[int], tuple[np.ndarray, np.ndarray]]]:
    """Yield what returns the reference's unscaled maps of an output and those that it scaled to the slices' size."""
    cam_module = pytest.importorskip("pytorch_grad_cam", reason="the package grad-cam is a development dependency")
    whole, images = _OfMaps(network, torch.from_numpy(pixels)), network.normalise(torch.from_numpy(pixels))
    with cam_module.GradCAMPlusPlus(whole, [whole.maps]) as cam:

        def maps(output: int) -> tuple[np.ndarray, np.ndarray]:
            scaled = cam(images, [lambda logits: logits[output]] * len(pixels))
            watched = cam.activations_and_grads
            activations, gradients = watched.activations[0].numpy(), watched.gradients[0].numpy()
            return np.maximum(cam.get_cam_image(images, whole.maps, None, activations, gradients), 0), scaled

        yield maps


@pytest.mark.parametrize(
    ("backbone", "pooling"),
    [
        pytest.param(name, pooling, marks=() if (name, pooling) in _QUICK else pytest.mark.slow)
        for name in BACKBONES
        for pooling in ("average", "statistics")
    ],
)
def test_maps_equal_those_of_an_independent_implementation(backbone: str, pooling: str) -> None:
    network = _network(backbone, pooling=pooling)
    source = AttentionSource.of_files(export_onnx(network), weights_to_safetensors(network), network.preprocessing)
    pixels = _slices(network.preprocessing, 3)

    maps = attention_maps(source.graph, source.heads, pixels)
    ours = grad_cam_plus_plus(source.heads, source.graph.logits_and_maps(pixels)[1])

    assert maps.shape == (3, len(LABELS), *source.graph.maps_shape[1:])
    with _reference(network, pixels) as reference:
        for output in range(len(LABELS)):
            unscaled, scaled = reference(output)
            np.testing.assert_allclose(ours[:, output], unscaled, atol=1e-4 * unscaled.max())
            upsampled = np.stack([upsample(map_, SIZE_PX, SIZE_PX) for map_ in maps[:, output]])
            assert scaled.max() > 0.9  # the comparison is not one of empty maps
            np.testing.assert_allclose(upsampled, scaled, atol=1e-4)


@pytest.fixture(scope="module")
def baseline() -> AttentionSource:
    network = _network("efficientnet_lite0", "baseline")
    return AttentionSource.of_files(export_onnx(network), weights_to_safetensors(network), network.preprocessing)


def test_a_baseline_has_a_map_of_the_diagnosis_alone(baseline: AttentionSource) -> None:
    pixels = _slices(baseline.preprocessing, 2)
    assert attention_maps(baseline.graph, baseline.heads, pixels).shape[:2] == (2, 1)
    with pytest.raises(BundleError, match="no head for GGO"):
        attention_maps(baseline.graph, baseline.heads, pixels, ["covid", "GGO"])


def test_a_map_does_not_depend_on_the_other_slices_of_its_batch(baseline: AttentionSource) -> None:
    pixels = _slices(baseline.preprocessing, 3)
    together = attention_maps(baseline.graph, baseline.heads, pixels)
    one_by_one = attention_maps(baseline.graph, baseline.heads, pixels, batch_size=1)
    np.testing.assert_allclose(one_by_one, together, atol=1e-4)


def test_a_fine_map_interleaves_the_maps_of_the_slice_shifted_by_parts_of_a_cell(baseline: AttentionSource) -> None:
    (pixels,) = _slices(baseline.preprocessing, 1)
    (coarse,), (fine,) = (fine_maps(baseline.graph, baseline.heads, pixels, fineness=n) for n in (1, 2))
    np.testing.assert_allclose(coarse, attention_maps(baseline.graph, baseline.heads, pixels[None])[0, 0], atol=1e-5)
    assert fine.shape == (2 * coarse.shape[0], 2 * coarse.shape[1])

    quarter = SIZE_PX // len(coarse) // 4
    wide = np.pad(pixels, quarter, mode="edge")
    _, features = baseline.graph.logits_and_maps(pixels[None])
    weights = channel_weights(features, baseline.heads.gradients(features))[0, 0]
    expected = np.zeros(fine.shape)
    for row, top in enumerate((0, 2 * quarter)):
        for column, left in enumerate((0, 2 * quarter)):
            window = wide[top : top + SIZE_PX, left : left + SIZE_PX]
            _, seen = baseline.graph.logits_and_maps(window[None])
            expected[row::2, column::2] = np.maximum(np.tensordot(weights, seen[0], 1), 0)
    smooth = gaussian_filter(expected, 1.5, mode="nearest")  # three quarters of a cell of two points
    np.testing.assert_allclose(fine, scale(smooth), atol=1e-4)


@pytest.mark.parametrize(("fineness", "n_slices"), [(1, 1), (2, 5), (3, 9)])
def test_the_graph_runs_once_for_each_place_of_the_slice(
    baseline: AttentionSource, monkeypatch: pytest.MonkeyPatch, fineness: int, n_slices: int
) -> None:
    (pixels,) = _slices(baseline.preprocessing, 1)
    run, seen = baseline.graph.logits_and_maps, []
    monkeypatch.setattr(baseline.graph, "logits_and_maps", lambda batch: seen.extend(batch) or run(batch))

    maps = fine_maps(baseline.graph, baseline.heads, pixels, fineness=fineness)

    assert len(seen) == len({piece.tobytes() for piece in seen}) == n_slices
    assert maps.max() > 0.9


def test_the_peak_of_a_map_on_the_picture_lies_at_the_middle_of_its_cell() -> None:
    map_ = np.zeros((7, 7), dtype=np.float32)
    map_[2, 5] = 1
    peak = np.argwhere((whole := upsample(map_, 350, 700)) == whole.max()).mean(axis=0) + 0.5
    np.testing.assert_allclose(peak, (2.5 * 50, 5.5 * 100), atol=1)


def test_weights_without_heads_are_refused() -> None:
    with pytest.raises(BundleError, match="no diagnosis head"):
        Heads.read(b"not a safetensors file")


def test_a_map_lies_on_the_part_of_the_picture_that_the_network_saw() -> None:
    pixels = generate_study(4, 1, n_slices=1).slices[0].pixels
    framed = np.pad(pixels, ((40, 40), (80, 80)))
    whole = Preprocessing(size_px=64, interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1))
    cropped = whole.model_copy(update={"form": CanonicalForm()})
    map_ = np.zeros((2, 2), dtype=np.float32)
    map_[0, 1] = 1

    stretched, placed = (onto_picture(map_, form, framed) for form in (whole, cropped))

    assert stretched.shape == placed.shape == framed.shape
    assert stretched[0, -1] == stretched.max() == placed.max() == pytest.approx(1, abs=1e-6)
    margins = (placed[:40], placed[:, -80:])  # which the canonical form cuts off
    assert not any(margin.any() for margin in margins)


def test_heads_of_other_statistics_than_the_maps_are_refused() -> None:
    heads = Heads(("covid",), np.ones((1, 2 * 3), np.float32), of_statistics=True)
    with pytest.raises(BundleError, match="weigh 6 statistics, the maps have 18"):
        heads.gradients(np.ones((1, 3 + N_REGIONS, 4, 4), np.float32))


def test_no_slices_have_no_maps() -> None:
    network = _network("efficientnet_lite0", "baseline", "statistics")
    source = AttentionSource.of_files(export_onnx(network), weights_to_safetensors(network), network.preprocessing)
    maps = attention_maps(source.graph, source.heads, np.empty((0, SIZE_PX, SIZE_PX), np.uint8))
    assert maps.shape == (0, 1, *source.graph.maps_shape[1:])
