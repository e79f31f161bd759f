"""The LA-DNN network: one backbone, a diagnosis head and, beside it, a head for the five lesions.

Liu, Gao, He, Liu, Yin: A fast online COVID-19 diagnostic system with chest CT scans, KDD 2020, section on the model.
The network takes 8-bit grey and normalises it itself, so the exported graph does too.
"""

import torch
from torch import Tensor, nn

from ladnn.config import TrainingConfig, Variant
from ladnn.labels import LESIONS
from ladnn.model.backbones import backbone, build_features, imagenet_weights
from ladnn.model.preprocessing import Preprocessing


class LADNN(nn.Module):
    """Backbone with a diagnosis head and, for task `ladnn`, a lesion head.

    `forward` is `classify(feature_maps(pixels))`; attention maps use the two halves.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, features: nn.Module, n_features: int, preprocessing: Preprocessing, dropout: float, with_lesions: bool
    ) -> None:
        """Put the parts together.

        Args:
            features: module (B, 3, S, S) float32 -> (B, n_features, h, w).
            n_features: channels that it returns.
            preprocessing: its input's size and normalisation.
            dropout: probability of dropping a pooled feature in training.
            with_lesions: add the lesion head.
        """
        super().__init__()
        self.preprocessing = preprocessing
        # Not persistent: the constants belong to the preprocessing, not to the learned weights.
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.diagnosis = nn.Linear(n_features, 1)
        self.lesions = nn.Linear(n_features, len(LESIONS)) if with_lesions else None

    def feature_maps(self, pixels: Tensor) -> Tensor:
        """Return the last feature maps, float (B, n_features, h, w), of uint8 (B, S, S) pixels."""
        images = (pixels.to(self.mean.dtype).unsqueeze(1) - self.mean) / self.std
        maps: Tensor = self.features(images)
        return maps

    def classify(self, maps: Tensor) -> Tensor:
        """Return logits of feature maps: (B, 6) in the order of `ladnn.labels.LABELS`, or (B, 1) without lesions."""
        pooled = self.dropout(maps.mean(dim=(2, 3)))
        diagnosis: Tensor = self.diagnosis(pooled)
        return diagnosis if self.lesions is None else torch.cat([diagnosis, self.lesions(pooled)], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits, (B, 6) or (B, 1), of uint8 (B, S, S) pixels."""
        return self.classify(self.feature_maps(pixels))


def check_trainable(variant: Variant, training: TrainingConfig) -> None:
    """Find out before any work whether a variant's backbone and its weights are to be had.

    Raises:
        ConfigError: the backbone is unknown.
        WeightsError: the ImageNet weights are not installed, or are not the pinned ones.
    """
    chosen = backbone(variant.backbone)
    if training.pretrained:
        imagenet_weights(chosen.weights)


def build_network(variant: Variant, training: TrainingConfig, seed: int) -> LADNN:
    """Build a variant's network, on the CPU; the seed decides all random weights, the global generator is left alone.

    Raises:
        ConfigError: the backbone is unknown.
        WeightsError: the ImageNet weights are not installed, or are not the pinned ones.
    """
    chosen = backbone(variant.backbone)
    features = build_features(variant.backbone, training.pretrained, seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return LADNN(
            features, chosen.n_features, chosen.preprocessing, training.dropout, with_lesions=variant.task == "ladnn"
        )
