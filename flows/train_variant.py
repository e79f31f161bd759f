"""The flow that trains one variant of a planned retrain: one GPU job in production, a sub-flow when embedded."""

from prefect import flow

from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.registry.provenance import log_provenance
from ladnn.registry.retrain_runs import begin_variant, log_epoch
from ladnn.registry.system_metrics import system_metrics
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import required_plan
from ladnn.training.devices import device_name
from ladnn.training.fit import Progress
from ladnn.training.processes import train_here
from ladnn.training.result import EpochRecord, describe_epoch, read_trained
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
        say(f"  {variant}: {describe_epoch(record, plan.config.training.epochs)}")

    with progress_bar(f"train {variant}: steps") as bar, system_metrics(tracking, run_id):
        train_here(platform, plan, variant, Progress(on_epoch, bar))
