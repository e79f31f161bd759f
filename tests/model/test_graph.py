import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from ladnn.errors import BundleError
from ladnn.model.graph import InferenceGraph, sigmoid


def test_batches_threads_and_memory_maps_do_not_change_the_logits(exported, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    expected = InferenceGraph(exported).logits(pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    result = InferenceGraph(exported, n_threads=1).logits(mapped, batch_size=2)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_no_slices_give_no_logits(exported):
    graph = InferenceGraph(exported)
    assert graph.logits(np.empty((0, 64, 64), np.uint8)).shape == (0, graph.n_outputs) == (0, 6)


def test_slices_of_another_size_or_type_are_refused(exported):
    graph = InferenceGraph(exported)
    for pixels in (np.zeros((1, 32, 32), np.uint8), np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), np.uint8)):
        with pytest.raises(BundleError, match="preprocessing"):
            graph.logits(pixels)


def _foreign_model(elem_type: int) -> bytes:
    shape = ["batch", 64, 64]
    node = helper.make_node("Identity", ["x"], ["y"])
    tensors = [helper.make_tensor_value_info(name, elem_type, shape) for name in "xy"]
    graph = helper.make_graph([node], "foreign", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be loaded"),
        (b"no graph at all", "cannot be loaded"),
        (_foreign_model(TensorProto.UINT8), "output"),
        (_foreign_model(TensorProto.FLOAT), "input"),
    ],
)
def test_bytes_that_are_no_graph_of_a_ladnn_are_refused(data, message):
    with pytest.raises(BundleError, match=message):
        InferenceGraph(data)


@settings(deadline=None)
@given(st.floats(-(2.0**100), 2.0**100, width=32))
def test_probabilities_stay_in_range_and_are_symmetric(logit):
    probability, mirrored = sigmoid(np.array([logit, -logit], dtype=np.float32))
    assert 0 <= probability <= 1
    assert probability + mirrored == pytest.approx(1)


def test_hand_worked_probabilities():
    np.testing.assert_allclose(sigmoid(np.array([0, np.log(3), -1e4])), [0.5, 0.75, 0], atol=1e-12)
