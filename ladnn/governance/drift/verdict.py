"""What is to be done about drift: nothing, a retrain, or asking one contributor; and the record that keeps it."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import (
    Comparison,
    Sides,
    Stream,
    compare,
    elsewhere_than,
    moved_alone,
    needed,
    quarantined,
)
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
    """Patients; of the service requests, of intake contributions."""
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

    Sites that moved while others did not, and without which nothing moved, are to be asked, and so is one site that moved
    while others sent too little to tell. Whatever moved in another way is what the next model has to learn. A site of which
    more is quarantined than before is to be asked, too; nothing is learned from what was quarantined.
    """
    comparisons = compare(streams, config, seed)
    alarms = [item for item in comparisons if item.alarm]
    if not alarms:
        return _quiet([item for item in comparisons if item.stream != "intake"], config), comparisons
    shifts = [item for item in alarms if item.stream != "intake"]
    sites, moved = ({item.site for item in items if item.site} for items in (alarms, shifts))
    sides = streams.get("contributions")
    if shifts and (sides is None or not moved_alone(sides, shifts, config, seed)):
        return _verdict(Action.RETRAIN, alarms, sites, "the champion has not learned from such images"), comparisons
    what = [_rubbish(streams["intake"], item.site) for item in alarms if item.stream == "intake" and item.site]
    if shifts and sides is not None:
        told = elsewhere_than(sides, moved).n_patients >= config.min_site_patients
        what.append("no other site moved" if told else "other sites sent too little to tell whether they moved, too")
    ask = f"ask {', '.join(sorted(sites))} what changed before its images are learned from"
    return _verdict(Action.INVESTIGATE, alarms, sites, f"{'; '.join(what)}: {ask}"), comparisons


def _rubbish(sides: Sides, site: str) -> str:
    """Say how much of what a site sent was quarantined."""
    here, before = sides.current.where(sides.current.sites == site), sides.reference
    whose = "of all sites " * (site not in sides.known_sites)
    before = before if whose else before.where(before.sites == site)
    return f"of what {site} sent {quarantined(here):.0%} was quarantined, {whose}{quarantined(before):.0%} before"


def _quiet(comparisons: Sequence[Comparison], config: DriftConfig) -> Verdict:
    n = sum(item.p_value is not None for item in comparisons)
    quiet = [f"nothing moved beyond chance in {n} comparison{'s' if n > 1 else ''}"] if n else []
    short = [told for item in comparisons if (told := _short(item, config))]
    more = [f"{len(short) - _MOST_NAMED} more are too small"] if len(short) > _MOST_NAMED else []
    return Verdict(
        action=Action.NONE if n else Action.NOT_ENOUGH_CASES,
        sites=(),
        properties=(),
        streams=(),
        reason="; ".join([*quiet, *short[:_MOST_NAMED], *more]) or "no image came since the champion was trained",
    )


def _short(item: Comparison, config: DriftConfig) -> str | None:
    """Say which side of a comparison is short, and what helps; None where it was answered."""
    if item.p_value is not None:
        return None
    least, limit = needed(item.site, config), "min_site_patients" if item.site else "min_patients"
    unit = "requests" if item.stream == "service" else "new patients"
    known = "validation patients" if item.basis == "model" else "patients"
    sides = [f"{item.n_current_patients} {unit}"] if item.n_current_patients < least else []
    sides += (
        [f"{item.n_reference_patients} {known} in the champion's data"] if item.n_reference_patients < least else []
    )
    return (
        f"too few to compare {item.basis} of {item.site or item.scope}: {' and '.join(sides)}, drift.{limit} is {least}"
    )


def _verdict(action: Action, alarms: Sequence[Comparison], sites: set[str], what: str) -> Verdict:
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
        reason=f"{_told(properties, sorted(sites), streams)}; {what}",
    )


def _told(properties: Sequence[str], sites: Sequence[str], streams: Sequence[Stream]) -> str:
    named = ", ".join(properties[:_MOST_NAMED])
    more = f" and {len(properties) - _MOST_NAMED} more" if len(properties) > _MOST_NAMED else ""
    families = ", ".join(dict.fromkeys(family_of(name) for name in properties))
    where = f" at {', '.join(sites)}" if sites else ""
    return f"{families} moved{where} ({' and '.join(streams)}): {named}{more}"
