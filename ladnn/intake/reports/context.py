"""Owns how a finding is meant where it is named: present, denied, in doubt, resolved, past, or somebody else's.

The method is that of ConText (Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002): phrases that turn a meaning are
found in the sentence, and each acts on the findings that it reaches.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ladnn.intake.reports.effects import FINDING, Effect
from ladnn.intake.reports.reach import Trigger, reaches
from ladnn.intake.reports.triggers import triggers
from ladnn.intake.reports.vocabulary import Mention
from ladnn.labels import DIAGNOSIS

Meaning = Literal["present", "denied", "resolved", "doubtful", "past", "elsewhere"]

_PERSISTS = re.compile(
    r"\b(?:unchanged|stable|persist\w*|remain\w*|still|decreas\w*|increas\w*|enlarg\w*|improv\w*|smaller|larger|progress\w*"
    r"|is|are|has|have|again|reduc\w*|expand\w*|worse\w*|shrunk|shrank|lighter|denser|fainter)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r", (?:which (?:was|were|had|has been)|previously|formerly|initially|originally|earlier|once|not seen|absent"
    r"|(?:seen|noted|present|visible|evident|found|observed|described|reported|identified)(?! (?:and|but)\b))\b"
    rf"[^,;.{FINDING}]{{0,80}},(?! (?:and|or)\b)|, however,(?= \w)",
    re.IGNORECASE,
)
_POSITIVE = re.compile(r"\bpositive\b|\(\+\)", re.IGNORECASE)
_DENIED_INSIDE = re.compile(r"\b(?:not|nt|never|no)\b|\Anon|negative", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;.]")
_LEGEND_DOUBT = 0.6
"""A legend spells a finding out without saying that it is there."""
_DOUBT: dict[Meaning, float] = {
    "present": 0.0,
    "denied": 0.0,
    "resolved": 0.3,
    "past": 0.8,
    "elsewhere": 0.8,
    "doubtful": 1.0,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one mention means; `doubt` from 0 (sure) to 1 says how much a reviewer should look first."""

    mention: Mention
    meaning: Meaning
    doubt: float


def read_sentence(text: str, start: int, mentions: list[Mention]) -> list[Reading]:
    """Judge the mentions of one sentence; `text` is the sentence, normalised, and starts at character `start`."""
    masked = _masked(text, start, mentions)
    found = _triggers(masked)
    return [_read(masked, text, start, mention, found) for mention in mentions]


def _masked(text: str, start: int, mentions: list[Mention]) -> str:
    """Hide what findings are called, so that their own words turn nothing, and what is said in passing."""
    characters = list(text)
    for mention in mentions:
        for position in range(mention.start - start, min(mention.end - start, len(text))):
            characters[position] = FINDING
    return _ASIDE.sub(lambda match: " " * len(match.group()), "".join(characters))


def _triggers(masked: str) -> list[Trigger]:
    found: list[Trigger] = []
    free = masked
    for effect, pattern in triggers():
        taken = [
            Trigger(effect, match.start(), match.end())
            for match in pattern.finditer(free)
            if match.end() > match.start()
        ]
        for trigger in taken:
            free = free[: trigger.start] + "\0" * (trigger.end - trigger.start) + free[trigger.end :]
        found += taken
    return sorted(found, key=lambda trigger: trigger.start)


def _read(masked: str, text: str, start: int, mention: Mention, found: list[Trigger]) -> Reading:
    first, last = mention.start - start, mention.end - start
    stops = [trigger for trigger in found if trigger.effect is Effect.STOP]
    effects = {
        trigger.effect
        for trigger in found
        if reaches(trigger, masked, first, last, stops) and not _settled(trigger, found, masked, first)
    }
    meaning = _meaning(effects, mention, text[first:last], masked[last:])
    return Reading(mention, meaning, max(_DOUBT[meaning], _LEGEND_DOUBT if mention.legend else 0.0))


def _settled(doubt: Trigger, found: list[Trigger], masked: str, first: int) -> bool:
    """Tell whether a denial after another finding ends a doubt: "possible GGO without consolidation"."""
    return doubt.effect is Effect.DOUBTS_NEXT and any(
        denial.effect is Effect.DENIES_NEXT
        and doubt.end <= denial.start < first
        and FINDING in masked[doubt.end : denial.start]
        for denial in found
    )


def _meaning(effects: set[Effect], mention: Mention, named: str, after: str) -> Meaning:
    if mention.code == DIAGNOSIS and effects & {Effect.ELSEWHERE_NEXT, Effect.ELSEWHERE_PREVIOUS}:
        return "elsewhere"
    if effects & {Effect.DOUBTS_NEXT, Effect.DOUBTS_PREVIOUS, Effect.DOUBTS_BOTH}:
        return "doubtful"
    if effects & {Effect.DENIES_NEXT, Effect.DENIES_PREVIOUS} or _DENIED_INSIDE.search(named):
        return "denied"
    if Effect.ALTERNATIVE_BOTH in effects or (mention.code == DIAGNOSIS and Effect.LIKENS_NEXT in effects):
        return "doubtful"
    if Effect.TESTED_NEXT in effects and mention.code == DIAGNOSIS and not _POSITIVE.search(after):
        return "elsewhere"
    if effects & {Effect.RESOLVES_NEXT, Effect.RESOLVES_PREVIOUS, Effect.REPLACES_PREVIOUS}:
        return "resolved"
    past = effects & {Effect.PAST_NEXT, Effect.PAST_PREVIOUS}
    return "past" if past and not _PERSISTS.search(_CLAUSE.split(after, maxsplit=1)[0]) else "present"
