"""Trained weights out of torch and back: an ONNX graph for inference, safetensors for the weights alone.

Both are free of pickle, and of paths and names of the machine that wrote them.
"""

import copy
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import onnx
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ladnn.errors import TrainingError, WeightsError
from ladnn.model.graph import LOGITS, MAPS, PIXELS, InferenceGraph
from ladnn.model.network import LADNN

PARITY_TOLERANCE = 1e-3
"""Largest difference of a logit or map between torch and the exported graph, as a share of the largest one above 1."""
_PARITY_BATCHES = (1, 5)  # neither is the size of the example, so a batch axis that got fixed shows


class _WithMaps(nn.Module):
    def __init__(self, network: LADNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.network.feature_maps(pixels)
        return self.network.classify(maps), maps


def export_onnx(network: LADNN) -> bytes:
    """Export a network to ONNX and compare the two.

    `pixels` uint8 (batch, S, S) -> `logits` float32 (batch, 6 or 1) and `maps` float32 (batch, C, h, w), the last
    feature maps.

    The network itself is not changed. The same weights and versions give the same bytes.

    Raises:
        TrainingError: the graph's logits or maps are not those of the network.
    """
    frozen = _WithMaps(copy.deepcopy(network)).cpu().to(memory_format=torch.contiguous_format).eval()
    size_px = network.preprocessing.size_px
    example = torch.zeros(2, size_px, size_px, dtype=torch.uint8)
    with _quiet():
        program = torch.onnx.export(
            frozen,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            input_names=[PIXELS],
            output_names=[LOGITS, MAPS],
            verbose=False,
        )
    if program is None:
        raise TrainingError("torch exported no ONNX program; check the versions of torch and onnxscript")
    data = _without_traces(program.model_proto)
    _check_parity(frozen, data)
    return data


def weights_to_safetensors(network: LADNN) -> bytes:
    """Serialise all weights and batch-norm statistics; the same weights give the same bytes."""
    state = network.state_dict()
    return safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in state.items()})


def load_safetensors(network: LADNN, data: bytes) -> None:
    """Load weights into a network of the same variant, in place.

    Raises:
        WeightsError: the bytes are no safetensors file, or one of another network.
    """
    try:
        network.load_state_dict(safetensors.torch.load(data))
    except SafetensorError as error:
        raise WeightsError(
            f"the weights are no readable safetensors file ({error}); fetch or train them again"
        ) from error
    except RuntimeError as error:
        raise WeightsError(
            "the weights belong to another network; build the network of the variant they were trained with"
        ) from error


def _without_traces(model: onnx.ModelProto) -> bytes:
    """Serialise a model without what the exporter noted of source files, symbols and Python classes."""
    graph = model.graph
    described: Iterable[onnx.NodeProto | onnx.ValueInfoProto | onnx.TensorProto] = chain(
        graph.node, graph.input, graph.output, graph.initializer
    )
    graph.ClearField("value_info")
    for item in (model, graph, *described):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _check_parity(frozen: _WithMaps, data: bytes) -> None:
    graph = InferenceGraph(data)
    generator = np.random.default_rng(0)
    for n in _PARITY_BATCHES:
        pixels = generator.integers(0, 256, (n, graph.size_px, graph.size_px), dtype=np.uint8)
        with torch.no_grad():
            expected = [output.numpy() for output in frozen(torch.from_numpy(pixels))]
        for name, found, wanted in zip((LOGITS, MAPS), graph.logits_and_maps(pixels), expected, strict=True):
            difference = float(np.abs(found - wanted).max() / np.maximum(1, np.abs(wanted).max()))
            if not difference < PARITY_TOLERANCE:  # NaN fails too
                raise TrainingError(
                    f"the exported graph's {name} are {difference:.2g} off the network's, more than "
                    f"{PARITY_TOLERANCE:g}; look for weights that are not finite, then at the versions of torch and "
                    "onnxscript"
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings, which the caller can do nothing about, to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
