"""Training against the same steps on ready tensors and against a plain loop; inference; how training grows with images."""

import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from measured import Measured, say
from numpy.typing import NDArray
from PIL import Image
from slices import study_files
from torch import Tensor
from torchvision import transforms

from ladnn.config import TrainingConfig, Variant
from ladnn.dataset.pipeline import Batch, LabelledPixels
from ladnn.model.backbones import backbone
from ladnn.model.export import export_onnx
from ladnn.model.graph import InferenceGraph
from ladnn.model.loss import joint_loss
from ladnn.model.network import LADNN, build_network
from ladnn.model.weights import WeightsSource
from ladnn.training.devices import open_devices
from ladnn.training.fit import Progress, fit
from ladnn.training.schedule import make_optimizer
from ladnn.training.step import Gradients

BACKBONE, BATCH, N_TRAIN, N_VALIDATION = "efficientnet_lite0", 16, 64, 32
N_TURNS, N_INFERRED = 3, 32
TRAINING = TrainingConfig(epochs=1, batch_size=BATCH, weights="random")
_PREPROCESSING = backbone(BACKBONE).preprocessing


def run() -> Iterator[Measured]:
    files = [data for number in range(10) for data in study_files(number).values()][: N_TRAIN + N_VALIDATION]
    part = LabelledPixels(np.stack([_decoded(data) for data in files]), _labels(len(files)))
    train, validation = (LabelledPixels(part.pixels[s], part.labels[s]) for s in (slice(N_TRAIN), slice(N_TRAIN, None)))
    yield from _against_ready_tensors(train, validation)
    yield from _against_plain_loop(files, train, validation)
    yield from _inference(part.pixels[:N_INFERRED])
    yield from _growth()


def _against_ready_tensors(train: LabelledPixels, validation: LabelledPixels) -> Iterator[Measured]:
    ready = _synthetic_steps()
    ours, synthetic = [], []
    for turn in range(N_TURNS + 1):
        found = N_TRAIN / _timed(lambda: _epoch(train, validation, steps_only=True))
        there = N_TRAIN / _timed(ready)
        if turn:  # the first one warms caches
            ours.append(found)
            synthetic.append(there)
            say(f"training speed: {found:.1f} images/s, on ready tensors {there:.1f}")
    a, b = statistics.median(ours), statistics.median(synthetic)
    yield Measured("training against ready tensors", f"{a:.1f} against {b:.1f} images/s", a / b, at_least=0.95)


def _against_plain_loop(files: list[bytes], train: LabelledPixels, validation: LabelledPixels) -> Iterator[Measured]:
    plain = _PlainLoop(files, train.labels)
    ours, theirs = [], []
    for _ in range(N_TURNS):
        ours.append(N_TRAIN / _timed(lambda: _epoch(train, validation)))
        theirs.append(N_TRAIN / _timed(plain.epoch))
        say(f"training speed: whole epoch {ours[-1]:.1f} images/s, plain loop {theirs[-1]:.1f}")
    a, b = statistics.median(ours), statistics.median(theirs)
    yield Measured("epoch against a plain loop", f"{a:.1f} against {b:.1f} images/s", a / b, at_least=2.0)
    say(f"training speed: this machine multiplies matrices at {_peak_gflops():.0f} GFLOP/s in float32")


def _inference(pixels: NDArray[np.uint8]) -> Iterator[Measured]:
    network = _network().eval()
    data = export_onnx(network)
    graph, bare = InferenceGraph(data), onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    ready = torch.from_numpy(np.array(pixels))

    def eager() -> None:
        with torch.no_grad():
            network(ready)

    calls: dict[str, Callable[[], object]] = {
        "graph": lambda: graph.logits(pixels),
        "eager": eager,
        "bare": lambda: bare.run(["logits"], {"pixels": pixels}),
    }
    seconds = {name: statistics.median([_timed(call) for _ in range(N_TURNS + 1)][1:]) for name, call in calls.items()}
    for other, wanted in (("eager", 4.0), ("bare", 0.9)):
        rates = (N_INFERRED / seconds[name] for name in ("graph", other))
        measured = "{:.0f} against {:.0f} images/s".format(*rates)
        yield Measured(f"inference against {other}", measured, seconds[other] / seconds["graph"], at_least=wanted)


def _growth() -> Iterator[Measured]:
    """Measure training of 1, 2 and 4 times as many images, each in a process of its own."""
    found = {}
    for times in (1, 2, 4):
        finished = subprocess.run([sys.executable, __file__, str(times)], check=True, stdout=subprocess.PIPE, text=True)
        found[times] = json.loads(finished.stdout)
        say(f"training speed: {times} x {N_TRAIN} images in {found[times]['seconds']:.1f} s")
    for what, unit in (("seconds", "s"), ("peak_bytes", "bytes")):
        shown = ", ".join(f"{values[what]:.0f}" for values in found.values()) + f" {unit} for 1, 2, 4 times the images"
        yield Measured(f"training: {what} a image, 4x", shown, found[4][what] / found[1][what] / 4, at_most=1.2)


def _network() -> LADNN:
    return build_network(Variant(backbone=BACKBONE, task="ladnn"), TRAINING, 0, WeightsSource())


def _labels(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).choice([0.0, 1.0], (n, 6)).astype(np.float32)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return _PREPROCESSING.apply(np.asarray(image.convert("L")))


def _timed(call: Callable[[], object]) -> float:
    """Return what a call took; a number that it returns stands in place of its whole time."""
    started_s = time.perf_counter()
    found = call()
    return found if isinstance(found, float) else time.perf_counter() - started_s


def _epoch(train: LabelledPixels, validation: LabelledPixels, steps_only: bool = False) -> float:
    """Train for an epoch; return its seconds, those of validation only if asked for."""
    record = fit(_network(), train, validation, TRAINING, 1)[-1]
    return N_TRAIN / record.images_per_second if steps_only else record.seconds


def _synthetic_steps() -> Callable[[], None]:
    accelerator, network = open_devices(), _network().train()
    model = accelerator.prepare_model(network.to(memory_format=torch.channels_last))
    optimizer, gradients = make_optimizer(network, TRAINING), Gradients(model, accelerator, TRAINING)
    pixels = torch.randint(0, 256, (BATCH, _PREPROCESSING.size_px, _PREPROCESSING.size_px), dtype=torch.uint8)
    batch = Batch(np.arange(BATCH), torch.from_numpy(_labels(BATCH)), slice(0, BATCH), pixels)

    def steps() -> None:
        for _ in range(N_TRAIN // BATCH):  # as many as on the other side: the first one after a pause is slow
            gradients.compute(batch, seed=0)
            optimizer.step()

    return steps


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
        normalised = (images * 255 - self.network.mean) / self.network.std
        return self.network.classify(self.network.features(normalised))

    @staticmethod
    def _images(files: list[bytes], transform: Callable[[Image.Image], Tensor]) -> Tensor:
        return torch.stack([transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])


def _peak_gflops() -> float:
    matrix = torch.randn(2048, 2048)
    return max(2 * 2048**3 / _timed(lambda: matrix @ matrix) / 1e9 for _ in range(5))


def _task(times: int) -> None:
    n = times * N_TRAIN
    size = _PREPROCESSING.size_px
    pixels = np.random.default_rng(0).integers(0, 256, (n, size, size), dtype=np.uint8)
    part = LabelledPixels(pixels, _labels(n))
    record = fit(_network(), part, part, TRAINING, 1, Progress())[-1]
    print(json.dumps({"seconds": record.seconds, "peak_bytes": record.peak_memory_bytes}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    _task(int(sys.argv[1]))
