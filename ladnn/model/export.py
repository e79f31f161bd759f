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
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from ladnn.errors import TrainingError, WeightsError
from ladnn.model.graph import LOGITS, MAPS, PIXELS, InferenceGraph
from ladnn.model.network import LADNN
from ladnn.model.preprocessing import Preprocessing
from ladnn.phantoms.study import generate_study

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

    `pixels` uint8 (batch, S, S) -> `logits` float32 (batch, 6 or 1) and `maps` float32 (batch, C, h, w), those that
    the heads see.

    The network itself is not changed. The same weights and versions give the same bytes.

    Raises:
        TrainingError: the graph's logits or maps are not those of the network, or the network's are no numbers to
            compare with.
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
    """Compare on phantoms that the network itself gives the same outputs for, whatever the order of its sums.

    Batch norm can amplify rounding without bounds on pictures unlike any that it was fitted to: there, two right
    implementations differ as much as two networks, so that a comparison says nothing.
    """
    pixels = _phantoms(frozen.network.preprocessing, max(_PARITY_BATCHES))
    expected, exact = _outputs(frozen, pixels), _outputs(copy.deepcopy(frozen).double(), pixels)
    scales = [np.maximum(1, _per_image(wanted)) for wanted in exact]
    rounding = [_per_image(a - b) / scale for a, b, scale in zip(expected, exact, scales, strict=True)]
    determined = np.max(rounding, axis=0) < PARITY_TOLERANCE / 10  # NaN is not
    if not determined.any():
        raise TrainingError(
            "the network cannot be compared with its graph: on every phantom its outputs are not finite, or mere rounding; "
            "look for weights that are not finite or a training that diverged"
        )
    pixels, expected, scales = pixels[determined], [a[determined] for a in expected], [a[determined] for a in scales]
    graph = InferenceGraph(data)
    for n in _PARITY_BATCHES:
        for name, found, wanted, scale in zip(
            (LOGITS, MAPS), graph.logits_and_maps(pixels[-n:]), expected, scales, strict=True
        ):
            differences = _per_image(found - wanted[-n:]) / scale[-n:]
            if not (differences < PARITY_TOLERANCE).all():  # NaN fails too
                raise TrainingError(
                    f"the exported graph's {name} are {differences.max():.2g} off the network's, more than "
                    f"{PARITY_TOLERANCE:g}; look at the versions of torch and onnxscript"
                )


def _phantoms(preprocessing: Preprocessing, n: int) -> NDArray[np.uint8]:
    shown = [generate_study(0, index, style="ba"[index % 2], n_slices=1).slices[0] for index in range(n)]
    return np.stack([preprocessing.apply(piece.pixels) for piece in shown])


def _outputs(frozen: _WithMaps, pixels: NDArray[np.uint8]) -> list[NDArray[np.floating]]:
    with torch.no_grad():
        return [output.numpy() for output in frozen(torch.from_numpy(pixels))]


def _per_image(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the largest magnitude of each image, (N, ...) -> (N,)."""
    largest: NDArray[np.floating] = np.abs(values).reshape(len(values), -1).max(axis=1)
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings, which the caller can do nothing about, to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
