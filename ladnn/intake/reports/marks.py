"""Owns how captions name their parts: letters, numbers, days, dates, patients, positions, ordinals, points in time.

A mark is the place of one such name. It says nothing yet of which text belongs to it; see `panels`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["letter", "number", "day", "date", "patient", "position", "ordinal", "moment"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a part is named; several names where one text is about several parts, as in "(A-C)"."""

    names: tuple[str, ...]
    start: int
    end: int
    leads: bool | None
    """The text of the part follows (True), stands before (False), or either."""


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL = rf"(?P<word>{'|'.join(_ORDINALS)})"
_MONTHS = r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"

_LETTER = r"\d{0,2}[A-La-l]"
_JOIN = r" *(?:-|to|,? *and|,|&|/) *"
_GROUP = rf"(?P<group>{_LETTER}(?:{_JOIN}{_LETTER}\b){{0,15}})"
_UPPER_GROUP = r"(?P<group>\d{0,2}[A-L](?: *(?:-|,? *and|,|&|/) *\d{0,2}[A-L]\b){0,15})"
_FIGURE = r"(?:(?:fig(?:ure|s|ures)?\.?|panels?|images?) ?\d*)"
_NO_PANEL = (
    r"(?<!hepatitis )(?<!influenza )(?<!vitamin )(?<!type )(?<!group )(?<!groups )(?<!grade )(?<!class )(?<!stage )"
    r"(?<!patient )(?<!case )(?<!virus )(?<!protein )(?<!zone )(?<!ward )(?<!hospital )(?<!kerley )(?<!child )"
)
_BRACKETED = re.compile(
    rf"[(\[] *(?:{_FIGURE} *)?{_GROUP}(?![^()\[\]]{{0,60}}[;,] *\d{{0,2}}(?-i:[A-L]) ?[:,.])(?: *[,;:][^()\[\]]{{0,60}})? *[)\]]",
    re.IGNORECASE,
)
_HALF_BRACKETED = re.compile(rf"(?:\A|(?<=[.;:,\n])|(?<=\band))\s{{0,3}}{_GROUP}\)(?=\s?\w)", re.IGNORECASE)
_PLAIN = re.compile(rf"(?:\A|(?<=[\s(\[])){_NO_PANEL}(?:{_FIGURE} ?)?{_UPPER_GROUP} ?[,.:](?=\s|[A-Z])")
_PLAIN_SMALL = re.compile(r"(?:\A|(?<=[.;:\n] ))(?P<group>[a-l])[.,:](?= )|(?<=\s)(?P<other>[a-l]):(?= )")
_NAMED = re.compile(rf"(?:\A|(?<=[.;,\n] )|(?<=and )|(?<=in )){_FIGURE} ?{_GROUP}(?=[ ,.:])", re.IGNORECASE)
_SUBJECT = re.compile(
    rf"(?:\A|(?<=[.;,\n] )|(?<=and )|(?<=while )|(?<=in ))(?:(?:Panels?|panels?|Figures?|Figs?\.?|figures?) ?\d*)?\s?"
    rf"{_UPPER_GROUP}(?=,? (?:show|demonstrat|depict|reveal|were|was|is|are|display|illustrat|represent|indicat|present|"
    r"exhibit|obtain)\w*\b)"
)
_JOINT_SUBJECT = re.compile(
    r"(?<= )(?P<group>[A-L](?: and |-|, | & )[A-L])(?= (?:show|demonstrat|depict|reveal|were|are|display|illustrat|represent)\w*\b)"
)
_LEADING_WORD = re.compile(
    r"(?:\b(?:show\w*|demonstrat\w*|reveal\w*|includ\w+|depict\w*|in|of|as|follows)|[:])\s*\Z", re.IGNORECASE
)

_NUMBERED = re.compile(
    r"(?:\A|(?<=[.;:\n] )|(?<=[.;:\n]))\(?(?P<n>\d{1,2})(?:[.:]|\)|,(?= ))(?= ?[A-Za-z])|\((?P<m>\d{1,2})\)"
)
_DAY = re.compile(
    r"\b(?:days?|d)[ -]?(?P<n>\d{1,3})\b|(?<!for )(?<!\d-)(?<!every )\b(?P<m>\d{1,3})(?:st|nd|rd|th)?[ -]days?\b(?! (?:treatment|course|old|therapy))"
    rf"|\b{_ORDINAL} (?:\w+ )?day\b|\((?P<p>\d{{1,3}}) ?(?:dpoi|dpo|d)\b",
    re.IGNORECASE,
)
_DATE = re.compile(rf"\b(?P<month>{_MONTHS})[a-z]*\.? (?P<n>\d{{1,2}})\b(?! ?, ?\d+ ?y)", re.IGNORECASE)
_PATIENT = re.compile(
    rf"\b(?:patient|case|subject)s? ?(?:no\.? ?|number |id:? ?|# ?)?(?:(?P<n>\d{{1,3}})\b(?: ?(?:-|to|(?P<both>and|&)) ?(?P<last>\d{{1,3}})\b(?![ -]*(?:y|d|w|m|%)))?|(?-i:(?P<letter>[A-H]))(?![\w'-]))|\b{_ORDINAL} (?:\w+ )?(?:patient|case|subject)\b",
    re.IGNORECASE,
)
_POSITION = re.compile(
    r"\b(?P<a>left|right|top|bottom|upper|lower|middle)(?:most)? (?:panel|image|picture|column|row|figure|photo|scan)s?\b"
    r"|\((?P<b>left|right|top|bottom|upper|lower|middle)(?: (?:panel|image|column|row))?s?\)"
    r"|(?:\A|(?<=[.;:\n] ))(?P<c>left|right|top|bottom|upper|lower|middle) ?:"
    r"|\b(?:image|panel|scan|picture) on the (?P<d>left|right|top|bottom)\b",
    re.IGNORECASE,
)
_NTH = re.compile(
    rf"\b{_ORDINAL} (?:image|panel|picture|slice|scan|row|column|photo|ct)\b"
    r"|\b(?:image|panel|picture|photo) (?:no\.? ?)?(?P<n>\d{1,2})\b(?! ?(?:days?|weeks?|months?|years?|hours?|mm|cm)\b)",
    re.IGNORECASE,
)
_MOMENT = re.compile(
    r"\b(?P<first>baseline|on admission|at admission|initial|before (?:\w+ )?(?:treatment|therapy|transfusion))\b"
    r"|\b(?P<later>follow-?up|re-?exam\w*|re-?check\w*|after (?:\w+ )?(?:treatment|therapy|transfusion))\b|\b(?P<end>discharge)\b",
    re.IGNORECASE,
)


_MAX_RANGE = 20
"""Patients in one range such as "cases 1-3"; more is no range of a figure."""
_PART_WORD = re.compile(
    rf"\d{{1,3}}[a-z]{{0,2}}|(?:19|20)\d\d|[a-l]|{_ORDINAL}|{_MONTHS}"
    r"|january|february|march|april|june|july|august|september|october|november|december"
    r"|(?:panel|image|picture|slice|scan|photo|row|column|part|sub|subfigure|figure|fig|day|d|patient|case|subject|series|frame)s?\d{0,3}"
    r"|(?:left|right|top|bottom|upper|lower|middle)(?:most)?|axial|coronal|sagittal|lung|mediastinal|window|level|lobe|chest|ct|hrct"
    r"|baseline|initial|first|last|before|after|treatment|therapy|transfusion|follow|followup|up|re|recheck\w*|reexam\w*"
    r"|check\w*|exam\w*|discharge|admission|onset|at|in|on|of|to|and|the|no|number|id",
    re.IGNORECASE,
)
_MAX_PANEL = 100
"""Characters of a contributor's name of a panel that are read."""


def find_marks(text: str, kind: Kind) -> list[Mark]:
    """Return the marks of one kind by place, none overlapping; `text` is normalised."""
    kept: list[Mark] = []
    for mark in sorted(_FINDERS[kind](text), key=lambda mark: (mark.start, -mark.end)):
        if not kept or mark.start >= kept[-1].end:
            kept.append(mark)
    return kept


def letters(group: str) -> tuple[str, ...]:
    """Return the letters of a group such as "A-C" or "1a and b", small, with a figure's number where it stands."""
    names: list[str] = []
    previous, ranged = "", False
    for token in re.findall(r"\b\d{0,2}[a-l]\b|-|\bto\b", group.lower()):
        if token in ("-", "to"):
            ranged = True
            continue
        if ranged and previous:
            names += [token[:-1] + chr(code) for code in range(ord(previous[-1]) + 1, ord(token[-1]))]
        if len(token) == 1:
            token = previous[:-1] + token  # "1A-C" is 1A, 1B, 1C
        names.append(token)
        previous, ranged = token, False
    return tuple(dict.fromkeys(names))


def _letters(text: str) -> Iterator[Mark]:
    for match in _BRACKETED.finditer(text):
        yield Mark(letters(match["group"]), match.start(), match.end(), _bracket_leads(text, match))
    for pattern in (_HALF_BRACKETED, _PLAIN, _PLAIN_SMALL, _NAMED, _SUBJECT, _JOINT_SUBJECT):
        for match in pattern.finditer(text):
            if text.rfind("(", 0, match.start()) > text.rfind(")", 0, match.start()) and pattern is _HALF_BRACKETED:
                continue  # closes a bracket that other words have opened
            group = next(value for value in match.groups() if value)
            yield Mark(letters(group), match.start(), match.end(), leads=True)


def _bracket_leads(text: str, match: "re.Match[str]") -> bool | None:
    before, after = text[max(0, match.start() - 30) : match.start()].rstrip(), text[match.end() : match.end() + 30]
    if not after.strip() or after.lstrip()[0] in ".;,)":
        return False
    if not before or before[-1] in ".;\n" or _LEADING_WORD.search(before + " "):
        return True
    if re.match(r" ?[A-Z0-9]", after):
        return True
    return False if re.match(r" (?:and|or|while|on|at|in|with|from|but|then|group|was|were|is|are)\b", after) else None


def _simple(pattern: "re.Pattern[str]", name: Callable[["re.Match[str]"], str]) -> Callable[[str], Iterator[Mark]]:
    def find(text: str) -> Iterator[Mark]:
        for match in pattern.finditer(text):
            yield Mark((name(match),), match.start(), match.end(), leads=None)

    return find


def _count(match: "re.Match[str]") -> str:
    groups = match.groupdict()
    if groups.get("word"):
        return str(_ORDINALS.index(groups["word"].lower()) + 1)
    if groups.get("letter"):
        return str(groups["letter"]).lower()
    return str(int(next(value for value in (groups.get("n"), groups.get("m"), groups.get("p")) if value)))


def _numbers(text: str) -> Iterator[Mark]:
    for match in _NUMBERED.finditer(text):
        yield Mark((_count(match),), match.start(), match.end(), leads=True)


def _patients(text: str) -> Iterator[Mark]:
    for match in _PATIENT.finditer(text):
        names = [_count(match)]
        if match["last"]:
            first, last = int(match["n"]), int(match["last"])
            names += (
                [match["last"]]
                if match["both"]
                else [str(n) for n in range(first + 1, min(last, first + _MAX_RANGE) + 1)]
            )
        yield Mark(tuple(names), match.start(), match.end(), leads=None)


def _matched_group(match: "re.Match[str]") -> str:
    return str(match.lastgroup)


_FINDERS: dict[Kind, Callable[[str], Iterator[Mark]]] = {
    "letter": _letters,
    "number": _numbers,
    "day": _simple(_DAY, _count),
    "date": _simple(_DATE, lambda match: f"{match['month'].lower()} {int(match['n'])}"),
    "patient": _patients,
    "position": _simple(_POSITION, lambda match: next(v for v in match.groups() if v).lower()),
    "ordinal": _simple(_NTH, _count),
    "moment": _simple(_MOMENT, _matched_group),
}


def only_part_words(panel: str, instead: str) -> str:
    """Replace every word of a contributor's name of a panel that names no part, and so may name a person."""
    return re.sub(r"[^\W_]+", lambda word: word[0] if _PART_WORD.fullmatch(word[0]) else instead, panel)


def wanted(panel: str) -> list[tuple[Kind, tuple[str, ...]]]:
    """Return what a contributor's name of a panel can mean, likeliest first."""
    text = re.sub(r"[()\[\]{}\"']", " ", panel[:_MAX_PANEL]).strip().strip(".:,;").strip()
    nth = re.fullmatch(r"(?:image|picture) (\d{1,2})", text, re.IGNORECASE)
    if nth:
        return [("ordinal", (nth[1],)), *wanted(nth[1])]
    text = re.sub(r"^(?:panels?|fig(?:ure|s)?\.?|images?|part|sub-?figure)\s+", "", text, flags=re.IGNORECASE).strip()
    if re.fullmatch(r"\d{1,3}", text):
        number = (str(int(text)),)
        return [
            ("number", number),
            ("ordinal", number),
            ("letter", (f"#{int(text)}",)),
            ("patient", number),
            ("day", number),
        ]
    if re.fullmatch(rf"{_LETTER}(?:{_JOIN}{_LETTER}){{0,15}}", text, re.IGNORECASE):
        return [("letter", letters(text)), ("patient", letters(text))]
    if re.fullmatch(r"left|right|top|bottom|upper|lower|middle", text, re.IGNORECASE):
        return [("position", (text.lower(),))]
    found: list[tuple[Kind, tuple[str, ...]]] = []
    for kind in ("patient", "day", "date", "position", "ordinal", "moment"):
        marks = find_marks(text, kind)
        if marks:
            found.append((kind, marks[0].names))
    return found
