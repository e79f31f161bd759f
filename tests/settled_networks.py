"""Random networks that act as trained ones do: maps neither fade nor blow up, and heads see something."""

import numpy as np
import torch
from torch import nn

from ladnn.model.network import LADNN
from ladnn.model.pooling import StatisticsPooling, statistics
from ladnn.model.preprocessing import Preprocessing
from ladnn.phantoms.study import generate_study


def phantom_slices(preprocessing: Preprocessing, seed: int, n: int) -> np.ndarray:
    """Return preprocessed slices of so many patients, uint8 (n, S, S)."""
    return np.stack([preprocessing.apply(generate_study(seed, i, n_slices=1).slices[0].pixels) for i in range(n)])


def settle(network: LADNN, pixels: np.ndarray) -> None:
    """Fit batch norms and pooled statistics to slices; heads that begin at zero get weights."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # an average over all batches
    seen = torch.from_numpy(pixels)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)  # of the layers that are dropped
        network.train()(seen)
        if isinstance(network.eval().embedding, StatisticsPooling):
            network.embedding.fit(statistics(network.feature_maps(seen)))
            for head in network.heads():
                nn.init.normal_(head.weight, std=0.1, generator=torch.Generator().manual_seed(1))
