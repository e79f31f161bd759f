import pytest
import torch

from ladnn.config import TrainingConfig, Variant
from ladnn.labels import LABELS
from ladnn.model.network import build_network


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


def test_attention_can_use_the_two_halves_of_the_network(trained_like):
    pixels = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(trained_like.classify(trained_like.feature_maps(pixels)), trained_like(pixels))


def test_the_heads_depend_on_the_seed_alone():
    variant, training = Variant(backbone="efficientnet_lite0", task="ladnn"), TrainingConfig()
    before = torch.random.get_rng_state()
    first, again, other = (build_network(variant, training, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.lesions.weight, again.lesions.weight)
    assert not torch.equal(first.diagnosis.weight, other.diagnosis.weight)
