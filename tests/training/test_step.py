"""Gradients in pieces, where memory does not suffice for a whole batch."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import Batch
from ladnn.training.devices import open_devices
from ladnn.training.step import Gradients, OutOfMemoryError

TRAINING = TrainingConfig(batch_size=8, dropout=0.5)


class Small(nn.Module):
    """A network without batch norm, on a device that holds a few images."""

    def __init__(self, n_fitting: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.hidden, self.heads = nn.Linear(16, 8), nn.Linear(8, 6)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("n_seen", torch.zeros(()))
        self.n_fitting, self.error, self.sizes = n_fitting, error, []

    def forward(self, pixels: Tensor) -> Tensor:
        self.sizes.append(len(pixels))
        self.n_seen += len(pixels)
        if len(pixels) > self.n_fitting:
            raise self.error("out of memory")
        return self.heads(self.dropout(self.hidden(pixels.flatten(1).float() / 255)))


def _batch(n: int = 8) -> Batch:
    generator = np.random.default_rng(0)
    labels = generator.choice([0.0, 1.0, np.nan], (n, 6)).astype(np.float32)
    pixels = generator.integers(0, 256, (n, 4, 4), dtype=np.uint8)
    return Batch(np.arange(n), torch.from_numpy(labels), slice(0, n), torch.from_numpy(pixels))


def _gradients(network: Small, batch: Batch) -> tuple[list[Tensor], Tensor]:
    computed = Gradients(network, open_devices(), TRAINING).compute(batch, seed=5)
    return [parameter.grad for parameter in network.parameters()], computed.losses


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_lack_of_memory_halves_the_piece_and_gives_the_gradients_of_the_whole_batch(capsys, error):
    roomy, tight = Small(8), Small(3, error)

    (whole, losses), (pieced, same) = _gradients(roomy, _batch()), _gradients(tight, _batch())

    assert tight.sizes == [8, 4, 2, 2, 2, 2]
    torch.testing.assert_close(pieced, whole)
    torch.testing.assert_close(same, losses)
    assert tight.n_seen == roomy.n_seen  # what the failed tries left in buffers is undone
    assert "out of memory with 8 images at a time: going on with 4" in capsys.readouterr().err


def test_once_too_many_it_is_not_tried_again():
    network = Small(4)
    gradients = Gradients(network, open_devices(), TRAINING)
    gradients.compute(_batch(), seed=1)
    network.sizes.clear()
    gradients.compute(_batch(), seed=2)
    assert network.sizes == [4, 4]
    assert gradients.micro_batch == 4


def test_memory_for_not_even_one_image_is_an_error_that_says_what_to_do():
    with pytest.raises(OutOfMemoryError, match=r"1 images at a time.*batch_size"):
        _gradients(Small(0), _batch(3))


def test_other_errors_of_the_network_are_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        _gradients(Small(8), Batch(np.arange(2), _batch(2).labels, slice(0, 2), torch.zeros(2, 3, 3)))
