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
    logits, maps = InferenceGraph(exported, n_threads=1).logits_and_maps(mapped, batch_size=2)
    np.testing.assert_array_equal(logits, result)
    np.testing.assert_allclose(maps, InferenceGraph(exported).logits_and_maps(pixels)[1], atol=1e-4)


def test_no_slices_give_no_logits(exported):
    graph = InferenceGraph(exported)
    nothing = np.empty((0, 64, 64), np.uint8)
    assert graph.logits(nothing).shape == (0, graph.n_outputs) == (0, 6)
    assert graph.logits_and_maps(nothing)[1].shape == (0, *graph.maps_shape) == (0, 1280, 2, 2)


def test_slices_of_another_size_or_type_are_refused(exported):
    graph = InferenceGraph(exported)
    for pixels in (np.zeros((1, 32, 32), np.uint8), np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), np.uint8)):
        with pytest.raises(BundleError, match="preprocessing"):
            graph.logits(pixels)


OUTPUTS = {"logits": ["batch", 6], "maps": ["batch", 8, 2, 2]}


def _model(elem_type=TensorProto.UINT8, shape=("batch", 64, 64), outputs=OUTPUTS) -> bytes:
    """A graph that returns zeros, of a LA-DNN's signature unless told otherwise."""
    nodes = []
    for name, sides in outputs.items():
        lengths = helper.make_tensor(f"{name}_shape", TensorProto.INT64, [len(sides)], [1, *sides[1:]])
        nodes.append(helper.make_node("Constant", [], [f"{name}_shape"], value=lengths))
        nodes.append(helper.make_node("ConstantOfShape", [f"{name}_shape"], [name]))
    pixels = helper.make_tensor_value_info("pixels", elem_type, shape)
    described = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()]
    graph = helper.make_graph(nodes, "foreign", [pixels], described)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_the_signature_is_read_from_the_graph():
    graph = InferenceGraph(_model())
    assert (graph.size_px, graph.n_outputs, graph.maps_shape) == (64, 6, (8, 2, 2))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be loaded"),
        (b"no graph at all", "cannot be loaded"),
        (_model(elem_type=TensorProto.FLOAT), "not uint8"),
        (_model(shape=("batch", 64, 32)), "not uint8"),
        (_model(shape=("batch", 3, 64, 64)), "not uint8"),
        (_model(shape=("batch", "side", "side")), "not uint8"),
        (_model(outputs={"logits": ["batch", 6]}), "'maps'"),
        (_model(outputs=OUTPUTS | {"logits": ["batch", 4]}), "6 or 1"),
        (_model(outputs=OUTPUTS | {"maps": ["batch", 8, 2]}), "'maps'"),
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
