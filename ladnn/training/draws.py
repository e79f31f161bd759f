"""Noise of drop-out and stochastic depth that does not depend on how a batch is cut into pieces."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Uniform = Callable[[Sequence[int]], Tensor]


class WholeBatchDraws(TorchFunctionMode):
    """While it is entered, random layers draw for a whole batch, by a seed alone, and use the rows of one piece.

    torch's global generators are neither read nor moved. It knows the calls that the backbones make: `dropout` (torch),
    `bernoulli_` (torchvision's stochastic depth) and `rand` (drop-connect of EfficientNet-Lite).
    """

    def __init__(self, seed: int, n_rows: int, piece: slice) -> None:
        """Draw for some rows, of which the network sees one piece."""
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)
        self._n_rows, self._piece = n_rows, piece

    def __torch_function__(
        self, function: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See `TorchFunctionMode`."""
        draw = _DRAWS.get(function, function)
        return draw(*args, **(kwargs or {})) if draw is function else draw(self._uniform, *args, **(kwargs or {}))

    def _uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 of 0 to 1, for the rows of the piece."""
        return torch.rand((self._n_rows, *shape[1:]), generator=self._generator)[self._piece]


def _dropout(uniform: Uniform, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or p == 0:
        return values
    kept = (uniform(values.shape) >= p).to(values.device, values.dtype) / (1 - p)
    return values.mul_(kept) if inplace else values * kept


def _bernoulli(uniform: Uniform, values: Tensor, p: float) -> Tensor:
    return values.copy_(uniform(values.shape) < p)


def _rand(
    uniform: Uniform, shape: Sequence[int], *, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> Tensor:
    return uniform(shape).to(device, dtype)


_DRAWS: dict[Any, Callable[..., Tensor]] = {
    functional.dropout: _dropout,
    Tensor.bernoulli_: _bernoulli,
    torch.rand: _rand,
}
