"""The inference graph: what evaluation and the service run, on ONNX Runtime alone."""

import os
from types import ModuleType

import numpy as np
import numpy.typing as npt

from ladnn.errors import BundleError
from ladnn.labels import LABELS

_ERRORS_ONLY = 3  # severity of ONNX Runtime's own log


class InferenceGraph:
    """An ONNX model from 8-bit grey slices to logits, on the CPU; safe to use from several threads."""

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
        self.size_px, self.n_outputs = self._check_signature()

    def _check_signature(self) -> tuple[int, int]:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        described = [(item.name, item.type, item.shape) for item in (*inputs, *outputs)]
        if len(inputs) == len(outputs) == 1:
            (_, in_type, in_shape), (_, out_type, out_shape) = described
            fits_input = in_type == "tensor(uint8)" and len(in_shape) == 3 and in_shape[1] == in_shape[2]
            fits_output = out_type == "tensor(float)" and len(out_shape) == 2 and out_shape[1] in (1, len(LABELS))
            if fits_input and fits_output and isinstance(in_shape[1], int):
                return in_shape[1], int(out_shape[1])
        raise BundleError(
            f"the inference graph has {described}, not one uint8 (batch, size, size) input and one float "
            f"(batch, {len(LABELS)} or 1) output; export it with ladnn.model.export"
        )

    def logits(self, pixels: npt.NDArray[np.uint8], batch_size: int = 32) -> npt.NDArray[np.float32]:
        """Run the graph over slices.

        Args:
            pixels: preprocessed slices, uint8 (N, size_px, size_px); may be a memory map.
            batch_size: slices held in floating point at a time.

        Returns:
            float32 (N, n_outputs) logits, in the order of `ladnn.labels.LABELS`.

        Raises:
            BundleError: the slices have another type or size than the graph.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (self.size_px, self.size_px):
            raise BundleError(
                f"the inference graph takes uint8 (N, {self.size_px}, {self.size_px}) slices, not {pixels.dtype} "
                f"{pixels.shape}; apply its bundle's preprocessing first"
            )
        result = np.empty((len(pixels), self.n_outputs), dtype=np.float32)
        name = self._session.get_inputs()[0].name
        for start in range(0, len(pixels), batch_size):
            batch = np.ascontiguousarray(pixels[start : start + batch_size])
            result[start : start + batch_size] = self._session.run(None, {name: batch})[0]
        return result


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
