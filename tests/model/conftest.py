"""Small networks for the tests of the model: the real backbone with random weights, on slices of 64 px."""

from collections.abc import Callable

import pytest
import torch

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.model.export import export_onnx
from ladnn.model.network import LADNN, build_network
from ladnn.model.weights import WeightsSource


def _small_network(task: str, seed: int = 7) -> LADNN:
    variant = Variant(backbone="efficientnet_lite0", task=task)
    network = build_network(variant, TrainingConfig(weights="random"), seed, WeightsSource())
    network.preprocessing = network.preprocessing.model_copy(update={"size_px": 64})
    return network


@pytest.fixture(scope="session")
def small_network() -> Callable[..., LADNN]:
    return _small_network


@pytest.fixture(scope="session")
def trained_like() -> LADNN:
    """A network whose batch-norm statistics fit its input, as after training, so that logits differ between slices."""
    network = _small_network("ladnn").train()
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        network(torch.randint(0, 256, (8, 64, 64), dtype=torch.uint8, generator=generator))
    return network.eval()


@pytest.fixture(scope="session")
def exported(trained_like: LADNN) -> bytes:
    return export_onnx(trained_like)
