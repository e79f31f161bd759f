"""The flow that trains one variant of a planned retrain: one GPU job in production, a sub-flow when embedded."""

from prefect import flow

from ladnn.model.weights import WeightsSource
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.registry.retrain_runs import begin_variant, log_epoch
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import required_plan
from ladnn.training.fit import Progress
from ladnn.training.result import EpochRecord, read_trained
from ladnn.training.variant import train_variant as train


@flow(name="train-variant")
def train_variant(retrain_id: str, variant: str) -> None:
    """Train a variant unless it is trained; weights, graph and epochs end in the store and in MLflow."""
    platform = open_platform()
    settings, store = platform.settings, platform.store
    plan = required_plan(store, retrain_id)
    if read_trained(store, retrain_id, variant) is not None:
        say(f"  {variant} was trained before; kept")
        return
    tracking = open_tracking(settings)
    run_id = begin_variant(tracking, plan, variant)

    def on_epoch(record: EpochRecord) -> None:
        log_epoch(tracking, run_id, record)
        auroc = "n/a" if record.validation_auroc is None else f"{record.validation_auroc:.3f}"
        say(
            f"  {variant}: epoch {record.epoch}/{plan.config.training.epochs}, diagnosis loss "
            f"{record.train_diagnosis_loss:.3f}, validation AUROC {auroc}, {record.images_per_second:.1f} images/s"
        )

    with progress_bar(f"train {variant}: steps") as bar:
        weights = WeightsSource(platform.weights)
        train(store, retrain_id, variant, settings.cache, weights, progress=Progress(on_epoch, bar))
