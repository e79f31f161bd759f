"""Training, end to end: against the same steps on ready tensors, and against a loop written as the authors'."""

import io
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from measured import Measured, say
from numpy.typing import NDArray
from PIL import Image
from slices import KIND, study_files
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import Batch, LabelledPixels
from ladnn.model.backbones import backbone
from ladnn.model.loss import joint_loss
from ladnn.model.network import LADNN, build_network
from ladnn.model.weights import WeightsSource
from ladnn.training.devices import freed_memory_kept, open_devices
from ladnn.training.fit import fit
from ladnn.training.schedule import make_optimizer
from ladnn.training.step import Gradients

BACKBONE, BATCH, N_TRAIN, N_VALIDATION = "efficientnet_lite0", 32, 160, 48
N_TURNS = 3
TRAINING = TrainingConfig(epochs=1, batch_size=BATCH)
_PREPROCESSING = backbone(BACKBONE).preprocessing
_N_MULTIPLIED = 2048


def run() -> Iterator[Measured]:
    """Measure an epoch in three forms, in turns, so that whatever else the machine does meets all of them."""
    n_studies = (N_TRAIN + N_VALIDATION) // 10 + 1
    files = [data for number in range(n_studies) for data in study_files(number).values()][: N_TRAIN + N_VALIDATION]
    labels = _labels(len(files))
    pixels = np.stack([_decoded(data) for data in files])  # once a dataset version, by `load_pixels`
    train, validation = (
        LabelledPixels(pixels[:N_TRAIN], labels[:N_TRAIN]),
        LabelledPixels(pixels[N_TRAIN:], labels[N_TRAIN:]),
    )
    plain, ready = _PlainLoop(files, labels), _ReadySteps(train)
    turns = []
    for turn in range(N_TURNS + 1):
        record = fit(_network(), train, validation, TRAINING, 1)[-1]
        rates = (record.images_per_second, ready.rate(), N_TRAIN / record.seconds, N_TRAIN / _timed(plain.epoch))
        say(
            "training: steps {:.1f} images/s, on ready tensors {:.1f}; whole epoch {:.1f}, plain loop {:.1f}".format(
                *rates
            )
        )
        if turn:  # the first one warms caches
            turns.append(rates)
    steps, on_ready, epoch, plainly = (statistics.median(column) for column in zip(*turns, strict=True))
    yield Measured(
        f"training steps against ready tensors ({KIND} slices, batch {BATCH})",
        f"{steps:.1f} against {on_ready:.1f} images/s",
        statistics.median(mine / theirs for mine, theirs, _, _ in turns),
        at_least=0.95,
    )
    yield Measured(
        "epoch with validation against a plain loop",
        f"{epoch:.1f} against {plainly:.1f} images/s",
        statistics.median(mine / theirs for _, _, mine, theirs in turns),
        at_least=2.0,
    )
    _say_limits(steps)


def _say_limits(images_per_second: float) -> None:
    flops = _step_flops() * images_per_second / 1e9
    peaks = {name: _peak_gflops(dtype) for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))}
    shares = ", ".join(f"{flops / peak:.0%} of {peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items())
    say(
        f"training: steps do {flops:.0f} GFLOP/s of convolutions, {shares} that this machine multiplies matrices with; "
        "depth-wise convolutions, batch norm and activations, which memory limits, take the rest"
    )


def _network() -> LADNN:
    return build_network(Variant(backbone=BACKBONE, task="ladnn"), TRAINING, 0, WeightsSource())


def _labels(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).choice([0.0, 1.0], (n, 6)).astype(np.float32)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return _PREPROCESSING.apply(np.asarray(image.convert("L")))


def _timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


class _ReadySteps:
    """The steps of `fit`, by its own parts and settings, on batches that lie in memory as they are fed."""

    def __init__(self, data: LabelledPixels) -> None:
        accelerator, network = open_devices(), _network().train().to(memory_format=torch.channels_last)
        self.optimizer = accelerator.prepare_optimizer(make_optimizer(network, TRAINING))
        self.gradients = Gradients(accelerator.prepare_model(network), accelerator, TRAINING)
        pixels, labels = torch.from_numpy(np.array(data.pixels)), torch.from_numpy(data.labels)
        self.batches = [
            Batch(rows.numpy(), labels[rows], slice(0, len(rows)), pixels[rows].contiguous())
            for rows in torch.arange(N_TRAIN).split(BATCH)
        ]

    def rate(self) -> float:
        """Return images/s of as many steps as an epoch has."""
        with freed_memory_kept(torch.device("cpu")):
            return N_TRAIN / _timed(self._steps)

    def _steps(self) -> None:
        for seed, batch in enumerate(self.batches):
            self.gradients.compute(batch, seed)
            self.optimizer.step()


class _PlainLoop:
    """As the authors' code: every image is decoded, resized and transformed by itself, in every epoch."""

    def __init__(self, files: list[bytes], labels: NDArray[np.float32]) -> None:
        self.files, self.labels, self.network = files, torch.from_numpy(labels), _network()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=5e-5, weight_decay=5e-4)
        resized = transforms.Resize((_PREPROCESSING.size_px, _PREPROCESSING.size_px))
        shear = transforms.RandomAffine(degrees=0, scale=(0.8, 1.2), shear=11.5)
        self.varied = transforms.Compose([resized, shear, transforms.RandomHorizontalFlip(), transforms.ToTensor()])
        self.plain = transforms.Compose([resized, transforms.ToTensor()])

    def epoch(self) -> None:
        """Train on all images once, then look at validation."""
        self.network.train()
        for rows in torch.randperm(N_TRAIN).split(BATCH):
            images = self._images([self.files[row] for row in rows], self.varied)
            loss = joint_loss(self._logits(images), self.labels[rows], TRAINING).total
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.network.eval()
        with torch.no_grad():
            for start in range(N_TRAIN, len(self.files), BATCH):
                self._logits(self._images(self.files[start : start + BATCH], self.plain))

    def _logits(self, images: Tensor) -> Tensor:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_PREPROCESSING.mean, _PREPROCESSING.std))
        return self.network.classify(self.network.features((images * 255 - mean) / std))

    @staticmethod
    def _images(files: list[bytes], transform: Callable[[Image.Image], Tensor]) -> Tensor:
        return torch.stack([transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])


def _step_flops() -> float:
    """Return floating-point operations of a training step, an image: forward, and twice that backward."""
    network = _network().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, _PREPROCESSING.size_px, _PREPROCESSING.size_px, dtype=torch.uint8))
    return 3.0 * counter.get_total_flops()


def _peak_gflops(dtype: torch.dtype) -> float:
    matrix = torch.randn(_N_MULTIPLIED, _N_MULTIPLIED).to(dtype)
    return max(2 * _N_MULTIPLIED**3 / _timed(lambda: matrix @ matrix) / 1e9 for _ in range(5))
