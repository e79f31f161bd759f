"""The flow that trains one variant of a planned retrain: one GPU job in production, a sub-flow when embedded."""

from prefect import flow

from ladnn.platform import open_platform
from ladnn.registry.tracked_training import train_tracked
from ladnn.registry.tracking import open_tracking
from ladnn.retrain import required_plan


@flow(name="train-variant")
def train_variant(retrain_id: str, variant: str) -> None:
    """Train a variant unless it is trained; weights, graph and epochs end in the store and in MLflow."""
    platform = open_platform()
    plan = required_plan(platform.store, retrain_id)
    train_tracked(platform, open_tracking(platform.settings), plan, variant, variant)
