"""Checks for drift made by hand, for tests of what follows from them."""

from datetime import UTC, datetime

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import Comparison, Moved
from ladnn.governance.drift.verdict import DriftRecord, Verdict
from ladnn.store import write_json


def check_of(action, moved=None, check_id="k-1", bundle_id="b-1"):
    """A check with this verdict; `moved` names by site the properties that moved there."""
    moved = moved or {}
    properties = tuple(dict.fromkeys(name for names in moved.values() for name in names))
    return DriftRecord(
        id=check_id,
        checked_at=datetime.now(UTC),
        model_version="1",
        bundle_id=bundle_id,
        dataset_version="d-1",
        n_reference_images=1,
        n_reference_patients=1,
        config=DriftConfig(),
        streams=(),
        verdict=Verdict(action=action, sites=tuple(moved), properties=properties, streams=(), reason="intensity moved"),
        comparisons=tuple(_comparison(site, names) for site, names in moved.items()),
        properties=(),
    )


def keep_check(store, record):
    """Keep a check as `check_drift` does."""
    write_json(store, f"drift/checks/{record.id}/record.json", record.model_dump(mode="json"))
    return record


def _comparison(site, names):
    return Comparison(
        stream="contributions",
        scope=site,
        site=site,
        basis="data",
        n_reference_patients=20,
        n_current_patients=20,
        p_value=0.001,
        alarm=True,
        moved=tuple(Moved(name=name, distance=0.9, excess=0.8, p_value=0.001) for name in names),
    )
