"""Batch norm over the whole batch where several processes share it; torch's own synchronised one has CUDA alone."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function


def share_batch_norm(network: nn.Module, device: torch.device) -> None:
    """Let every batch norm of a network see the batches of all processes, in place; the state dict stays as it was."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            network.add_module(name, SharedBatchNorm2d(child))
        else:
            share_batch_norm(child, device)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """In training, batch norm by the mean and variance over all processes, whose shards may differ in size."""

    def __init__(self, original: nn.BatchNorm2d) -> None:
        """Take parameters and running statistics over from a batch norm with both."""
        super().__init__(original.num_features, original.eps, original.momentum)
        self.weight, self.bias = original.weight, original.bias
        self.running_mean, self.running_var = original.running_mean, original.running_var
        self.num_batches_tracked = original.num_batches_tracked

    def forward(self, values: Tensor) -> Tensor:
        """Normalise float (B, C, h, w)."""
        if not self.training:
            return super().forward(values)
        axes = (0, 2, 3)
        sums = torch.cat([values.sum(axes), values.new_full((1,), values.numel() / self.num_features)])
        sums = _summed(sums)
        n, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = values - mean.view(1, -1, 1, 1)
        # Squares of the differences, not the difference of squares, which cancels.
        variance = _summed(centred.square().sum(axes)) / n
        self._follow(mean.detach(), variance.detach() * n / (n - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of this batch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        momentum = self.momentum or 0.0
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class _SumOverProcesses(Function):
    """Each process's values move the sum of all of them alike, so their gradients add up, too."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone()
        distributed.all_reduce(summed)
        return summed


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(values)
    return total
