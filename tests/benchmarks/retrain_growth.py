"""Time and memory of a retrain of 1, 2 and 4 times as many images: intake, freezing, training, validation, bundle."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from factories import TODAY
from measured import Measured, say

from ladnn.config import DataConfig, EvaluationConfig, ExperimentConfig, Variant
from ladnn.config_training import TrainingConfig
from ladnn.dataset.desk import open_desk
from ladnn.dataset.freezing import freeze
from ladnn.evaluation.validation import validate_variant
from ladnn.intake.inbox import contribute
from ladnn.intake.phantom_contributions import phantom_contributions
from ladnn.intake.process import take_in
from ladnn.platform import Platform
from ladnn.registry.bundle_assembly import assemble_bundle
from ladnn.retrain import plan_retrain
from ladnn.settings import read_settings
from ladnn.store import open_store
from ladnn.training.devices import peak_memory_bytes
from ladnn.training.variant import train_variant

N_PATIENTS, N_SLICES, TIMES = 64, 2, (1, 2, 4)
EXPERIMENT = ExperimentConfig(
    seed=3,
    variants=(Variant(backbone="efficientnet_lite0", task="ladnn"),),
    data=DataConfig(synthetic=True),
    training=TrainingConfig(epochs=1, batch_size=32),
    evaluation=EvaluationConfig(n_bootstrap=100),
)


def run() -> Iterator[Measured]:
    """Measure each size in a process of its own."""
    found = {}
    for times in TIMES:
        command = [sys.executable, __file__, str(times * N_PATIENTS)]
        finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[times] = json.loads(finished.stdout.splitlines()[-1])
        seconds, peak = found[times]["seconds"], found[times]["peak_mib"]
        say(f"retrain growth: {times} x {N_PATIENTS * N_SLICES} images in {seconds:.1f} s, peak {peak} MiB")
    for what, unit in (("seconds", "s"), ("peak_mib", "MiB")):
        small, middle, large = (found[times][what] for times in TIMES)
        shown = f"{small:.0f}, {middle:.0f}, {large:.0f} {unit} for 1, 2, 4 times {N_PATIENTS * N_SLICES} images"
        # What each further image costs between 2x and 4x, against the mean cost of an image at 2x: 1 is a straight
        # line through zero, less means a fixed part, more means faster than linear.
        yield Measured(f"retrain: {what} of further images", shown, (large - middle) / middle, at_most=1.15)


def retrain(home: Path, n_patients: int) -> tuple[float, str]:
    """Contribute phantoms to a new platform and retrain on them; return the retrain's seconds and the bundle's id."""
    settings = read_settings({"LADNN_HOME": str(home)})
    store = open_store(settings.store_url)
    for study, files in phantom_contributions(1, n_patients, n_slices=N_SLICES):
        contribute(store, study, files, TODAY)
    started_s = time.perf_counter()
    take_in(open_desk(Platform(settings, store)), today=TODAY)
    version = freeze(store, EXPERIMENT.data)
    plan = plan_retrain(store, version.id, EXPERIMENT, "0.0.1", force=False).plan
    name = EXPERIMENT.variants[0].name
    trained = train_variant(store, plan.retrain_id, name, settings.cache)
    validated = validate_variant(store, plan, name, settings.cache)
    bundle_id = assemble_bundle(store, plan, trained, validated, settings.signing_key(), synthetic=True)
    return time.perf_counter() - started_s, bundle_id


def _measure(n_patients: int) -> None:
    with TemporaryDirectory() as folder:
        seconds, _ = retrain(Path(folder) / "home", n_patients)
    print(json.dumps({"seconds": seconds, "peak_mib": peak_memory_bytes(torch.device("cpu")) // 2**20}))


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
