"""With which code, libraries and device a variant was trained, as tags of its run."""

from ladnn.registry.tracking import Tracking
from ladnn.training.provenance import present_provenance


def log_provenance(tracking: Tracking, run_id: str, device: str) -> None:
    """Tag a run; of several hosts that took a training up, the last one's tags stay.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    found = present_provenance(device)
    tags = {"ladnn.version": found.ladnn_version, "ladnn.device": found.device}
    tags |= {f"library.{name}": version for name, version in found.libraries.items()}
    tracking.log_summary(run_id, {}, tags | ({"ladnn.commit": found.commit} if found.commit else {}))
