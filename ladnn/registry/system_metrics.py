"""Load of processor, memory, disk, network and GPU while a variant is trained, by MLflow's own sampler."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.system_metrics import system_metrics_monitor
from sqlalchemy.exc import SQLAlchemyError

from ladnn.progress import say
from ladnn.registry.tracking import Tracking

_INTERVAL_S = 10


@contextmanager
def system_metrics(tracking: Tracking, run_id: str) -> Iterator[None]:
    """Sample the system into a run while the block runs, in a thread; what fails there is said and ends no training."""
    logging.getLogger(system_metrics_monitor.__name__).setLevel(logging.WARNING)
    monitor = None
    try:
        monitor = system_metrics_monitor.SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            run_id, sampling_interval=_INTERVAL_S, resume_logging=True, tracking_uri=tracking.uri
        )
        monitor.start()  # type: ignore[no-untyped-call]
    except (MlflowException, SQLAlchemyError, OSError, RuntimeError) as error:
        say(f"  the system's load is not logged ({type(error).__name__}); training goes on")
    try:
        yield
    finally:
        if monitor is not None:
            monitor.finish()  # type: ignore[no-untyped-call]
