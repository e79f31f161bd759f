"""Labels from report text: keywords with negation and doubt, sentence by sentence, each with its provenance.

A finding named without negation is present, one named only in negated form is absent; one that is not named, or only
with doubt, is unknown. The idea of triggers with a scope is NegEx's (Chapman et al. 2001, doi:10.1006/jbin.2001.1029).
"""

import re

from ladnn.labels import DIAGNOSIS, Label

EXTRACTOR = "keywords/1"

_DASH = r"[-\s\u2010-\u2015\u2212]*"
_SEPTA = r"(?:inter)?lobular sept\w+"
_FINDINGS = {
    DIAGNOSIS: rf"covid(?:{_DASH}(?:20)?19)?\b|sars{_DASH}cov{_DASH}2\b|2019{_DASH}n?cov\b|\bncp\b"
    rf"|(?:novel|new) coronavirus|coronavirus (?:disease|pneumonia)",
    "GGO": rf"(?:ground|frosted){_DASH}glass|\bggos?\b",
    "Csld": r"consolidat\w+",
    "CrPa": rf"crazy{_DASH}paving|paving{_DASH}stone",
    "AirBr": rf"air{_DASH}bronch\w+",
    "InSepThi": rf"{_SEPTA} thicken\w*|thicken\w* (?:of )?(?:the )?{_SEPTA}|septal thickening|thickened septa\b",
}
_PATTERNS = {code: re.compile(pattern, re.IGNORECASE) for code, pattern in _FINDINGS.items()}

# A sentence ends at a full stop that is no decimal point, at an empty line, or where the next line starts anew.
_SENTENCE_END = re.compile(r"\.(?!\d)|[;!]|\n(?=[ \t\r]*[\nA-Z0-9•*-])")
_WINDOW = 120
"""Characters on either side of a finding in which something can negate or hedge it."""

_UNCHANGED = r"(?:\s\w+)?\s(?:change|increase|decrease|progress|improve|differ|doubt)"
_NEGATION = re.compile(
    rf"\bno\b(?!{_UNCHANGED})|\bnot\b(?! only| exclu| rule| certain)|\bwithout\b(?!{_UNCHANGED})"
    r"|\b(?:absen(?:ce|t)|negative|free|lack|lacks|neither|nor|never|denie[sd]|excluded|ruled out|rather than)\b"
    r"|\b(?:resol\w+|disappearance|(?:complete|full|total) absorption) of\b|\bnon(?=[-\s]*$)",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:(?:is|are|was|were|has|have|had|been|returned|completely|fully|now) )*"
    r"(?:not (?:\w+ly )?(?:seen|present|visible|visuali[sz]ed|detect\w+|found|identified|evident|observed|noted|shown)"
    r"|absent|excluded|ruled out|no longer|resolved|disappeared|completely absorbed)\b",
    re.IGNORECASE,
)
_NEGATIVE_TEST = re.compile(r"\b(?:(?:is|was|were|been|returned|twice|repeatedly) )*negative\b", re.IGNORECASE)
_ENTRY_DENIED = re.compile(r"\s*[:=]\s*(?:no|none|not|absent|negative)\b", re.IGNORECASE)

_OPEN_BEFORE = re.compile(
    r"\b(?:cannot|can not|could not|not) (?:\w+ly )?(?:exclude|rule out)|\b(?:rule out|r/o|to exclude|query)|\?\s*$",
    re.IGNORECASE,
)
_OPEN_AFTER = re.compile(
    r"(?:not|cannot) (?:be )?(?:\w+ly )?(?:excluded|ruled out|confirmed)|^\s*\?"
    r"|^\s*(?:\w+ )?(?:(?:is|are|was|were) )?(?:\w+ly )?"
    r"(?:possible|suspected|likely|unlikely|probable|questionable|uncertain|unclear|equivocal|pending)\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:possib\w+|probabl\w+|(?-i:may)|might|could|suspect\w*|suspicious|suspicion|questionable|equivocal|likely"
    r"|unlikely|suggest\w*|concern\w*)\b",
    re.IGNORECASE,
)

_BREAK = re.compile(
    r":|\b(?:but|however|although|though|yet|except|apart|other than|whereas|while|with|show\w*|reveal\w*"
    r"|demonstrat\w*|there|positive|then)\b",
    re.IGNORECASE,
)
_PREDICATE = re.compile(r"\b(?:is|are|was|were|seen|noted|present|found|observed)\b", re.IGNORECASE)
_OR = re.compile(r"\b(?:or|nor)\b", re.IGNORECASE)

# The disease named as circumstance says nothing of this patient.
_CIRCUMSTANCE_BEFORE = re.compile(
    r"\b(?:contact with|expos\w+ to|vaccin\w+ against|during|history of|screen\w* for|test\w* for)\s(?:an? |the )?$",
    re.IGNORECASE,
)
_CIRCUMSTANCE_AFTER = re.compile(
    r"[-\s]+(?:pandemic|epidemic|outbreak|era|contact|exposure|vaccin\w*|protocol|ward|screening)\b", re.IGNORECASE
)


def labels_from_report(report: str) -> dict[str, Label]:
    """Return the labels that a report states; a label that it leaves open is not in the result."""
    labels: dict[str, Label] = {}
    start = 0
    for end in [match.end() for match in _SENTENCE_END.finditer(report)] + [len(report)]:
        for code, pattern in _PATTERNS.items():
            for match in pattern.finditer(report, start, end):
                _keep(labels, code, _label(code, match, start, end))
        start = end
    return {code: label for code, label in labels.items() if not label.uncertain}


def _label(code: str, match: re.Match[str], start: int, end: int) -> Label:
    """Judge one mention in the sentence from start to end."""
    before = " ".join(match.string[max(start, match.start() - _WINDOW) : match.start()].split("\n"))
    after = " ".join(match.string[match.end() : min(end, match.end() + _WINDOW)].split("\n"))
    open_ = bool(_OPEN_BEFORE.search(before) or _OPEN_AFTER.search(_clause(after)))
    negated = not open_ and (_governed(_NEGATION, before, after) or _denied(code, after))
    circumstance = code == DIAGNOSIS and bool(_CIRCUMSTANCE_BEFORE.search(before) or _CIRCUMSTANCE_AFTER.match(after))
    return Label(
        value=0 if negated else 1,
        source="report",
        by=EXTRACTOR,
        span=match.span(),
        negated=negated,
        uncertain=open_ or circumstance or (not negated and _governed(_HEDGE, before, after)),
    )


def _governed(trigger: re.Pattern[str], before: str, after: str) -> bool:
    """Tell whether the last trigger reaches the finding; a comma stops it except in a list such as "no A, B or C"."""
    found = list(trigger.finditer(before))
    if not found:
        return False
    between = before[found[-1].end() :]
    _, comma, last_item = between.rpartition(",")
    return not _BREAK.search(between) and (not comma or bool(_OR.search(last_item + after)))


def _denied(code: str, after: str) -> bool:
    """Tell whether what follows the finding, up to the end of its clause, denies it."""
    if _ENTRY_DENIED.match(after):
        return True
    clause = _clause(after)
    for pattern in (_DENIAL, _NEGATIVE_TEST) if code == DIAGNOSIS else (_DENIAL,):
        found = pattern.search(clause)
        if found:
            between = clause[: found.start()]
            another_subject = " and " in between and found.group().lower().startswith(("is ", "was ", "has "))
            return not another_subject and not _PREDICATE.search(between)
    return False


def _clause(after: str) -> str:
    stop = _BREAK.search(after.replace(",", ":"))
    return after[: stop.start()] if stop else after


def _keep(labels: dict[str, Label], code: str, found: Label) -> None:
    """Present beats absent, absent beats doubtful; among equals the first mention stays."""
    known = labels.get(code)
    if known is None or _rank(found) > _rank(known):
        labels[code] = found


def _rank(label: Label) -> int:
    return 0 if label.uncertain else 1 + label.value
