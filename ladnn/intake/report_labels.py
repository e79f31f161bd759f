"""Labels from report text: keywords with negation, sentence by sentence, each with its provenance.

A finding named without negation is present, one named only in negated form is absent, one not named is unknown,
and so is one that is named only with doubt.
"""

import re

from ladnn.labels import DIAGNOSIS, Label

EXTRACTOR = "keywords/1"

_FINDINGS = {
    DIAGNOSIS: r"covid(?:-?\s?19)?|sars-?\s?cov-?\s?2|2019-?\s?ncov|novel coronavirus|coronavirus disease 2019|\bncp\b",
    "GGO": r"ground[-\s]?glass|\bggos?\b",
    "Csld": r"consolidat\w+",
    "CrPa": r"crazy[-\s]?paving",
    "AirBr": r"air[-\s]?bronchogra\w+",
    "InSepThi": r"(?:inter|intra)?-?lobular sept\w* thicken\w*|thicken\w* (?:of )?(?:the )?(?:inter|intra)-?lobular sept\w*|septal thickening",
}
_PATTERNS = {code: re.compile(pattern, re.IGNORECASE) for code, pattern in _FINDINGS.items()}
_SENTENCE = re.compile(r"[^.;\n]+(?:[.;\n]|$)")
_NEGATED_BEFORE = re.compile(
    r"\b(?:no|not|without|absence of|negative for|free of|neither|nor|denies|excluded?|rules? out|ruled out)\b[^,:]*$",
    re.IGNORECASE,
)
_NEGATED_AFTER = re.compile(
    r"^[^,:]*\b(?:(?:is|are|was|were) (?:not|absent|negative|excluded|ruled out)|(?:pcr|test|swab)?\s*negative\b|absent\b|not (?:seen|present|visible))",
    re.IGNORECASE,
)
_UNCERTAIN = re.compile(
    r"\b(?:possib\w+|probabl\w+|may|might|suspect\w*|suspicious|cannot (?:be )?exclude\w*|questionable|equivocal|likely)\b",
    re.IGNORECASE,
)


def labels_from_report(report: str) -> dict[str, Label]:
    """Return the labels that a report states; a label that it leaves open is not in the result."""
    labels: dict[str, Label] = {}
    for sentence in _SENTENCE.finditer(report):
        for code, pattern in _PATTERNS.items():
            for match in pattern.finditer(sentence.group()):
                _keep(labels, code, _label(sentence, match))
    return {code: label for code, label in labels.items() if not label.uncertain}


def _label(sentence: re.Match[str], match: re.Match[str]) -> Label:
    before, after = sentence.group()[: match.start()], sentence.group()[match.end() :]
    negated = bool(_NEGATED_BEFORE.search(before) or _NEGATED_AFTER.match(after))
    start = sentence.start()
    return Label(
        value=0 if negated else 1,
        source="report",
        by=EXTRACTOR,
        span=(start + match.start(), start + match.end()),
        negated=negated,
        uncertain=not negated and bool(_UNCERTAIN.search(before)),
    )


def _keep(labels: dict[str, Label], code: str, found: Label) -> None:
    """Present beats absent, absent beats doubtful; among equals the first mention stays."""
    rank = {False: 1 + found.value, True: 0}[found.uncertain]
    known = labels.get(code)
    if known is None or rank > {False: 1 + known.value, True: 0}[known.uncertain]:
        labels[code] = found
