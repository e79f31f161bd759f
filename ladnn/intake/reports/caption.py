"""Takes a caption apart: a head that all parts share, and which text belongs to which part.

A leading mark ("(A) ...") owns the text up to the next mark, a trailing one ("... (A)") the text back to the part
before; days, patients and the like own their clause.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from ladnn.intake.reports.marks import Kind, Mark, find_marks
from ladnn.intake.reports.sentences import normalized, sentences

_MAX_MARKS = 100
"""No figure has more parts; what names more is no caption."""
_FINDING = re.compile(
    r"ground|glass|\bggo|consolidat|opaci|shadow|lesion|nodul|\bmass|effusion|infect|pneumoni|bronch|fibro|cyst|cavit"
    r"|normal|clear|thicken|tubercul|emphysem|paving|reticul|densit|infiltrat|stripe|band|atelecta|halo|septa|change|absor"
    r"|resol|improv|progress|disappear",
    re.IGNORECASE,
)
"""Words of a text that tells what is seen."""
_HEAD_END = re.compile(r":|\b(?:show|demonstrat|reveal|depict|illustrat|display)\w*", re.IGNORECASE)
_LESION = re.compile(
    r"ground|\bggo|consolidat|paving|bronchogram|thicken|opaci|shadow|nodul|effusion|normal", re.IGNORECASE
)
_STATEMENT = re.compile(rf"[.;:()]|{_FINDING.pattern}", re.IGNORECASE)
_NOTHING = re.compile(r"[\s.,;:&)(]*(?:and|or|in)?[\s.,;:&)(]*(?:in )?[(]?", re.IGNORECASE)
_CLAUSE_END = re.compile(
    r"[.;](?!\d)|,(?: (?:and|while|whereas|but|then|followed by))?(?= )|\b(?:and|while|whereas|but|then)\b"
)
_BREAKS = (
    re.compile(r"[.;](?!\d)\s"),
    re.compile(r",? \b(?:while|whereas|but|then)\b|, and\b"),
    re.compile(r"\band\b"),
    re.compile(r",(?= )"),
)
"""Where one clause ends and the next begins, strongest first."""


@dataclass(frozen=True, slots=True)
class Part:
    """Text of one part of a caption: names such as ("c", "d"), and first and last+1 character."""

    names: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption taken apart; what no part covers is shared by all."""

    kind: Kind
    parts: tuple[Part, ...]

    def names(self) -> tuple[str, ...]:
        """Return every name of a part once, in order."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.names))

    def described(self, text: str) -> tuple[str, ...]:
        """Return the names of the parts of which the text tells what is seen; a mere legend of letters tells nothing."""
        telling = (part for part in self.parts if _FINDING.search(text, part.start, part.end))
        return tuple(dict.fromkeys(name for part in telling for name in part.names))

    def owners(self, position: int) -> tuple[str, ...] | None:
        """Return the names of the part that a character belongs to; None where it is shared."""
        return next((part.names for part in self.parts if part.start <= position < part.end), None)


def take_apart(report: str, kind: Kind) -> Caption | None:
    """Take a caption apart by one kind of mark; None where it has no such mark, or more than any figure has parts."""
    text = normalized(report)
    marks = find_marks(text, kind)
    if not marks or len(marks) > _MAX_MARKS:
        return None
    parts = _marked_parts(text, _merged(text, marks)) if kind in ("letter", "number") else _clause_parts(text, marks)
    return Caption(kind, tuple(parts))


def _merged(text: str, marks: list[Mark]) -> list[Mark]:
    """Make one mark of those with nothing between, such as "(A) and (B)" or "a. b. c. d."."""
    merged = marks[:1]
    for mark in marks[1:]:
        last = merged[-1]
        if last.leads is not False and _NOTHING.fullmatch(text, last.end, mark.start):
            names = tuple(dict.fromkeys((*last.names, *mark.names)))
            merged[-1] = Mark(names, last.start, mark.end, mark.leads)
        else:
            merged.append(mark)
    return merged


def _marked_parts(text: str, marks: list[Mark]) -> list[Part]:
    mostly_leading = sum(mark.leads is True for mark in marks) >= sum(mark.leads is False for mark in marks)
    starts = [start for start, _ in sentences(text)]
    ends = [mark.start for mark in marks[1:]] + [len(text)]
    parts: list[Part] = []
    for index, (mark, end) in enumerate(zip(marks, ends, strict=True)):
        if mark.leads or (mark.leads is None and mostly_leading):
            following = marks[index + 1] if index + 1 < len(marks) else None
            if following and following.leads is False:  # the sentence of a trailing mark is its own
                sentence = _last(starts, following.start)
                end = max(sentence, mark.end) if sentence > mark.start else end
            parts.append(Part(mark.names, mark.start, end))
        else:
            _add_trailing(parts, text, mark, _last(starts, mark.start), end)
    return parts


def _add_trailing(parts: list[Part], text: str, mark: Mark, sentence: int, next_start: int) -> None:
    """Add the part of a mark that stands behind its text; it reaches to the end of the mark's clause."""
    stop = _CLAUSE_END.search(text, mark.end, next_start)
    end = stop.start() if stop else next_start
    done = parts[-1].end if parts else 0
    if parts and done > sentence and not _FINDING.search(text, done, mark.start):
        last = parts.pop()  # "GGO in the right lung (A) and in the left (B)"
        parts.append(Part((*last.names, *mark.names), last.start, end))
    else:
        opening = sentence if done > sentence else _behind_head(text, sentence, mark.start)
        parts.append(Part(mark.names, max(done, opening), end))


def _behind_head(text: str, start: int, end: int) -> int:
    """Return where a sentence begins to tell of its first part, behind a head such as "CT of three patients:"."""
    head = _HEAD_END.search(text, start, end)
    return head.end() if head and not _LESION.search(text, start, head.start()) else start


def _last(starts: list[int], position: int) -> int:
    return max((start for start in starts if start <= position), default=0)


def _clause_parts(text: str, marks: list[Mark]) -> list[Part]:
    groups: list[list[Mark]] = []
    for mark in marks:
        between = text[groups[-1][-1].end : mark.start] if groups else ""
        if groups and len(between.split()) <= 3 and not _STATEMENT.search(between):
            groups[-1].append(mark)  # "illness day 8, hospital day 0"
        else:
            groups.append([mark])
    first = _behind_head(text, _last([start for start, _ in sentences(text)], groups[0][0].start), groups[0][0].start)
    cuts = [first, *(_cut(text, a[-1].end, b[0].start) for a, b in pairwise(groups)), len(text)]
    return [
        Part(tuple(dict.fromkeys(name for mark in group for name in mark.names)), start, end)
        for group, (start, end) in zip(groups, pairwise(cuts), strict=True)
    ]


def _cut(text: str, start: int, end: int) -> int:
    for pattern in _BREAKS:
        breaks = list(pattern.finditer(text, start, end))
        if breaks:
            return breaks[-1].end()
    return start
