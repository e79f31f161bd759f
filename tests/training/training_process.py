"""A process that trains a small network, alone or as one of a torchrun job, to be killed or to end.

Arguments: URL of the store, name of its checkpoints, file for the weights that it ends with, step at which it kills
itself (0 for never), precision of the arithmetic, and pooling.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.dataset.pipeline import LabelledPixels
from ladnn.model.export import weights_to_safetensors
from ladnn.model.network import build_network
from ladnn.model.weights import WeightsSource
from ladnn.store import open_store
from ladnn.training.checkpoint import Checkpoints
from ladnn.training.fit import Progress, fit

TRAINING = TrainingConfig(
    epochs=2, batch_size=4, weights="random", dropout=0.5, checkpoint_minutes=1e-9, learning_rate=1e-3
)
"""Three steps an epoch, with a checkpoint after each."""
TUNING = TrainingConfig(
    epochs=2,
    batch_size=4,
    pooling="statistics",
    frozen_share=0.79,
    frozen_batch_norm=True,
    dropout=0,
    checkpoint_minutes=1e-9,
)
"""The same of a network that ImageNet taught, behind heads that are fitted first."""


def parts() -> tuple[LabelledPixels, LabelledPixels]:
    """Eleven slices of noise to train on and five to validate, with every label known, absent or unknown."""
    generator = np.random.default_rng(5)
    labels = generator.choice([0.0, 1.0, np.nan], (16, 6)).astype(np.float32)
    labels[:, 0] = np.arange(16) % 2
    data = LabelledPixels(generator.integers(0, 256, (16, 64, 64), dtype=np.uint8), labels)
    return LabelledPixels(data.pixels[:11], labels[:11]), LabelledPixels(data.pixels[11:], labels[11:])


def main(url: str, name: str, weights: str, kill_at: str, precision: str, pooling: str) -> None:
    torch.set_num_threads(1)
    training = TUNING if pooling == "statistics" else TRAINING
    network = build_network(Variant(backbone="efficientnet_lite0", task="ladnn"), training, 3, WeightsSource())
    network.to(getattr(torch, precision))
    checkpoints = Checkpoints(open_store(url), name)

    def on_step(done: int, _total: int) -> None:
        if done == int(kill_at):
            checkpoints.wait()
            os.kill(os.getpid(), signal.SIGKILL)

    records = fit(network, *parts(), training, 1, Progress(on_step=on_step), checkpoints)
    if os.environ.get("RANK", "0") == "0":
        Path(weights).write_bytes(weights_to_safetensors(network))
        losses = [(record.train_diagnosis_loss, record.validation_lesions_loss) for record in records]
        Path(f"{weights}.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
