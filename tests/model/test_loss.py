import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.model.loss import joint_loss

NAN = float("nan")


def test_a_hand_worked_loss():
    logits = torch.tensor([[0.0, math.log(3), 9.0, 9.0, 9.0, 9.0], [0.0, 9.0, 9.0, 9.0, 9.0, math.log(3)]])
    labels = torch.tensor([[1.0, 1.0, NAN, NAN, NAN, NAN], [0.0, NAN, NAN, NAN, NAN, 0.0]])
    loss = joint_loss(logits, labels, diagnosis_weight=5.0, label_smoothing=0.0)
    lesions = (math.log(4 / 3) + math.log(4)) / 2  # probability 3/4, once right and once wrong
    assert float(loss.diagnosis) == pytest.approx(math.log(2))
    assert float(loss.lesions) == pytest.approx(lesions)
    assert float(loss.total) == pytest.approx(5 * math.log(2) + lesions)


def test_smoothing_moves_the_targets_towards_one_half():
    logits, labels = torch.full((1, 1), math.log(3)), torch.tensor([[1.0, NAN, NAN, NAN, NAN, NAN]])
    loss = joint_loss(logits, labels, diagnosis_weight=1.0, label_smoothing=0.2)
    assert float(loss.total) == pytest.approx(-0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4))


@settings(deadline=None)
@given(
    labels=st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=6, max_size=6), min_size=1, max_size=5),
    seed=st.integers(0, 2**31),
)
def test_unknown_labels_have_no_gradient_and_known_ones_have(labels, seed):
    targets = torch.tensor(labels)
    logits = torch.randn(targets.shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    loss = joint_loss(logits, targets, diagnosis_weight=5.0, label_smoothing=0.05)
    loss.total.backward()
    assert bool(torch.isfinite(loss.total))
    assert torch.equal(logits.grad != 0, ~torch.isnan(targets))


def test_nothing_known_and_no_head_give_a_lesion_loss_of_zero():
    labels = torch.tensor([[1.0, NAN, NAN, NAN, NAN, NAN]])
    assert float(joint_loss(torch.zeros(1, 6), labels, 5.0, 0.0).lesions) == 0
    assert float(joint_loss(torch.zeros(1, 1), torch.ones(1, 6), 5.0, 0.0).lesions) == 0
