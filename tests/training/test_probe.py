"""Heads that are fitted before the first step, against the conditions that a penalised logistic regression ends in."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.nn.functional import binary_cross_entropy_with_logits

from ladnn.config import Augmentation, TrainingConfig, Variant
from ladnn.dataset.pipeline import LabelledPixels
from ladnn.model.network import LADNN, build_network
from ladnn.model.weights import WeightsSource
from ladnn.training.probe import probe

TRAINING = TrainingConfig(pooling="statistics", probe_penalty=0.1, augmentation=Augmentation(mirror=False))


def _part() -> LabelledPixels:
    generator = np.random.default_rng(0)
    labels = generator.choice([0.0, 1.0, np.nan], (24, 6)).astype(np.float32)
    labels[:, 0] = np.arange(24) % 2
    labels[:, 3] = np.where(np.isnan(labels[:, 3]), np.nan, 1)  # nothing to learn from
    return LabelledPixels(generator.integers(0, 256, (24, 64, 64), dtype=np.uint8), labels)


def _probed(training: TrainingConfig, part: LabelledPixels) -> LADNN:
    network = build_network(Variant(backbone="efficientnet_lite0", task="ladnn"), training, 3, WeightsSource())
    before = {name: tensor.clone() for name, tensor in network.features.state_dict().items()}
    probe(network, part, training, Accelerator(cpu=True))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.features.state_dict().items())
    return network.eval()


@pytest.mark.parametrize("mask", ["unknown", "unnamed"])
def test_at_the_heads_the_penalised_loss_of_the_known_labels_has_no_slope(mask):
    training, part = TRAINING.model_copy(update={"lesion_mask": mask}), _part()
    network = _probed(training, part)
    logits, labels = network(torch.from_numpy(part.pixels)), torch.from_numpy(part.labels)
    known = ~labels.isnan()
    if mask == "unnamed":
        known[:, 1:] &= (labels[:, 1:] == 1).any(1, keepdim=True)
    columns = [(network.diagnosis, 0, 0), *((network.lesions, row, row + 1) for row in (0, 1, 3, 4))]
    for head, row, column in columns:
        if len(labels[known[:, column], column].unique()) < 2:
            continue
        head.zero_grad()
        loss = binary_cross_entropy_with_logits(logits[known[:, column], column], labels[known[:, column], column])
        (loss + 0.1 / 2 * head.weight[row].square().sum()).backward(retain_graph=True)
        assert head.weight[row].abs().max() > 1e-3
        assert head.weight.grad[row].abs().max() < 1e-4
        assert head.bias.grad[row].abs() < 1e-4


def test_a_label_that_is_the_same_everywhere_is_left_to_training():
    network = _probed(TRAINING, _part())
    assert not network.lesions.weight[2].any()
    assert network.lesions.bias[2] == 0


def test_a_mirrored_part_has_the_same_heads_where_slices_are_mirrored():
    training, part = TRAINING.model_copy(update={"augmentation": Augmentation()}), _part()
    mirrored = LabelledPixels(np.ascontiguousarray(part.pixels[:, :, ::-1]), part.labels)
    one, other = (_probed(training, data) for data in (part, mirrored))
    with torch.no_grad():
        pixels = torch.from_numpy(part.pixels)
        torch.testing.assert_close(one(pixels), other(pixels), atol=1e-2, rtol=1e-2)
        assert not torch.allclose(one(pixels), _probed(TRAINING, part)(pixels), atol=0.1)
