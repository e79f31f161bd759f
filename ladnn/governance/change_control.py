"""The change-control sheet: what a retrain changes against the champion, held against the declared envelope.

Pure functions. It follows the idea of a predetermined change control plan (FDA, Health Canada and MHRA 2023, guiding
principles for machine learning-enabled medical devices): changes that were described beforehand go through with their
tests, all others need a person.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict

from ladnn.config import ExperimentConfig
from ladnn.envelope import SOFTWARE, Envelope
from ladnn.governance.gates.verdicts import GateResult, Verdict, counted

_PLACE = {"training.processes", "training.checkpoint_minutes", "training.compile"}
"""Where and how safely a training runs, not what it learns."""


@dataclass(frozen=True, slots=True)
class Model:
    """What of a model, candidate or champion, its changes are told by."""

    bundle_id: str
    backbone: str
    config: ExperimentConfig
    sites: frozenset[str]
    """Contributors of its training data."""
    extractors: frozenset[str]
    """What read the reports that its labels come from, with version."""
    software: Mapping[str, str]
    """Version by component of `ladnn.envelope.SOFTWARE`; those that are not known are missing."""


class ChangeItem(BaseModel):
    """One thing that may differ from the champion.

    Attributes:
        what: `backbone`, `sites`, `envelope`, `software.` with a component, or the dotted name of a value.
        before: at the champion; None where there is no champion.
        now: at the candidate.
        allowed: what the envelope allows, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    before: str | None
    now: str
    allowed: str
    inside: bool


class ChangeSheet(BaseModel):
    """Every item of the declared envelope, and every value that changed; `champion` is the bundle compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    champion: str | None
    items: tuple[ChangeItem, ...]

    @property
    def outside(self) -> tuple[ChangeItem, ...]:
        """What needs a person."""
        return tuple(item for item in self.items if not item.inside)


def change_sheet(candidate: Model, champion: Model | None) -> ChangeSheet:
    """Hold a candidate against the envelope of its experiment and against the champion; a first one only against the former."""
    envelope = candidate.config.envelope
    items = [_backbone(envelope, candidate, champion), _sites(envelope, candidate, champion)]
    items += _values(envelope, candidate.config, champion.config if champion else None)
    items += _software(envelope, candidate, champion)
    if champion is not None and champion.config.envelope != envelope:
        before, now = (_shown(model.config.envelope.model_dump(mode="json")) for model in (champion, candidate))
        items.append(ChangeItem(what="envelope", before=before, now=now, allowed="as at the champion", inside=False))
    return ChangeSheet(champion=champion.bundle_id if champion else None, items=tuple(items))


def change_control(sheet: ChangeSheet) -> GateResult:
    """Leave it to a person where a retrain changes more than the envelope declares; its value counts those items."""
    outside = sheet.outside
    against = (
        f"compared with the champion {sheet.champion}" if sheet.champion else "there is no champion to compare with"
    )
    if not sheet.items:
        verdict, reason = Verdict.NOT_EVALUATED, "the change-control sheet is empty: nothing was compared"
    elif outside:
        named = "; ".join(f"{item.what} is {item.now}, allowed: {item.allowed}" for item in outside)
        verdict, reason = Verdict.NOT_EVALUATED, f"outside the declared envelope: {named}"
    else:
        verdict, reason = Verdict.PASS, f"inside the declared envelope; {against}"
    return counted("change_control", len(outside), 0, verdict, reason, len(sheet.items))


def _backbone(envelope: Envelope, candidate: Model, champion: Model | None) -> ChangeItem:
    allowed = {*envelope.backbones, *([champion.backbone] if champion else [])}
    return ChangeItem(
        what="backbone",
        before=champion.backbone if champion else None,
        now=candidate.backbone,
        allowed=", ".join(sorted(allowed)) or "any, for a first champion",
        inside=candidate.backbone in allowed or not allowed,
    )


def _sites(envelope: Envelope, candidate: Model, champion: Model | None) -> ChangeItem:
    """Sites that left are no item of their own: fewer data are the gates' to judge."""
    known = champion.sites if champion else frozenset()
    open_to_any = champion is None and not envelope.sites
    new = sorted(
        site for site in candidate.sites - known if not any(fnmatchcase(site, name) for name in envelope.sites)
    )
    allowed = [*envelope.sites, *(["those of the champion"] if champion else [])]
    return ChangeItem(
        what="sites",
        before=", ".join(sorted(known)) if champion else None,
        now=", ".join(sorted(candidate.sites)),
        allowed=", ".join(allowed) or "any, for a first champion",
        inside=open_to_any or not new,
    )


def _software(envelope: Envelope, candidate: Model, champion: Model | None) -> Iterator[ChangeItem]:
    """Yield each component; one whose version is known of neither model has not changed, of one alone it has."""
    now, before = _versions(candidate), _versions(champion) if champion else {}
    for name in SOFTWARE:
        is_free = envelope.allows_software(name)
        is_same = now[name] <= before[name] if champion else True
        yield ChangeItem(
            what=f"software.{name}",
            before=", ".join(sorted(before[name])) if champion else None,
            now=", ".join(sorted(now[name])),
            allowed="any version" if is_free else "as at the champion" if champion else "any, for a first champion",
            inside=is_free or is_same,
        )


def _versions(model: Model) -> dict[str, frozenset[str]]:
    """Return the versions of each component; of what read the reports there may be several, and those that left are no change."""
    known = {name: frozenset({model.software.get(name, "not known")}) for name in SOFTWARE}
    return known | {"report_extractor": model.extractors}


def _values(envelope: Envelope, config: ExperimentConfig, before: ExperimentConfig | None) -> Iterator[ChangeItem]:
    """Yield what has a declared range, and what changed without one."""
    now, was = config.method(), before.method() if before else None
    for name in sorted(now.keys() | (was or {}).keys()):
        value = now.get(name)
        changed = was is not None and was.get(name) != value
        if name not in envelope.ranges and (not changed or name in _PLACE):
            continue
        low, high = envelope.ranges.get(name, (None, None))
        inside = low is not None and high is not None and isinstance(value, int | float) and low <= value <= high
        yield ChangeItem(
            what=name,
            before=None if was is None else _shown(was.get(name)),
            now=_shown(value),
            allowed="as at the champion" if low is None else f"{low:g} to {high:g}",
            inside=inside,
        )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
