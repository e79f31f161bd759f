import copy
import hashlib
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from settled_networks import phantom_slices, settle

import ladnn
from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.errors import TrainingError, WeightsError
from ladnn.model.backbones import BACKBONES
from ladnn.model.export import export_onnx, load_safetensors, weights_to_safetensors
from ladnn.model.graph import InferenceGraph
from ladnn.model.network import build_network
from ladnn.model.regions import N_REGIONS
from ladnn.model.weights import WeightsSource


@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_exported_graph_equals_the_network_for_any_batch(trained_like, exported, n):
    pixels = np.random.default_rng(n).integers(0, 256, (n, 64, 64), dtype=np.uint8)
    with torch.no_grad():
        expected = trained_like(torch.from_numpy(pixels)).numpy()
        expected_maps = trained_like.feature_maps(torch.from_numpy(pixels)).numpy()
    logits, maps = InferenceGraph(exported).logits_and_maps(pixels)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(maps, expected_maps, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["average", "statistics"])
@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_is_exported_with_its_maps_and_always_the_same(name, pooling):
    training = TrainingConfig(weights="random", pooling=pooling)
    network = build_network(Variant(backbone=name, task="ladnn"), training, 3, WeightsSource())
    settle(network, phantom_slices(network.preprocessing, 2, 4))
    data = export_onnx(network)
    graph = InferenceGraph(data)
    pixels = phantom_slices(network.preprocessing, 3, 3)
    with torch.no_grad():
        expected = network.feature_maps(torch.from_numpy(pixels))
        expected_logits = network.classify(expected).numpy()
    logits, maps = graph.logits_and_maps(pixels)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-4 * np.abs(expected_logits).max())
    np.testing.assert_allclose(maps, expected.numpy(), atol=1e-4 * float(expected.abs().max()))
    assert (graph.size_px, graph.n_outputs) == (BACKBONES[name].preprocessing.size_px, 6)
    stages, channels = BACKBONES[name].stages, BACKBONES[name].n_channels
    assert graph.maps_shape[0] == (sum(stages.values()) + N_REGIONS if pooling == "statistics" else channels)
    if pooling == "statistics":  # weights are far smaller than maps
        np.testing.assert_allclose(maps[:, -N_REGIONS:], expected[:, -N_REGIONS:].numpy(), rtol=1e-4, atol=1e-8)
    if name in {"vgg16", "densenet121", "efficientnet_b0"}:
        assert hashlib.sha256(export_onnx(network)).digest() == hashlib.sha256(data).digest()


def test_the_exported_file_names_nothing_of_this_machine(exported):
    model = onnx.load_from_string(exported)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")  # megabytes of weights hold any short string by chance
    described = model.SerializeToString()
    for trace in (str(Path(ladnn.__file__).parent), str(Path(torch.__file__).parent), ".py", "stack_trace", "class_hi"):
        assert trace.encode() not in described


def test_the_same_weights_give_the_same_bytes_without_any_noise(trained_like, exported, capfd, caplog):
    trained_like.train()
    try:
        with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
            warnings.simplefilter("error")
            again = export_onnx(trained_like)
        assert trained_like.training
    finally:
        trained_like.eval()
    assert again == exported
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")


def test_weights_that_are_not_finite_are_not_exported(trained_like):
    broken = copy.deepcopy(trained_like)
    torch.nn.init.constant_(broken.diagnosis.bias, float("nan"))
    with pytest.raises(TrainingError, match="finite"):
        export_onnx(broken)


def test_a_graph_with_other_outputs_than_the_network_is_refused(trained_like, monkeypatch):
    def shifted(graph, pixels, batch_size=32):
        logits, maps = computed(graph, pixels, batch_size)
        return logits + 0.01, maps

    computed = InferenceGraph.logits_and_maps
    monkeypatch.setattr(InferenceGraph, "logits_and_maps", shifted)
    with pytest.raises(TrainingError, match=r"logits are 0\.01 off"):
        export_onnx(trained_like)


def test_weights_survive_safetensors(trained_like, small_network):
    data = weights_to_safetensors(trained_like)
    other = small_network("ladnn", seed=8).eval()
    load_safetensors(other, data)
    pixels = torch.full((2, 64, 64), 90, dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(other(pixels), trained_like(pixels))
    assert weights_to_safetensors(other) == data


def test_foreign_weights_are_refused(trained_like, small_network):
    with pytest.raises(WeightsError, match="safetensors"):
        load_safetensors(trained_like, b"no weights at all")
    with pytest.raises(WeightsError, match="another network"):
        load_safetensors(small_network("baseline"), weights_to_safetensors(trained_like))
