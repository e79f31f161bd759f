"""Inference from a bundle against eager torch and a bare ONNX Runtime session, and the predictor over image files."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from measured import Measured, say
from numpy.typing import NDArray
from retrain_growth import EXPERIMENT, retrain
from slices import KIND, study_files

from ladnn.intake.decode import decode
from ladnn.model.export import load_safetensors
from ladnn.model.network import build_network
from ladnn.model.weights import WeightsSource
from ladnn.registry.bundle import GRAPH, WEIGHTS, Bundle, load_bundle
from ladnn.serving.predictor import Predictor
from ladnn.settings import read_settings
from ladnn.store import open_store

N_IMAGES, N_TURNS, N_PATIENTS, BATCH = 96, 5, 16, 32


def run() -> Iterator[Measured]:
    """Measure, in turns, the same images through each; decoding is only in the predictor's figure."""
    with TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        _, bundle_id = retrain(home, N_PATIENTS)
        settings = read_settings({"LADNN_HOME": str(home)})
        bundle = load_bundle(open_store(settings.store_url), bundle_id, settings.trusted_keys())
    files = [data for number in range(N_IMAGES // 10 + 1) for data in study_files(number).values()][:N_IMAGES]
    resize, predictor = bundle.manifest.preprocessing, Predictor(bundle, "1")
    pixels = np.stack([resize.apply(decode(data).pixels) for data in files])
    calls: dict[str, Callable[[], object]] = {
        "bundle": lambda: bundle.probabilities(pixels),
        "bare": _bare(bundle, pixels),
        "eager": _eager(bundle, pixels),
        "predictor": lambda: predictor.predict(files),
    }
    turns = [{name: N_IMAGES / _timed(call) for name, call in calls.items()} for _ in range(N_TURNS + 1)][1:]
    rates = {name: statistics.median(turn[name] for turn in turns) for name in calls}
    for other, wanted, what in (("eager", 4.0, "eager float32 torch"), ("bare", 0.9, "a bare ONNX Runtime session")):
        yield Measured(
            f"bundle's probabilities of ready arrays against {what}",
            f"{rates['bundle']:.1f} against {rates[other]:.1f} images/s",
            statistics.median(turn["bundle"] / turn[other] for turn in turns),
            at_least=wanted,
        )
    say(
        f"inference: the predictor, which decodes and resizes {KIND} files too, does {rates['predictor']:.1f} images/s, "
        f"{rates['predictor'] / rates['bare']:.2f} of the bare session and {rates['predictor'] / rates['eager']:.1f} times eager torch"
    )


def _bare(bundle: Bundle, pixels: NDArray[np.uint8]) -> Callable[[], object]:
    session = onnxruntime.InferenceSession(bundle.files[GRAPH], providers=["CPUExecutionProvider"])
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    return lambda: [session.run(["logits"], {"pixels": batch}) for batch in batches]


def _eager(bundle: Bundle, pixels: NDArray[np.uint8]) -> Callable[[], object]:
    network = build_network(bundle.manifest.variant, EXPERIMENT.training, 0, WeightsSource())
    load_safetensors(network, bundle.files[WEIGHTS])
    network.eval()
    batches = torch.from_numpy(pixels).split(BATCH)

    def call() -> None:
        with torch.no_grad():
            for batch in batches:
                network(batch)

    return call


def _timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s
