import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ladnn.config_training import TrainingConfig
from ladnn.model.loss import count_known, joint_loss, known_labels

NAN = float("nan")
PLAIN = TrainingConfig(label_smoothing=0)
MASKS = st.sampled_from(["unknown", "unnamed"])
ROWS = st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=6, max_size=6), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**31)


def with_values(**values):
    return TrainingConfig.model_validate(PLAIN.model_dump() | values)


def random_logits(labels, n_outputs, seed):
    return torch.randn(len(labels), n_outputs, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def test_a_hand_worked_loss():
    logits = torch.tensor([[0.0, math.log(3), 9.0, 9.0, 9.0, 9.0], [0.0, 9.0, 9.0, 9.0, 9.0, math.log(3)]])
    labels = torch.tensor([[1.0, 1.0, NAN, NAN, NAN, NAN], [0.0, NAN, NAN, NAN, NAN, 0.0]])
    loss = joint_loss(logits, labels, with_values(diagnosis_weight=5.0, lesion_weight=2.0))
    lesions = (math.log(4 / 3) + math.log(4)) / 2  # probability 3/4, once right and once wrong
    assert float(loss.diagnosis) == pytest.approx(math.log(2))
    assert float(loss.lesions) == pytest.approx(lesions)
    assert float(loss.total) == pytest.approx(5 * math.log(2) + 2 * lesions)


def test_smoothing_moves_the_targets_towards_one_half():
    logits, labels = torch.full((1, 1), math.log(3)), torch.tensor([[1.0, NAN, NAN, NAN, NAN, NAN]])
    loss = joint_loss(logits, labels, with_values(diagnosis_weight=1.0, label_smoothing=0.2))
    assert float(loss.total) == pytest.approx(-0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4))


def test_the_authors_rule_leaves_out_the_lesions_of_images_that_name_none():
    labels = torch.tensor(
        [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, NAN, 0.0, 0.0], [1.0, NAN, 0.0, 0.0, 0.0, 0.0]]
    )
    assert known_labels(labels, with_values(lesion_mask="unnamed")).tolist() == [
        [True, False, False, False, False, False],
        [True, True, True, False, True, True],
        [True, False, False, False, False, False],
    ]
    assert count_known(labels, with_values(lesion_mask="unnamed")).tolist() == [3, 4]
    assert count_known(labels, with_values(lesion_mask="unknown")).tolist() == [3, 13]


@settings(deadline=None)
@given(labels=ROWS, seed=SEEDS, mask=MASKS)
def test_what_is_left_out_has_no_gradient_and_all_else_has(labels, seed, mask):
    targets, training = torch.tensor(labels), with_values(label_smoothing=0.05, lesion_mask=mask)
    logits = random_logits(labels, 6, seed)
    loss = joint_loss(logits, targets, training)
    loss.total.backward()
    assert bool(torch.isfinite(loss.total))
    assert torch.equal(logits.grad != 0, known_labels(targets, training))
    assert bool((known_labels(targets, training) <= ~torch.isnan(targets)).all())


@settings(deadline=None)
@given(labels=ROWS, seed=SEEDS, mask=MASKS, n_outputs=st.sampled_from([1, 6]), cut=st.integers(0, 8))
def test_the_losses_and_gradients_of_shards_sum_to_those_of_the_whole_batch(labels, seed, mask, n_outputs, cut):
    targets, training = torch.tensor(labels), with_values(label_smoothing=0.05, lesion_mask=mask, lesion_weight=0.7)
    logits = random_logits(labels, n_outputs, seed)
    whole = joint_loss(logits, targets, training)
    (gradient,) = torch.autograd.grad(whole.total, logits)
    n_known = count_known(targets, training)
    shards = [joint_loss(logits[part], targets[part], training, n_known) for part in (slice(cut), slice(cut, None))]
    for name in ("total", "diagnosis", "lesions"):
        torch.testing.assert_close(sum(getattr(shard, name) for shard in shards), getattr(whole, name))
    torch.testing.assert_close(torch.autograd.grad(sum(shard.total for shard in shards), logits)[0], gradient)


@settings(deadline=None)
@given(labels=ROWS, seed=SEEDS, mask=MASKS)
def test_a_baseline_learns_the_diagnosis_as_ladnn_does(labels, seed, mask):
    targets, training = torch.tensor(labels), with_values(lesion_mask=mask)
    logits = random_logits(labels, 6, seed).detach()
    baseline, ladnn = joint_loss(logits[:, :1], targets, training), joint_loss(logits, targets, training)
    assert float(baseline.lesions) == 0
    torch.testing.assert_close(baseline.diagnosis, ladnn.diagnosis)


def test_nothing_known_and_no_head_give_a_lesion_loss_of_zero():
    labels = torch.tensor([[1.0, NAN, NAN, NAN, NAN, NAN]])
    assert float(joint_loss(torch.zeros(1, 6), labels, PLAIN).lesions) == 0
    assert float(joint_loss(torch.zeros(1, 1), torch.ones(1, 6), PLAIN).lesions) == 0
