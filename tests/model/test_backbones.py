"""Every backbone against the network it is cut from."""

import re

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import nn
from torchvision import models

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.errors import ConfigError
from ladnn.model.backbones import BACKBONES, backbone
from ladnn.model.network import LADNN, build_network
from ladnn.model.pooling import FullyConnected, statistics, with_regions
from ladnn.model.weights import WeightsSource

LITE = [name for name in BACKBONES if "lite" in name]
TORCHVISION = [name for name in BACKBONES if "lite" not in name]
QUICK = ["resnet18", "efficientnet_lite0"]
SLOW = sorted(BACKBONES.keys() - QUICK)
FIRST_WEIGHTS = {name: models.get_model_weights(name)["IMAGENET1K_V1"] for name in TORCHVISION}
PALACE = 698  # of the 1000 ImageNet classes


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def with_lively_statistics(network: nn.Module) -> nn.Module:
    """Give the batch norms of a random network statistics of their own, so that outputs differ between images."""
    generator = torch.Generator().manual_seed(0)
    for norm in norms(network):
        norm.running_mean.normal_(0, 0.1, generator=generator)
        norm.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def images(size_px: int) -> torch.Tensor:
    return torch.randn(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def test_the_paper_s_seven_and_three_that_need_no_network():
    paper = ["vgg16", "resnet18", "resnet50", "densenet121", "densenet169", "efficientnet_b0", "efficientnet_b1"]
    assert paper == TORCHVISION
    assert LITE == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


@pytest.mark.parametrize("name", TORCHVISION)
def test_maps_and_embedding_are_those_of_torchvision(name):
    original = with_lively_statistics(models.get_model(name))
    entry = BACKBONES[name]
    pooled = entry.pooled(entry.build(1, original.state_dict()), TrainingConfig())
    network = LADNN(*pooled, entry.preprocessing, 0.2, False).eval()
    seen = []
    *_, classifier = (module for module in original.modules() if isinstance(module, nn.Linear))
    classifier.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    with torch.no_grad():
        maps = network.features(images(64))
        original(images(64))
        torch.testing.assert_close(network.embedding(maps), seen[0])
    assert maps.shape[:2] == (2, entry.n_channels)
    assert isinstance(network.embedding, FullyConnected) == (name == "vgg16")
    assert network.diagnosis.in_features == classifier.in_features
    assert [norm.eps for norm in norms(network)] == [norm.eps for norm in norms(original)]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES]
)
def test_stages_are_the_maps_of_the_layers_that_they_name(name):
    entry, (whole, cut) = BACKBONES[name], (BACKBONES[name].build(1) for _ in range(2))
    seen = {}
    for layer in entry.stages:
        whole.layers[layer].register_forward_hook(lambda _, __, maps, layer=layer: seen.update({layer: maps.clone()}))
    with torch.no_grad():
        with_lively_statistics(whole.features)(images(96))  # maps of 3, 6, 12 columns have the same middle third
        joined = with_lively_statistics(cut.stages(entry.stages))(images(96))
    parts = joined.split(list(entry.stages.values()), dim=1)
    for (layer, maps), part in zip(seen.items(), parts, strict=True):
        assert maps.shape[1] == entry.stages[layer]
        times = joined.shape[2] // maps.shape[2]
        torch.testing.assert_close(part, maps.repeat_interleave(times, 2).repeat_interleave(times, 3))
        left, middle, right = maps.chunk(3, dim=3)
        moments = []
        sides = torch.cat([left, right], 3)
        for region in (middle, sides, sides):  # where all is air, cells beside the middle count alike
            means = region.mean((2, 3))
            moments += [means, region.square().mean((2, 3)).sub(means.square()).add(1e-4).sqrt()]
        pooled = statistics(with_regions(part, torch.zeros(len(part), 96, 96)))
        torch.testing.assert_close(pooled, torch.cat(moments, 1), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", TORCHVISION)
def test_preprocessing_and_file_are_those_of_torchvision(name):
    weights, entry = FIRST_WEIGHTS[name], BACKBONES[name]
    expected = weights.transforms()
    assert entry.preprocessing.size_px == expected.crop_size[0]
    assert entry.preprocessing.interpolation == expected.interpolation.value
    assert entry.preprocessing.mean == pytest.approx([255 * value for value in expected.mean])
    assert entry.preprocessing.std == pytest.approx([255 * value for value in expected.std])
    assert weights.url.endswith(f"/{entry.weights.origin.file_name}")
    assert entry.weights.sha256.startswith(re.search(r"-([0-9a-f]{8})\.pth$", weights.url)[1])


@pytest.mark.parametrize("name", ["densenet121", "densenet169"])
def test_published_densenets_have_names_of_an_older_torch(name):
    state = models.get_model(name).state_dict()
    published = {re.sub(r"(norm|relu|conv)([12])\.(?=[a-z_]+$)", r"\1.\2.", key): value for key, value in state.items()}
    assert published.keys() != state.keys()
    features = BACKBONES[name].build(1, published).features.state_dict()
    assert all(torch.equal(features[key], state[f"features.{key}"]) for key in features)


@pytest.mark.parametrize("name", LITE)
def test_imagenet_weights_of_the_packages_give_the_features_of_the_packages_network(name):
    entry = BACKBONES[name]
    original = EfficientNet.from_name(name.replace("_", "-"))
    state = WeightsSource().read(entry.weights)
    original.load_state_dict(state)
    assert entry.preprocessing.size_px == original.input_image_size
    features = entry.build(0, state).features
    assert {norm.eps for norm in norms(features)} == {1e-3}
    assert any(bool((norm.running_mean != 0).any()) for norm in norms(features))
    pixels = images(entry.preprocessing.size_px)
    with torch.no_grad():
        torch.testing.assert_close(features.eval()(pixels), original.eval().extract_features(pixels))


@pytest.mark.parametrize("name", LITE)
def test_with_its_preprocessing_and_imagenet_classes_a_palace_is_among_the_first_five(name):
    entry = BACKBONES[name]
    state = WeightsSource().read(entry.weights)
    spec = entry.preprocessing
    picture = Image.fromarray(load_sample_image("china.jpg")).resize((spec.size_px, spec.size_px), Image.BICUBIC)
    grey = np.moveaxis(np.asarray(picture, dtype=np.float32), -1, 0)[None]
    normalised = (grey - np.reshape(spec.mean, (1, 3, 1, 1))) / np.reshape(spec.std, (1, 3, 1, 1))
    with torch.no_grad():
        maps = entry.build(0, state).features.eval()(torch.from_numpy(normalised.astype(np.float32)))
        classes = maps.mean((2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]
    assert PALACE in classes[0].topk(5).indices


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_statistics_follow_the_batches_of_a_small_data_set(name):
    features = BACKBONES[name].build(seed=1).features
    assert all(norm.momentum == pytest.approx(0.1) for norm in norms(features))
    assert bool(norms(features)) == (name != "vgg16")


def test_random_weights_depend_on_the_seed_alone():
    before = torch.random.get_rng_state()
    first, again, other = (BACKBONES["resnet18"].build(seed).features.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'vgg99'.*efficientnet_lite0.*resnet50"):
        backbone("vgg99")


@pytest.mark.parametrize("name", QUICK + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW])
def test_every_backbone_trains_end_to_end(name):
    variant = Variant(backbone=name, task="ladnn")
    network = build_network(variant, TrainingConfig(weights="random"), 0, WeightsSource()).train()
    pixels = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    logits = network(pixels)
    assert logits.shape == (2, 6)
    logits.square().sum().backward()
    without = [key for key, value in network.named_parameters() if value.grad is None]
    assert without == []
