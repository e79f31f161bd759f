"""Training of a variant that MLflow follows: a retrain's and a reproduction's alike."""

from ladnn.platform import Platform
from ladnn.progress import progress_bar, say
from ladnn.registry.provenance import log_provenance
from ladnn.registry.retrain_runs import begin_variant, log_epoch
from ladnn.registry.system_metrics import system_metrics
from ladnn.registry.tracking import Tracking
from ladnn.retrain import Plan
from ladnn.training.devices import device_name
from ladnn.training.fit import Progress
from ladnn.training.processes import train_here
from ladnn.training.result import EpochRecord, describe_epoch, read_trained
from ladnn.training.variant import variant_checkpoints


def train_tracked(platform: Platform, tracking: Tracking, plan: Plan, variant_name: str, title: str) -> None:
    """Train a variant of a plan unless it is trained; its epochs, provenance and the machine's load end in its run.

    Args:
        platform: where the plan is kept.
        tracking: where its runs are.
        plan: of a retrain or of a reproduction.
        variant_name: one of its variants.
        title: how a person is told of it.

    Raises:
        LadnnError: what the training raised.
        TrackingError: MLflow cannot be used.
    """
    if read_trained(platform.store, plan.retrain_id, variant_name) is not None:
        # What a crash right after the end left.
        variant_checkpoints(platform.store, plan.retrain_id, variant_name).discard()
        say(f"  {title}: trained before; kept")
        return
    run_id = begin_variant(tracking, plan, variant_name)
    log_provenance(tracking, run_id, device_name())

    def on_epoch(record: EpochRecord) -> None:
        log_epoch(tracking, run_id, record)
        say(f"  {title}: {describe_epoch(record, plan.config.training.epochs)}")

    with progress_bar(f"train {title}: steps") as bar, system_metrics(tracking, run_id):
        train_here(platform, plan, variant_name, Progress(on_epoch, bar))
