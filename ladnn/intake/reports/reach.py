"""Owns how far a phrase reaches in its sentence, to findings behind it and before it.

A stop word, a verb of its own, a preposition that encloses the finding, or a comma that is no list's ends a reach
(after ConText, Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002; the list and verb rules are this project's).
"""

import re
from dataclasses import dataclass

from ladnn.intake.reports.effects import FINDING, Effect

_WINDOW = 140
"""Characters on either side of a finding in which a phrase can reach it."""
_FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|appear\w*|occur\w*|can be)\b|\b(?:seen|noted|present|found|observed|obvious|visible|decreased|increased|improved|persisted|progressed|enlarged|expanded|reduced|appeared|developed)(?= (?:and|but)|,)",
    re.IGNORECASE,
)
_SINGULAR = re.compile(r"\A(?:is|was|has)\b", re.IGNORECASE)
_OWN_SINGULAR_VERB = re.compile(
    rf"\A[^,;:{FINDING}]{{0,40}}?\b(?:is|was) (?:\w+ly |also |clearly )?(?:seen|present|noted|found|observed|visible|identified|evident)\b",
    re.IGNORECASE,
)
_CONTAINED = re.compile(
    r"\b(?:in|within|inside|behind|around|near|beneath|under|between|over|beside|adjacent to|caused by|for|from|by|on|into|surrounding|of)"
    r"(?: (?:the|this|these|that|those|its|both|each)| (?:an? )?areas? of)(?: [\w-]+){0,2} *\Z"
    r"|\b(?:complicating|involving|affecting|accompanying|overlying|underlying|crossing|traversing|arising from"
    r"|associated with|related to|due to|secondary to) (?:the|this|these|that|those|its|both|each)(?: [\w-]+){0,2} *\Z",
    re.IGNORECASE,
)
_CONTAINED_BARE = re.compile(
    rf"{FINDING}[^,;:]*?\b(?:in|within|inside|on|around|near|next to|adjacent to|amid\w*|surrounded by)"
    r"(?: (?!(?:and|or|nor)\b)[\w-]+){0,2} *\Z",
    re.IGNORECASE,
)
"""Between findings no article is needed to tell that one lies in the other: "no consolidation within GGO"."""
_SHARED_SUBJECT = re.compile(
    rf"\A[^{FINDING}]*?(?:\b(?:but|and|yet|then)|, (?:which|that|but|and|all of which))(?: (?:subsequently|later|since|then|has|have|had|was|were|is|are))* *\Z",
    re.IGNORECASE,
)
"""A second verb, or a relative clause, without a subject of its own: "GGO was looked for but not found"."""
_CLAUSE_ENDS = re.compile(
    r" *(?:[.,;)]|\Z|(?:on|at|by|after|within) (?:day|discharge|follow|the follow|\d))", re.IGNORECASE
)
_HEADINGS = re.compile(rf"(?:\A|[.;])\s*{FINDING}(?:[{FINDING}\s,/&]|\b(?:and|or)\b)*\Z")
"""Findings that share what follows a colon: "GGO, consolidation: none seen"."""
_INCLUDING = re.compile(r",? (?:including|such as|e\.g\.?,?|for example,?|namely|like)(?= )", re.IGNORECASE)
"""Opens the items of the word before, which share its meaning."""
_OR = re.compile(r"\b(?:or|nor)\b", re.IGNORECASE)
_OR_FOLLOWS = re.compile(
    r"(?:(?!\b(?:in(?! either)|of|at|on|from|is|are|was|were|both|with)\b)[^.;:]){0,80}?\b(?:or|nor)\b", re.IGNORECASE
)
_AND = re.compile(r"(?:\band\b|[&+/])", re.IGNORECASE)
_BARE = re.compile(
    rf"\A *(?:(?:and|or|nor|and/or) )?(?:(?!and |or |no |but )[\w/{FINDING}-]+ ){{0,4}}[\w{FINDING}-]+(?: [\w-]+)? *\Z",
    re.IGNORECASE,
)
_LIST_TAIL = re.compile(
    rf"\A(?: (?:sign|pattern|appearance|opacit\w+|shadow\w*)s?)?(?:,? *(?:and|or|nor|,)? *(?:[\w-]+ )?{FINDING}+(?: (?:sign|pattern|opacit\w+|shadow\w*))?)*"
    r" *(?:[.;)]|\Z|(?:is|are|was|were|can be|could be) )",
    re.IGNORECASE,
)
_SOME_OF = re.compile(
    r"\b(?:some|not all|most|parts?|half|majority|portions?|a few)(?: of)?(?: the| these| those)?(?: \w+)? *\Z",
    re.IGNORECASE,
)
_SOFT = (Effect.ELSEWHERE_NEXT, Effect.TESTED_NEXT)
"""Phrases about other people and tests pass over "with", "confirmed" and the like."""
_ITEM_WORDS = 4
_ADJECTIVE_REACH = 3
"""Words between an adjective such as "previous" or "resolved" and its noun."""
_HARD_STOP = re.compile(r"[,;:]|\b(?:but|however|although)\b", re.IGNORECASE)
_VERB_BEFORE = re.compile(
    r"(?:\b(?:is|are|was|were|be|been|being|has|have|had|can|may|might)\b *)+(?:(?:\w+ly|both|all|also) *)?\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """Where a phrase stands in its sentence, and what it does."""

    effect: Effect
    start: int
    end: int


def reaches(trigger: Trigger, masked: str, first: int, last: int, stops: list[Trigger]) -> bool:
    """Tell whether a phrase reaches the finding that stands from character first to last of a masked sentence."""
    if trigger.effect.faces_next and trigger.end <= first <= trigger.end + _WINDOW:
        soft = trigger.effect in _SOFT
        blocked = not soft and any(trigger.end <= stop.start < first for stop in stops)
        return not blocked and _reaches_next(trigger, masked, first, last)
    if trigger.effect.faces_previous and last <= trigger.start <= last + _WINDOW:
        between = masked[last : trigger.start]
        if _SHARED_SUBJECT.match(between) and _CLAUSE_ENDS.match(masked, trigger.end):
            return trigger.effect in (Effect.DENIES_PREVIOUS, Effect.RESOLVES_PREVIOUS)
        heading = last + len(between) - len(between.lstrip()) if between.lstrip().startswith(":") else -1
        blocked = any(last <= stop.start < trigger.start for stop in stops if stop.start != heading)
        return not blocked and _reaches_previous(trigger, masked, first, last)
    return False


def _reaches_next(trigger: Trigger, masked: str, first: int, last: int) -> bool:
    between, after = masked[trigger.end : first], masked[last : last + _WINDOW]
    if trigger.effect in _SOFT:
        return not _HARD_STOP.search(between)
    if _FINITE.search(between):
        return False
    adjective = trigger.effect is Effect.PAST_NEXT or masked[trigger.start : trigger.end].lower().endswith("ed")
    if adjective and trigger.effect in (Effect.PAST_NEXT, Effect.RESOLVES_NEXT):
        return len(between.split()) <= _ADJECTIVE_REACH and "," not in between
    if _CONTAINED.search(between) or _CONTAINED_BARE.search(between):
        return False
    between = _INCLUDING.sub("", between)
    if "," in between:
        return masked[trigger.end - 1] == ":" or _one_list(between, after)
    return not (_AND.search(between) and _OWN_SINGULAR_VERB.search(after))


def _one_list(between: str, after: str) -> bool:
    """Tell whether a comma between is that of a list such as "no A, B or C"."""
    items = between.split(",")
    if not all(_BARE.match(item) for item in items[:-1]) or len(items[-1].split()) > _ITEM_WORDS:
        return False
    if _OR.search(items[-1]) or _OR_FOLLOWS.match(after):
        return True
    with_and = _AND.search(items[-1]) or _AND.search(after)
    n_commas = between.count(",") + after.split(";")[0].count(",")
    first_is_finding = items[0].rstrip().endswith(FINDING)
    return bool(with_and and (n_commas > 1 or first_is_finding) and _LIST_TAIL.match(after))


def _reaches_previous(trigger: Trigger, masked: str, first: int, last: int) -> bool:
    between = _VERB_BEFORE.sub("", masked[last : trigger.start])
    if trigger.effect is Effect.REPLACES_PREVIOUS and FINDING not in masked[trigger.end : trigger.end + 80]:
        return False
    if trigger.effect is Effect.ELSEWHERE_PREVIOUS:
        return not between.strip()
    if _FINITE.search(between) or _CONTAINED.search(masked[max(0, first - 60) : first]):
        return False
    resolves = trigger.effect in (Effect.RESOLVES_PREVIOUS, Effect.REPLACES_PREVIOUS)
    if resolves and _SOME_OF.search(masked[max(0, first - 40) : first]):
        return False
    if FINDING not in between:
        return "," not in between or trigger.effect is Effect.RESOLVES_PREVIOUS
    phrase = masked[trigger.start : trigger.end].strip()
    if phrase[:1] == ":" and _HEADINGS.search(masked[: trigger.start]):
        return True
    one_of_them = _SINGULAR.match(phrase) and not (_OR.search(between) and not _AND.search(between))
    return phrase[:1] not in "?:=(-" and not one_of_them and _same_subject(between)


def _same_subject(between: str) -> bool:
    """Tell whether findings between share the verb: "A, B and C were not seen"."""
    return bool(_AND.search(between) or _OR.search(between))
