import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from ladnn.config import Variant
from ladnn.config_training import Augmentation, TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels
from ladnn.errors import DatasetError, TrainingError
from ladnn.model.network import LADNN, build_network
from ladnn.model.weights import WeightsSource
from ladnn.training.checkpoint import Checkpoints
from ladnn.training.fit import Progress, fit
from ladnn.training.loop import NonFiniteLossError
from ladnn.training.schedule import learning_rate_factor


def _part(n: int = 8, size_px: int = 64) -> LabelledPixels:
    """Slices with a bright square when positive; every other positive has stripes and names GGO, the rest AirBr."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(40, 60, (n, size_px, size_px), dtype=np.uint8)
    labels = np.full((n, 6), np.nan, dtype=np.float32)
    middle = slice(size_px // 4, 3 * size_px // 4)
    for row in range(n):
        labels[row, 0] = row % 2
        if row % 2:
            striped = row % 4 == 1
            pixels[row, middle, middle] += 180
            if striped:
                for offset in range(4):
                    pixels[row, size_px // 4 + offset : 3 * size_px // 4 : 8, middle] = 20
            labels[row, 1:] = [float(striped), 0, 0, float(not striped), 0]
    return LabelledPixels(pixels, labels)


def _network(training: TrainingConfig, task: str = "ladnn") -> LADNN:
    return build_network(Variant(backbone="efficientnet_lite0", task=task), training, 3, WeightsSource())


QUICK = TrainingConfig(epochs=2, batch_size=4, weights="random")
FROZEN = TrainingConfig(epochs=1, batch_size=4, pooling="statistics", frozen_share=1, frozen_batch_norm=True, dropout=0)


def test_eight_images_can_be_learned_by_heart():
    training = TrainingConfig(
        epochs=40, batch_size=8, learning_rate=2e-3, label_smoothing=0, diagnosis_weight=1, dropout=0
    )
    network, part = _network(training), _part()
    records = fit(network, part, part, training, seed=1)
    with torch.no_grad():
        logits = network(torch.from_numpy(part.pixels)).numpy()
    known = ~np.isnan(part.labels)
    np.testing.assert_array_equal(logits[known] > 0, part.labels[known] > 0.5)
    assert records[-1].validation_auroc == 1
    assert records[-1].train_diagnosis_loss < records[0].train_diagnosis_loss


def test_the_same_seed_gives_the_same_weights_and_touches_no_global_generator():
    torch_before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()

    def weights(seed: int) -> dict[str, torch.Tensor]:
        network = _network(QUICK)
        fit(network, _part(), _part(4), QUICK, seed)
        return network.state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["diagnosis.weight"], other["diagnosis.weight"])
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


def test_a_frozen_backbone_keeps_weights_and_statistics_until_it_is_let_go():
    training = QUICK.model_copy(update={"frozen_epochs": 1, "epochs": 2})
    network = _network(training)
    states = [{name: tensor.clone() for name, tensor in network.state_dict().items()}]
    progress = Progress(
        on_epoch=lambda _: states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    )

    fit(network, _part(), _part(4), training, 1, progress)

    before, frozen, free = states
    backbone = [name for name in before if name.startswith("features.")]
    assert any("running_mean" in name for name in backbone)
    assert all(torch.equal(before[name], frozen[name]) for name in backbone)
    assert not torch.equal(before["diagnosis.weight"], frozen["diagnosis.weight"])
    assert not any(torch.equal(frozen[name], free[name]) for name in backbone if "running_mean" in name)


def test_a_frozen_share_keeps_weights_and_statistics_of_the_first_convolutions_for_good():
    training = TrainingConfig(epochs=2, batch_size=4, frozen_share=0.49)
    network, part = _network(training), _part()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit(network, part, part, training, seed=1)
    kept = {name for name, tensor in network.state_dict().items() if torch.equal(tensor, before[name])}
    blocks = "features.network._blocks"
    assert {"features.network._conv_stem.weight", f"{blocks}.7._bn2.running_var"} <= kept
    assert not kept & {f"{blocks}.8._depthwise_conv.weight", f"{blocks}.8._bn2.running_var", "diagnosis.weight"}


def test_statistics_of_the_training_part_are_0_and_1_on_average_before_the_first_step_and_their_scale_stays():
    training = FROZEN.model_copy(update={"augmentation": Augmentation(mirror=False)})
    network, part = _network(training), _part()
    fit(network, part, part, training, seed=1)
    with torch.no_grad():
        inputs = network.embedding(network.feature_maps(torch.from_numpy(part.pixels)))
        assert inputs.shape == (len(part.pixels), network.diagnosis.in_features)
        torch.testing.assert_close(inputs.mean(0), torch.zeros(inputs.shape[1]), atol=1e-3, rtol=0)
        deviations = inputs.std(0, correction=0)
        assert ((deviations - 1).abs() < 1e-3).float().mean() > 0.9  # others hardly differ between these slices
        assert (deviations < 1 + 1e-3).all()
    assert network.diagnosis.weight.abs().max() > 0


def test_statistics_pooling_learns_the_same_when_taken_up(file_store):
    training = TrainingConfig(epochs=2, batch_size=4, pooling="statistics", frozen_share=0.79)
    whole, killed, again = (_network(training) for _ in range(3))

    def stop(done: int, _n_steps: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    fit(whole, _part(), _part(4), training, 1)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, _part(), _part(4), training, 1, Progress(on_step=stop), Checkpoints(file_store, "r/v"))
    fit(again, _part(), _part(4), training, 1, checkpoints=Checkpoints(file_store, "r/v"))

    state = again.state_dict()
    assert "embedding.spread" in state
    assert all(torch.equal(tensor, state[name]) for name, tensor in whole.state_dict().items())


def test_batch_norm_keeps_imagenets_statistics_and_learns_its_scales_when_told_so():
    training = FROZEN.model_copy(update={"frozen_share": 0.79})
    network, part = _network(training), _part()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit(network, part, part, training, seed=1)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)
    assert "features.layers.block14._bn2.weight" in changed


def test_killed_after_the_heads_were_fitted_it_does_not_fit_them_again(file_store, capsys):
    def stop(_done: int, _n_steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(_network(FROZEN), _part(), _part(4), FROZEN, 1, Progress(on_step=stop), Checkpoints(file_store, "r/v"))
    assert "fitting the heads to 8 slices" in capsys.readouterr().err
    again, whole = _network(FROZEN), _network(FROZEN)
    fit(again, _part(), _part(4), FROZEN, 1, checkpoints=Checkpoints(file_store, "r/v"))
    assert "fitting the heads" not in capsys.readouterr().err
    fit(whole, _part(), _part(4), FROZEN, 1)
    assert torch.equal(again.diagnosis.weight, whole.diagnosis.weight)


def test_what_is_frozen_drops_no_path():
    network = _network(TrainingConfig(frozen_share=1)).train()
    pixels = torch.from_numpy(_part().pixels)
    with torch.no_grad():
        assert torch.equal(network.feature_maps(pixels), network.feature_maps(pixels))


def test_progress_is_told_of_every_step_and_epoch():
    steps, told = [], []
    network = _network(QUICK)
    progress = Progress(on_epoch=told.append, on_step=lambda done, n_steps: steps.append((done, n_steps)))
    records = fit(network, _part(9), _part(5), QUICK, 1, progress)
    assert steps == [(done, 6) for done in range(1, 7)]
    assert records == told
    assert [record.epoch for record in records] == [1, 2]
    assert all(math.isfinite(value) for value in dataclasses.astuple(records[-1]))
    assert not network.training


def test_a_baseline_and_a_validation_part_of_one_class_leave_values_out():
    validation = LabelledPixels(_part(3).pixels[::2], _part(3).labels[::2])
    record = fit(_network(QUICK, "baseline"), _part(4), validation, QUICK, 1)[-1]
    assert (record.train_lesions_loss, record.validation_lesions_loss, record.validation_auroc) == (None, None, None)
    assert record.validation_diagnosis_loss is not None


@pytest.mark.parametrize("mask", ["unknown", "unnamed"])
def test_lesions_of_which_none_counts_have_no_loss(mask):
    part = _part(5)
    part.labels[:, 1:] = float("nan") if mask == "unknown" else 0
    record = fit(_network(QUICK), part, part, QUICK.model_copy(update={"lesion_mask": mask}), 1)[-1]
    assert (record.train_lesions_loss, record.validation_lesions_loss) == (None, None)


def test_a_loss_that_is_not_finite_names_the_rows_of_the_batch():
    network = _network(QUICK)
    torch.nn.init.constant_(network.diagnosis.bias, float("nan"))
    with pytest.raises(NonFiniteLossError, match="learning_rate") as caught:
        fit(network, _part(), _part(), QUICK, 1)
    assert len(caught.value.rows) == 4
    assert set(caught.value.rows) <= set(range(8))


def test_parts_that_do_not_fit_are_refused_before_the_first_step():
    with pytest.raises(DatasetError, match="part must be"):
        fit(_network(QUICK), _part(), LabelledPixels(_part().pixels, _part(3).labels), QUICK, 1)
    with pytest.raises(DatasetError, match="at least 2 images"):
        fit(_network(QUICK), _part(1), _part(), QUICK, 1)
    with pytest.raises(DatasetError, match="validation part is empty"):
        fit(_network(QUICK), _part(), _part(0), QUICK, 1)


def test_weights_that_the_last_step_broke_are_no_result():
    training = QUICK.model_copy(update={"epochs": 1, "batch_size": 8})
    network = _network(training)

    def break_weights(_done: int, _n_steps: int) -> None:
        torch.nn.init.constant_(network.diagnosis.weight, float("nan"))

    with pytest.raises(TrainingError, match="not finite"):
        fit(network, _part(), _part(), training, 1, Progress(on_step=break_weights))


def test_the_learning_rate_warms_up_and_decays_to_nearly_zero():
    factors = [learning_rate_factor(step, 100, 10) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == factors[10] == pytest.approx(1)
    assert factors[55] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[10:]))
    assert 0 < factors[-1] < 0.001
    assert learning_rate_factor(0, 5, 0) == 1
