"""The flow that trains one variant of a planned retrain: one GPU job in production, a sub-flow when embedded."""

from prefect import flow

from ladnn.model.weights import WeightsSource
from ladnn.platform import Platform, open_platform
from ladnn.progress import progress_bar, say
from ladnn.registry.provenance import log_provenance
from ladnn.registry.retrain_runs import begin_variant, log_epoch
from ladnn.registry.system_metrics import system_metrics
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import Plan, required_plan
from ladnn.training.devices import device_name, n_processes
from ladnn.training.fit import Progress
from ladnn.training.processes import train_in_processes
from ladnn.training.result import EpochRecord, read_trained
from ladnn.training.variant import train_variant as train
from ladnn.training.variant import variant_checkpoints


@flow(name="train-variant")
def train_variant(retrain_id: str, variant: str) -> None:
    """Train a variant unless it is trained; weights, graph and epochs end in the store and in MLflow."""
    platform = open_platform()
    plan = required_plan(platform.store, retrain_id)
    if read_trained(platform.store, retrain_id, variant) is not None:
        variant_checkpoints(platform.store, retrain_id, variant).discard()  # what a crash right after the end left
        say(f"  {variant} was trained before; kept")
        return
    tracking = open_tracking(platform.settings)
    run_id = begin_variant(tracking, plan, variant)
    log_provenance(tracking, run_id, device_name())

    def on_epoch(record: EpochRecord) -> None:
        log_epoch(tracking, run_id, record)
        auroc = "n/a" if record.validation_auroc is None else f"{record.validation_auroc:.3f}"
        say(
            f"  {variant}: epoch {record.epoch}/{plan.config.training.epochs}, diagnosis loss "
            f"{record.train_diagnosis_loss:.3f}, validation AUROC {auroc}, {record.images_per_second:.1f} images/s"
        )

    with progress_bar(f"train {variant}: steps") as bar, system_metrics(tracking, run_id):
        _train(platform, plan, variant, Progress(on_epoch, bar))


def _train(platform: Platform, plan: Plan, variant: str, progress: Progress) -> None:
    n = n_processes(plan.config.training)
    if n > 1:
        train_in_processes(plan.retrain_id, variant, n, progress)
        return
    weights, cache = WeightsSource(platform.weights), platform.settings.cache
    train(platform.store, plan.retrain_id, variant, cache, weights, progress=progress)
