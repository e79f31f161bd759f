"""Heads that are fitted before the first step, against the conditions that a penalised logistic regression ends in."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ladnn.config import Variant
from ladnn.config_training import Augmentation, TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels
from ladnn.errors import TrainingError
from ladnn.model.network import LADNN, build_network
from ladnn.model.weights import WeightsSource
from ladnn.training.devices import open_devices
from ladnn.training.head_fit import fit_heads
from ladnn.training.step import OutOfMemoryError

TRAINING = TrainingConfig(pooling="statistics", head_penalty=0.1, augmentation=Augmentation(mirror=False))


def _part(n: int = 24) -> LabelledPixels:
    generator = np.random.default_rng(0)
    labels = generator.choice([0.0, 1.0, np.nan], (n, 6)).astype(np.float32)
    labels[:, 0] = np.arange(n) % 2
    labels[:, 3] = np.where(np.isnan(labels[:, 3]), np.nan, 1)  # nothing to learn from
    labels[:, 4] = np.nan
    return LabelledPixels(generator.integers(0, 256, (n, 64, 64), dtype=np.uint8), labels)


def _network(training: TrainingConfig = TRAINING, task: str = "ladnn") -> LADNN:
    return build_network(Variant(backbone="efficientnet_lite0", task=task), training, 3, WeightsSource())


def _fitted(training: TrainingConfig, part: LabelledPixels, task: str = "ladnn") -> LADNN:
    network = _network(training, task)
    before = {name: tensor.clone() for name, tensor in network.features.state_dict().items()}
    fit_heads(network, part, training, open_devices())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.features.state_dict().items())
    return network.eval()


def _steepest(head: torch.nn.Linear, row: int, logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the steepest slope of the penalised loss at a row of a head."""
    head.zero_grad()
    loss = binary_cross_entropy_with_logits(logits, labels) + 0.1 / 2 * head.weight[row].square().sum()
    loss.backward(retain_graph=True)
    return max(float(head.weight.grad[row].abs().max()), float(head.bias.grad[row].abs()))


@pytest.mark.parametrize("mask", ["unknown", "unnamed"])
def test_at_the_heads_the_penalised_loss_of_the_known_labels_has_no_slope(mask):
    training, part = TRAINING.model_copy(update={"lesion_mask": mask}), _part()
    network = _fitted(training, part)
    logits, labels = network(torch.from_numpy(part.pixels)), torch.from_numpy(part.labels)
    known = ~labels.isnan()
    if mask == "unnamed":
        known[:, 1:] &= (labels[:, 1:] == 1).any(1, keepdim=True)
    for head, row, column in ((network.diagnosis, 0, 0), (network.lesions, 0, 1), (network.lesions, 4, 5)):
        rows = known[:, column]
        assert len(labels[rows, column].unique()) == 2
        assert _steepest(head, row, logits[rows, column], labels[rows, column]) < 1e-4
        assert head.weight[row].abs().max() > 1e-3


def test_labels_that_are_unknown_or_the_same_everywhere_are_left_to_training():
    network = _fitted(TRAINING, _part())
    assert not network.lesions.weight[2:4].any()
    assert not network.lesions.bias[2:4].any()


def test_a_baseline_starts_with_the_same_diagnosis():
    part = _part()
    torch.testing.assert_close(
        _fitted(TRAINING, part, "baseline").diagnosis.weight, _fitted(TRAINING, part).diagnosis.weight
    )


def test_a_mirrored_part_has_the_same_heads_where_slices_are_mirrored():
    training, part = TRAINING.model_copy(update={"augmentation": Augmentation()}), _part()
    mirrored = LabelledPixels(np.ascontiguousarray(part.pixels[:, :, ::-1]), part.labels)
    one, other = (_fitted(training, data) for data in (part, mirrored))
    with torch.no_grad():
        pixels = torch.from_numpy(part.pixels)
        torch.testing.assert_close(one(pixels), other(pixels), atol=1e-2, rtol=1e-2)
        assert not torch.allclose(one(pixels), _fitted(TRAINING, part)(pixels), atol=0.1)


def test_of_a_large_part_slices_with_their_own_labels_are_taken(monkeypatch):
    part = _part()
    rows = [0, 7, 15, 23]
    some = LabelledPixels(part.pixels[rows], part.labels[rows])
    expected = _fitted(TRAINING, some).state_dict()
    monkeypatch.setattr("ladnn.training.head_fit._MOST_SLICES", 4)
    found = _fitted(TRAINING, part).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in ("embedding.spread", "diagnosis.weight"))


def test_slices_whose_statistics_are_not_finite_are_named():
    network = _network()
    network.tones[7] = torch.nan
    part = _part(6)
    part.pixels[part.pixels == 7] = 8
    part.pixels[4, 3, 3] = 7
    with pytest.raises(TrainingError, match=r"not finite on training rows \[4\]"):
        fit_heads(network, part, TRAINING, open_devices())


def _roomy_for(network: LADNN, n_fitting: int, sizes: list[int]) -> LADNN:
    extract = network.features.forward

    def forward(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > n_fitting:
            raise torch.OutOfMemoryError("out of memory")
        return extract(images)

    network.features.forward = forward
    return network


def test_lack_of_memory_halves_the_slices_at_a_time():
    sizes = []
    network, part = _roomy_for(_network(), 3, sizes), _part(8)
    fit_heads(network, part, TRAINING, open_devices())
    assert sizes == [8, 4, 2, 2, 2, 2]
    torch.testing.assert_close(network.diagnosis.weight, _fitted(TRAINING, part).diagnosis.weight, atol=1e-3, rtol=1e-2)
    with pytest.raises(OutOfMemoryError):
        fit_heads(_roomy_for(_network(), 0, []), part, TRAINING, open_devices(), micro_batch=2)
