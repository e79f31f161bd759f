"""The LA-DNN network: one backbone, a diagnosis head and, beside it, a head for the five lesions.

Liu, Gao, He, Liu, Yin: A fast online COVID-19 diagnostic system with chest CT scans, KDD 2020, section on the model.
The network takes 8-bit grey and normalises it itself, so the exported graph does too.
"""

from typing import Self

import torch
from torch import Tensor, nn

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.labels import LESIONS
from ladnn.model.backbones import backbone
from ladnn.model.pooling import Embedding, StatisticsPooling, with_regions
from ladnn.model.preprocessing import Preprocessing
from ladnn.model.weights import WeightsSource


class LADNN(nn.Module):
    """Backbone with a diagnosis head and, for task `ladnn`, a lesion head.

    `forward` is `classify(feature_maps(pixels))`; attention maps use the two halves.
    """

    tones: Tensor

    def __init__(
        self,
        features: nn.Module,
        embedding: Embedding,
        preprocessing: Preprocessing,
        dropout: float,
        with_lesions: bool,
    ) -> None:
        """Put the parts together.

        Args:
            features: the backbone: normalised images (B, 3, S, S) -> maps (B, C, h, w).
            embedding: maps -> the heads' input.
            preprocessing: the backbone's input: size and normalisation.
            dropout: probability of dropping, in training, an input of the heads.
            with_lesions: add the lesion head.
        """
        super().__init__()
        self.preprocessing = preprocessing
        # Not persistent: the table belongs to the preprocessing, not to the learned weights.
        self.register_buffer("tones", torch.from_numpy(preprocessing.tones()), persistent=False)
        self.features = features
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        self.diagnosis = nn.Linear(embedding.n_features, 1)
        self.lesions = nn.Linear(embedding.n_features, len(LESIONS)) if with_lesions else None
        if isinstance(embedding, StatisticsPooling):
            for head in self.heads():  # fitted before the first step, but for labels that say nothing yet
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
        self._keeps_batch_statistics = False

    def heads(self) -> tuple[nn.Linear, ...]:
        """Return the heads in the order of the logits."""
        return (self.diagnosis,) if self.lesions is None else (self.diagnosis, self.lesions)

    def freeze(self, share: float, batch_statistics: bool) -> None:
        """Keep a part of the backbone as it is, also in training.

        Args:
            share: of its convolutions, from the input on, 0 to 1, with what lies before the next one.
            batch_statistics: keep batch norm's means and variances everywhere; its scales and shifts are learned.
        """
        self._keeps_batch_statistics = batch_statistics
        layers = [m for m in self.features.modules() if next(m.parameters(recurse=False), None) is not None]
        convolutions = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        for layer in layers[: [*convolutions, len(layers)][round(share * len(convolutions))]]:
            layer.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Change to training or evaluation mode; what is frozen stays in the latter.

        Batch norm's statistics stay with it, and no block that is frozen whole drops its path.
        """
        super().train(mode)
        for module in self.features.modules():
            parameters = list(module.parameters())
            is_kept = self._keeps_batch_statistics and isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm))
            if is_kept or (parameters and not any(parameter.requires_grad for parameter in parameters)):
                module.eval()
        return self

    def feature_maps(self, pixels: Tensor) -> Tensor:
        """Return the maps that the heads see, float (B, C, h, w), of uint8 (B, S, S) pixels.

        Where their statistics are pooled, the last three are the weights of the regions.
        """
        maps: Tensor = self.features(self.normalise(pixels))
        return with_regions(maps, self.density(pixels)) if isinstance(self.embedding, StatisticsPooling) else maps

    def density(self, pixels: Tensor) -> Tensor:
        """Return float (B, S, S), 0 as lung air to 1 as soft tissue, of uint8 (B, S, S) pixels."""
        air, tissue = self.preprocessing.air_and_tissue()
        return ((pixels.float() - air) / (tissue - air)).clamp(0, 1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return the backbone's input, float (B, 3, S, S), of uint8 (B, S, S) pixels."""
        return nn.functional.embedding(pixels.int(), self.tones).permute(0, 3, 1, 2).contiguous()

    def classify(self, maps: Tensor) -> Tensor:
        """Return logits of feature maps: (B, 6) in the order of `ladnn.labels.LABELS`, or (B, 1) without lesions."""
        embedding = self.dropout(self.embedding(maps))
        return torch.cat([head(embedding) for head in self.heads()], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits, (B, 6) or (B, 1), of uint8 (B, S, S) pixels."""
        return self.classify(self.feature_maps(pixels))


def check_trainable(variant: Variant, training: TrainingConfig, weights: WeightsSource) -> None:
    """Find out before any work whether a variant's backbone and its weights are to be had.

    Raises:
        ConfigError: the backbone is unknown.
        WeightsError: the ImageNet weights are not to be had, or are not the pinned ones.
        StoreError: the operator's folder of weights cannot be used.
    """
    chosen = backbone(variant.backbone)
    if training.weights == "imagenet":
        weights.read(chosen.weights)


def build_network(variant: Variant, training: TrainingConfig, seed: int, weights: WeightsSource) -> LADNN:
    """Build a variant's network, on the CPU; the seed decides all random weights, the global generator is left alone.

    Raises:
        ConfigError: the backbone is unknown.
        WeightsError: the ImageNet weights are not to be had, or are not the pinned ones.
        StoreError: the operator's folder of weights cannot be used.
    """
    chosen = backbone(variant.backbone)
    extractor = chosen.build(seed, weights.read(chosen.weights) if training.weights == "imagenet" else None)
    features, embedding = chosen.pooled(extractor, training)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = LADNN(features, embedding, chosen.input(training), training.dropout, variant.task == "ladnn")
    if training.weights == "imagenet":  # random layers are not worth keeping
        network.freeze(training.frozen_share, training.frozen_batch_norm)
    return network
