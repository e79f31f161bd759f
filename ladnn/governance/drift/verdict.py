"""What is to be done about drift: nothing, a retrain, or asking one contributor; and the record that keeps it."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import Comparison, Sides, Stream, compare, moved_alone
from ladnn.governance.drift.sample import family_of

_MOST_NAMED = 5


class Action(StrEnum):
    """What follows from a check."""

    NONE = "none"
    NOT_ENOUGH_CASES = "not enough cases"
    RETRAIN = "retrain"
    INVESTIGATE = "investigate"


class Verdict(BaseModel):
    """What was found, and what follows from it."""

    model_config = ConfigDict(frozen=True)

    action: Action
    sites: tuple[str, ...]
    """Sites that moved; those to ask where the action is `investigate`."""
    properties: tuple[str, ...]
    """Properties that moved, farthest first."""
    streams: tuple[Stream, ...]
    """Streams in which they did."""
    reason: str


class PropertyFacts(BaseModel):
    """One property of one stream, all sites together, as Evidently computes it."""

    model_config = ConfigDict(frozen=True)

    stream: Stream
    name: str
    psi: float | None
    """Population stability index; None where one side states nothing."""
    psi_noise: float
    """What the index stays below by chance, for so many patients."""
    distance: float
    """0 (the same) to 1; see `ladnn.governance.drift.permutation`."""


class StreamFacts(BaseModel):
    """How much a stream holds."""

    model_config = ConfigDict(frozen=True)

    stream: Stream
    n_images: int
    n_patients: int
    """Patients; of the service, requests."""
    n_not_sampled: int
    """Images left out because there are too many."""


class Page(BaseModel):
    """The page to look at."""

    model_config = ConfigDict(frozen=True)

    n_bytes: int
    n_properties: int
    """All of the stream that is drawn."""
    n_not_comparable: int
    """Properties of which a side states too few values for Evidently."""
    n_left_out: int
    """Properties that were left out to hold the limit of its size."""


class DriftRecord(BaseModel):
    """One check for drift, whole."""

    model_config = ConfigDict(frozen=True)

    id: str
    checked_at: datetime
    model_version: str
    bundle_id: str
    dataset_version: str
    n_reference_images: int
    n_reference_patients: int
    config: DriftConfig
    streams: tuple[StreamFacts, ...]
    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    properties: tuple[PropertyFacts, ...]
    page: Page | None = None


def judge(streams: dict[Stream, Sides], config: DriftConfig, seed: int) -> tuple[Verdict, tuple[Comparison, ...]]:
    """Compare and decide.

    Sites that moved while others did not, and without which nothing moved, are to be asked. Whatever moved in another
    way is what the next model has to learn.
    """
    comparisons = compare(streams, config, seed)
    alarms = [item for item in comparisons if item.alarm]
    answered = [item for item in comparisons if item.p_value is not None]
    if not alarms:
        return _quiet(comparisons, answered), comparisons
    moved = _sites(alarms)
    stayed = _sites([item for item in answered if not item.alarm]) - moved
    of_service = any(item.stream == "service" for item in alarms)
    if moved and stayed and not of_service and moved_alone(streams, alarms, config, seed):
        return _verdict(Action.INVESTIGATE, alarms, moved), comparisons
    return _verdict(Action.RETRAIN, alarms, moved), comparisons


def _sites(comparisons: Sequence[Comparison]) -> set[str]:
    return {item.site for item in comparisons if item.site}


def _quiet(comparisons: Sequence[Comparison], answered: Sequence[Comparison]) -> Verdict:
    if answered:
        n = len(answered)
        return Verdict(
            action=Action.NONE,
            sites=(),
            properties=(),
            streams=(),
            reason=f"nothing moved beyond chance in {n} comparison{'s' if n > 1 else ''}",
        )
    most = max((item.n_current_patients for item in comparisons), default=0)
    return Verdict(
        action=Action.NOT_ENOUGH_CASES,
        sites=(),
        properties=(),
        streams=(),
        reason=f"{most} new patients at most, and too few to compare; wait for more, or lower drift.min_patients",
    )


def _verdict(action: Action, alarms: Sequence[Comparison], sites: set[str]) -> Verdict:
    farthest: dict[str, float] = {}
    for item in alarms:
        for moved in item.moved:
            farthest[moved.name] = max(farthest.get(moved.name, 0.0), moved.distance)
    properties = tuple(sorted(farthest, key=lambda name: -farthest[name]))
    streams = tuple(dict.fromkeys(item.stream for item in alarms))
    return Verdict(
        action=action,
        sites=tuple(sorted(sites)),
        properties=properties,
        streams=streams,
        reason=_reason(action, properties, sorted(sites), streams),
    )


def _reason(action: Action, properties: Sequence[str], sites: Sequence[str], streams: Sequence[Stream]) -> str:
    named = ", ".join(properties[:_MOST_NAMED])
    more = f" and {len(properties) - _MOST_NAMED} more" if len(properties) > _MOST_NAMED else ""
    families = ", ".join(dict.fromkeys(family_of(name) for name in properties))
    where = f" at {', '.join(sites)}" if sites else ""
    told = f"{families} moved{where} ({' and '.join(streams)}): {named}{more}"
    if action is Action.INVESTIGATE:
        return f"{told}; no other site moved: ask {', '.join(sites)} what changed before its images are learned from"
    return f"{told}; the champion has not learned from such images"
