"""The inference graph: what evaluation and the service run, on ONNX Runtime alone."""

import os
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import numpy.typing as npt

from ladnn.errors import BundleError
from ladnn.labels import LABELS

Floats = npt.NDArray[np.float32]
PIXELS, LOGITS, MAPS = "pixels", "logits", "maps"
"""Names of the graph's input and outputs."""
_ERRORS_ONLY = 3  # severity of ONNX Runtime's own log


class InferenceGraph:
    """An ONNX model from 8-bit grey slices to logits and feature maps, on the CPU; safe to use from several threads."""

    def __init__(self, data: bytes, n_threads: int | None = None) -> None:
        """Load a graph.

        Args:
            data: the bytes of an ONNX file with its weights inside.
            n_threads: threads a call may use; None leaves it to the runtime, which takes all cores.

        Raises:
            BundleError: the bytes are no ONNX model, or one with other inputs or outputs than a LA-DNN.
        """
        onnxruntime = _silent_runtime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = n_threads or 0
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors share no base class
            raise BundleError(
                f"the inference graph cannot be loaded ({type(error).__name__}); export it again"
            ) from error
        self.size_px, self.n_outputs, self.maps_shape = self._check_signature()

    def _check_signature(self) -> tuple[int, int, tuple[int, int, int]]:
        """Return the side of the input, the number of logits and the shape of an image's maps."""
        inputs = {item.name: (item.type, item.shape) for item in self._session.get_inputs()}
        outputs = {item.name: (item.type, item.shape) for item in self._session.get_outputs()}
        if set(inputs) == {PIXELS} and set(outputs) == {LOGITS, MAPS}:
            (in_type, (_, *side)), (out_type, (_, *width)) = inputs[PIXELS], outputs[LOGITS]
            maps_type, (_, *maps) = outputs[MAPS]
            types = (in_type, out_type, maps_type) == ("tensor(uint8)", "tensor(float)", "tensor(float)")
            fixed = all(isinstance(length, int) for length in (*side, *maps))
            square = len(side) == 2 and side[0] == side[1]
            if types and fixed and square and width in ([1], [len(LABELS)]) and len(maps) == 3:
                return side[0], width[0], (maps[0], maps[1], maps[2])
        raise BundleError(
            f"the inference graph has {inputs} -> {outputs}, not uint8 {PIXELS!r} (batch, size, size) -> float {LOGITS!r} "
            f"(batch, {len(LABELS)} or 1) and {MAPS!r} (batch, channels, height, width); export it with ladnn.model.export"
        )

    def logits(self, pixels: npt.NDArray[np.uint8], batch_size: int = 32) -> Floats:
        """Run the graph over slices.

        Args:
            pixels: preprocessed slices, uint8 (N, size_px, size_px); may be a memory map.
            batch_size: slices held in floating point at a time.

        Returns:
            float32 (N, n_outputs) logits, in the order of `ladnn.labels.LABELS`.

        Raises:
            BundleError: the slices have another type or size than the graph.
        """
        result = np.empty((len(pixels), self.n_outputs), dtype=np.float32)
        for rows, outputs in self._run(pixels, batch_size, [LOGITS]):
            result[rows] = outputs[0]
        return result

    def logits_and_maps(self, pixels: npt.NDArray[np.uint8], batch_size: int = 32) -> tuple[Floats, Floats]:
        """Run the graph over slices, for attention maps.

        Args:
            pixels: as in `logits`.
            batch_size: as in `logits`.

        Returns:
            The logits, and the maps that the heads see, with the weights of regions, if any, float32 (N, *maps_shape),
            which take hundreds of kilobytes a slice, or megabytes.

        Raises:
            BundleError: the slices have another type or size than the graph.
        """
        logits = np.empty((len(pixels), self.n_outputs), dtype=np.float32)
        maps = np.empty((len(pixels), *self.maps_shape), dtype=np.float32)
        for rows, outputs in self._run(pixels, batch_size, [LOGITS, MAPS]):
            logits[rows], maps[rows] = outputs
        return logits, maps

    def _run(
        self, pixels: npt.NDArray[np.uint8], batch_size: int, names: list[str]
    ) -> Iterator[tuple[slice, list[Floats]]]:
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (self.size_px, self.size_px):
            raise BundleError(
                f"the inference graph takes uint8 (N, {self.size_px}, {self.size_px}) slices, not {pixels.dtype} "
                f"{pixels.shape}; apply its bundle's preprocessing first"
            )
        for start in range(0, len(pixels), batch_size):
            rows = slice(start, start + batch_size)
            yield rows, self._session.run(names, {PIXELS: np.ascontiguousarray(pixels[rows])})


def _silent_runtime() -> ModuleType:
    """Import ONNX Runtime with its telemetry off.

    Since 1.29 its official Linux builds send hashes of graph and weights to their maker unless this variable is set
    before the import (microsoft/onnxruntime pull request 27379).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # for a process that had imported it before
    return onnxruntime  # type: ignore[no-any-return]


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Turn logits of any shape into probabilities, without overflow for large magnitudes."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))
