"""Owns the words by which reports name the disease and the lesions; it judges none of them.

Terms follow the Fleischner Society's glossary (Hansell et al. 2008, doi:10.1148/radiol.2462070712), with the renderings
that are common in reports translated from Chinese, such as "frosted glass", "paving stone" and "bronchial inflation".
"""

import re
from dataclasses import dataclass

from ladnn.intake.reports.spelling import GAP, misspelt
from ladnn.labels import DIAGNOSIS

_COVID = (
    r"covid(?:[- ]*(?:20)?19)?\b",
    r"sars[- ]*cov[- ]*2\b",
    r"severe acute respiratory syndrome[- ]*(?:corona ?virus[- ]*)?2\b",
    r"(?:2019[- ]*n?|h?n)[- ]*cov\b",
    r"\bnc(?:p|ip)\b",
    r"(?:novel |new )?corona ?virus (?:disease|pneumonia|infection)(?:[- ]*(?:20)?19)?",
    r"(?:novel|new) corona ?virus",
)
_GGO = (
    rf"(?:{misspelt('ground')}|frosted|frost|matt){GAP}(?:{misspelt('glass')}|grass)",
    r"\bgg[on]s?\b",
    r"\bgg (?:opacit|opacif|attenuat|shadow|densit|chang|nodul|lesion)\w*",
    r"\bhazy (?:\w+ )?(?:opacit|opacif|attenuat)\w*",
)
_CONSOLIDATION = (
    rf"(?:\bnon-?)?{misspelt('consolidat')}\w+(?! (?:chemo|radio)?therapy| treatment)",
    r"\bsolidif\w+",
)
_CRAZY_PAVING = (
    rf"\bcra[sz]z?y{GAP}pav\w+",
    r"\bpaving[- ]*stones?\b",
    r"\bpaving (?:sign|pattern|appearance)",
)
_AIR_BRONCHOGRAM = (
    rf"\bair{GAP}bronch\w+",
    rf"\b{misspelt('bronchogram')}s?\b",
    r"\b(?:bronch\w+ (?:inflation|inflated|aeration|gas)|(?:aerated|inflated|air[- ]filled) bronch\w+)",
    r"\b(?<!thickened )(?<!dilated )bronchus sign",
)
_LOBULAR = (
    rf"(?:\b(?:inter|intra)[- ]*(?:(?:,? ?(?:and|or|/|and/or) ?)(?:inter|intra)[- ]*)?{misspelt('lobular')}|\blobular)"
)
_SEPTUM = rf"(?:sept(?:um|ums|ae?)|{misspelt('septal')})\b"
_THICKEN = misspelt("thicken")
_SEPTAL_THICKENING = (
    rf"{_LOBULAR}(?: (?:and|or|and/or) (?:inter|intra)lobular)?(?: {_SEPTUM})?(?: (?!is|are|was|were)\w+){{0,2}} {_THICKEN}\w*",
    rf"{_LOBULAR} {_SEPTUM}(?: (?:is|are|was|were|appears?|appeared|looks?|not|no longer|nt|\w+ly)){{1,3}} (?:thick|widen|promin)\w*",
    rf"(?:{_THICKEN}\w*|thick|widened|prominent)(?: of)?(?: the)?(?: \w+)? {_LOBULAR}(?: (?:and|or) (?:inter|intra)lobular)? {_SEPTUM}",
    rf"(?<!ventricular )(?<!atrial )(?<!nasal )(?<!alveolar )\b{_SEPTUM} (?:\w+ )?(?:{_THICKEN}\w*|lines?\b)",
    rf"\b{_THICKEN}\w* (?:of )?(?:the )?sept(?:a|um|ae)\b",
    r"\bkerley(?: [abc])?\b(?:[- ]*lines?)?",
)

_NOUN = (
    r"(?:[- ](?:opacit\w+|opacif\w+|shadow\w*|attenuations?|densit\w+|changes?|nodul\w+|lesions?|appearances?|patterns?|signs?"
    r"|infiltrat\w+|areas?)\b)?"
)
_TERMS = {
    DIAGNOSIS: _COVID,
    "GGO": _GGO,
    "Csld": _CONSOLIDATION,
    "CrPa": _CRAZY_PAVING,
    "AirBr": _AIR_BRONCHOGRAM,
    "InSepThi": _SEPTAL_THICKENING,
}
_PATTERNS = {code: re.compile(rf"(?:{'|'.join(terms)}){_NOUN}", re.IGNORECASE) for code, terms in _TERMS.items()}

# A test names the virus only together with its result, and only where it is no test for another germ.
_TEST = re.compile(
    r"\b(?:positive|negative) (?:(?:rt-?)?pcr|nucleic acid)\b"
    r"|\b(?:(?:rt-?)?pcr|nucleic acid)(?: (?!and|or|but)[\w-]+){0,3} (?:positive|negative)\b"
    r"|\big[gm](?:(?: and |/)ig[gm])?(?: (?:results?|antibod\w+|tests?|was|were)){0,3} positive\b",
    re.IGNORECASE,
)
_OTHER_GERM = re.compile(r"influenza|adenovir|mycoplasm|\brsv\b|tubercul|legionell|pneumocyst|cytomegal", re.IGNORECASE)
ANY_LESION = "*"
"""Code of a mention of lesions without a name, or by a pronoun; it counts only where it says what became of named ones."""
_ANY = re.compile(
    r"\b(?:lesions?|shadows?|shadowing|abnormalit\w+|infiltrat\w+|inflammation|foci|findings)\b"
    r"|\b(?:which|they|these|all of which)\b(?= (?:had|have|has|were|was|are|is)\b)",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;,]|\b(?:but|and)\b")
_CLAUSE_LENGTH = 100
_LEGEND = re.compile(r"\bggos? ?[,=:-] ?ground[- ]*glass", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mention:
    """One place that names a label; a legend only spells an abbreviation out."""

    code: str
    start: int
    end: int
    legend: bool = False


def find_mentions(text: str) -> list[Mention]:
    """Return where the disease or a lesion is named, by place; mentions of one label do not overlap."""
    found = [
        Mention(code, match.start(), match.end())
        for code, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
    ]
    named = [mention for mention in found if mention.code == DIAGNOSIS]
    if not _OTHER_GERM.search(text):
        tests = [Mention(DIAGNOSIS, match.start(), match.end()) for match in _TEST.finditer(text)]
        found += [test for test in tests if not any(_one_clause(text, test, mention) for mention in named)]
    legends = [match.span() for match in _LEGEND.finditer(text)]
    marked = [
        Mention(m.code, m.start, m.end, legend=any(start <= m.start < end for start, end in legends)) for m in found
    ]
    marked += [
        Mention(ANY_LESION, match.start(), match.end())
        for match in _ANY.finditer(text)
        if not any(m.start <= match.start() < m.end for m in found)
    ]
    return sorted(marked, key=lambda mention: (mention.start, mention.end, mention.code))


def _one_clause(text: str, one: Mention, other: Mention) -> bool:
    between = text[min(one.end, other.end) : max(one.start, other.start)]
    return not _CLAUSE_END.search(between) and len(between) < _CLAUSE_LENGTH
