import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.labels import LABELS
from ladnn.model.export import export_onnx
from ladnn.model.graph import InferenceGraph
from ladnn.model.network import build_network
from ladnn.model.weights import WeightsSource


@pytest.mark.parametrize(("task", "n_outputs"), [("ladnn", len(LABELS)), ("baseline", 1)])
def test_the_task_decides_the_outputs(small_network, task, n_outputs):
    network = small_network(task).eval()
    assert network(torch.zeros(3, 64, 64, dtype=torch.uint8)).shape == (3, n_outputs)


def test_the_backbone_sees_the_normalised_grey_in_all_channels(small_network):
    network = small_network("baseline")
    seen = []
    network.features = torch.nn.Module()
    network.features.forward = lambda images: seen.append(images) or images
    network.feature_maps(torch.tensor([[[0, 127], [128, 255]]], dtype=torch.uint8))
    expected = torch.tensor([[-127 / 128, 0], [1 / 128, 1]])
    torch.testing.assert_close(seen[0], expected.expand(1, 3, 2, 2))


def test_a_recipe_s_tones_reach_network_and_graph():
    training = TrainingConfig(channel_gamma=(0.6, 1, 1.6), size_px=64, weights="random")
    network = build_network(
        Variant(backbone="efficientnet_lite0", task="baseline"), training, 1, WeightsSource()
    ).eval()
    greys = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    expected = [(255 * (greys / 255) ** power - 127) / 128 for power in (0.6, 1, 1.6)]
    torch.testing.assert_close(network.normalise(greys), torch.stack(expected, 1))
    pixels = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    _, maps = InferenceGraph(export_onnx(network)).logits_and_maps(pixels.numpy())
    with torch.no_grad():
        shown = torch.stack([(255 * (pixels / 255) ** power - 127) / 128 for power in (0.6, 1, 1.6)], 1)
        seen = network.features(shown).numpy()
    np.testing.assert_allclose(maps, seen, atol=1e-4 * np.abs(seen).max())


@pytest.mark.parametrize("power", [0, 11])
def test_a_tone_that_shows_nothing_is_refused(power):
    with pytest.raises(ValidationError, match="channel_gamma"):
        TrainingConfig(channel_gamma=(1, 1, power))


def test_attention_can_use_the_two_halves_of_the_network(trained_like):
    pixels = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(trained_like.classify(trained_like.feature_maps(pixels)), trained_like(pixels))


def test_averaged_maps_are_the_heads_input(trained_like):
    maps = torch.rand(2, 1280, 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pooled = maps.mean((2, 3))
        torch.testing.assert_close(trained_like.embedding(maps), pooled)
        expected = torch.cat([head(pooled) for head in (trained_like.diagnosis, trained_like.lesions)], 1)
        torch.testing.assert_close(trained_like.classify(maps), expected)


def test_vgg_keeps_its_fully_connected_layers_by_the_names_that_its_weights_have():
    training = TrainingConfig(weights="random", dropout=0.5)
    network = build_network(Variant(backbone="vgg16", task="ladnn"), training, 1, WeightsSource())
    state = network.state_dict()
    assert state["embedding.0.weight"].shape == (4096, 512 * 7 * 7)
    assert state["embedding.1.weight"].shape == (4096, 4096)
    assert state["lesions.weight"].shape == (5, 4096)
    maps = torch.rand(2, 512, 7, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = torch.relu(maps.flatten(1) @ state["embedding.0.weight"].T + state["embedding.0.bias"])
        second = torch.relu(first @ state["embedding.1.weight"].T + state["embedding.1.bias"])
        torch.testing.assert_close(network.eval().embedding(maps), second)
        assert not torch.equal(network.train().embedding(maps), second)  # dropped out between the two


def test_the_heads_depend_on_the_seed_alone():
    variant, training = Variant(backbone="efficientnet_lite0", task="ladnn"), TrainingConfig(weights="imagenet")
    before = torch.random.get_rng_state()
    first, again, other = (build_network(variant, training, seed, WeightsSource()) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.lesions.weight, again.lesions.weight)
    assert not torch.equal(first.diagnosis.weight, other.diagnosis.weight)
