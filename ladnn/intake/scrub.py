"""Takes what identifies people out of report text: known identifiers, and what commonly identifies, by pattern.

The rest of a report stays as it is, since labels are read from what is left.
"""

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import pairwise

from ladnn.labels import LESION_NAMES, LESIONS

REMOVED = "[removed]"
_MIN_LENGTH = 3
_RADIOLOGY = {word.casefold() for name in LESION_NAMES.values() for word in name.replace("-", " ").split()} | {
    *(lesion.casefold() for lesion in LESIONS),
    *("ggos", "consolidations", "frosted", "paving", "stone", "kerley", "reticular", "patchy", "multiple", "diffuse"),
    *("abdomen", "anonymous", "anonymized", "axial", "baseline", "bilateral", "chest", "control", "coronal", "corona"),
    *("coronavirus", "covid", "covid-19", "ct", "disease", "effusion", "female", "findings", "follow", "glass", "hrct"),
    *("impression", "infection", "left", "lobe", "lower", "lung", "lungs", "male", "middle", "negative", "none"),
    *("normal", "not", "opacities", "opacity", "pattern", "patient", "pcr", "phantom", "pleural", "pneumonia"),
    *("positive", "pulmonary", "report", "right", "sars-cov-2", "scan", "septal", "slice", "study", "test", "the"),
    *("thorax", "unknown", "upper", "viral", "virus", "and", "with", "without", "for", "day", "days", "type"),
}
"""Words that a report needs; no identifier however odd (a phantom's "name" is Chest) takes them out."""
_NAME = r"[A-Z][A-Za-z'\u2019-]{1,40}+"
_HEADLINE = (
    r"No|Not|Has|Had|Have|Is|Was|With|Without|Of|On|In|At|From|And|After|Before|Who|There|This|These|It|She|They|Initial|Small|Unenhanced|Also|Shows?|Showed|Presented|Presents"
    r"|Underwent|Received|Recovered|Developed|Died|Denies|Demonstrates?|History|Information|Data|Position|Characteristics"
    r"|DOB|MRN|MD|One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten|(?-i:[IVX]+)"
)
"""Words that follow "Patient" in headlines and are no names."""
_KEPT = "|".join(sorted(map(re.escape, _RADIOLOGY), key=len, reverse=True))
_NAMES = rf"(?:(?!(?i:{_KEPT})\b)(?:[A-Z]\.|{_NAME})(?:,?[ ]+|(?=\W|$))){{1,4}}"
_NAMED_AFTER = rf"(?:(?!(?i:{_KEPT})\b|(?i:{_HEADLINE})\b)(?:[A-Z]\.|{_NAME})(?:[ ]+|(?=\W|$)))"
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}\.?[ ]+[A-Za-z]{3,9}\.?,?[ ]+\d{4}|[A-Za-z]{3,9}\.?[ ]+\d{1,2},?[ ]+\d{4}|\d{8}"
_NUMBER_LABEL = (
    r"(?i:MRN|passport(?:[ ](?:no\.?|number))?|medical record(?:[ ](?:no\.?|number))?|accession(?:[ ](?:no\.?|number))?|(?:patient|hospital|case|study|exam)"
    r"[ ](?:id|no\.?|number)|patient[ ]identifier|id|SSN|NHS(?:[ ](?:no\.?|number))?|insurance[ ](?:no\.?|number))"
)
_NAME_LABEL = (
    r"(?i:(?:patient(?:'s)?|first|last|family|given|full|sur)?[ ]?name|patient|pt|referring(?:[ ]physician)?|referrer|"
    r"(?:requesting|attending|reading)[ ]physician|physician|radiologist|reported[ ]by|dictated[ ]by|signed(?:[ ]by)?)"
)
_ADDRESSES = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}|https?://[^\s<>()]+")
_PATTERNS = (
    re.compile(
        r"(?i:\b(?:phone|telephone|tel|mobile|fax|cell)\b\.?[ ]*(?:no\.?|number)?[ ]*[:#]?[ ]*)(\+?[\d(][\d ()./-]{4,20}\d)"
    ),
    re.compile(r"(?<![\w+])\+\d{1,3}[ ./-]?\(?\d[\d ()./-]{5,16}\d\b"),
    re.compile(r"(?<![\w.-])(?:\(\d{3}\)[ ]?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"),
    re.compile(rf"\b(?i:DOB|D\.O\.B\.|date[ ]of[ ]birth|birth[ ]?date|born(?:[ ]on)?)[ ]*[:#]?[ ]*({_DATE})"),
    re.compile(rf"\b{_NUMBER_LABEL}[ ]*[:#=][ ]*([\w][\w./-]{{0,40}})"),
    re.compile(
        r"\b(?i:MRN|patient[ ]id|(?:accession|passport|SSN)(?:[ ](?:no\.?|number))?)[ ]+([A-Za-z]{0,6}[-/]?\d[\w./-]{2,40})"
    ),
    re.compile(r"\b(?i:address|residence)[ ]*[:#=][ ]*((?:(?i:\b(?:st|ave|rd|dr|blvd|apt|no))\.|[^\n;.]){3,120})"),
    re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
    re.compile(r"\b(?i:MRN)(\d{4,})"),
    re.compile(r"\b\d{1,5}[ ](?:[A-Z][a-z]+[ ]){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Boulevard|Blvd)\b"),
    re.compile(r"(?<![\w'-])[A-Z][A-Za-z'-]{1,40}+\^[A-Za-z][A-Za-z^'-]*"),
    re.compile(rf"\b{_NAME_LABEL}[ ]*[:#=][ ]*({_NAMES})"),
    re.compile(rf"\b(?i:name)[ ]is[ ]({_NAMES})"),
    re.compile(
        rf"\b(?:Mr|Mrs|Ms|Miss|Madam|Dr|Prof|Professor|Doctor|Herr|Frau)\b\.?[ ]+(?:(?:Dr|med)\.[ ]+)?({_NAMES})"
    ),
)
"""Each takes out its group, or all of the match where it has none."""
_BY_CAPITALS = (
    re.compile(rf"\b[Pp](?:atient|t),?[ ]+({_NAMED_AFTER}{{2,4}}+)"),
    re.compile(rf"\b[Pp](?:atient|t),?[ ]+({_NAMED_AFTER})(?=[,(])"),
    re.compile(rf"(?<![\w'\u2019-])({_NAMED_AFTER}{{1,4}}+)(?=,?[ ]?\(?(?:born|DOB|MRN)\b)"),
    re.compile(rf"(?<![\w'\u2019-])({_NAMED_AFTER}{{1,4}}+)(?=,[ ]?(?:MD\b|M\.[ ]?D\.))"),
)
"""Names that nothing but their capitals and their neighbours give away; a report all in capitals has none of these."""


def scrub(text: str, identifiers: Collection[str] = ()) -> str:
    """Return the text with identifiers, e-mail addresses, phone numbers, labelled fields and titled names removed.

    Identifiers count in any case and as whole words; those that `usable_identifiers` drops would take findings out.
    """
    text = _ADDRESSES.sub(REMOVED, text)  # before a known name takes its part out of one
    known = sorted(usable_identifiers(item.strip() for item in identifiers), key=len, reverse=True)
    if known:
        spellings = "|".join(r"\s+".join(map(re.escape, item.split())) for item in known)
        text = re.sub(rf"(?<!\w)(?:{spellings})(?!\w)", REMOVED, text, flags=re.IGNORECASE)
    in_capitals = sum(map(str.isupper, text)) > 2 * sum(map(str.islower, text))
    for pattern in _PATTERNS if in_capitals else (*_BY_CAPITALS, *_PATTERNS):
        text = pattern.sub(_without_value, text)
    return text


def name_spellings(name: str) -> set[str]:
    """Return a DICOM person name (PS3.5, section 6.2.1) whole and in parts, as reports may write it."""
    result: set[str] = set()
    for group in name.split("="):
        parts = [part.strip() for part in group.split("^")]
        family, given = (*parts, "", "")[:2]
        result |= {group.strip(), " ".join(filter(None, parts))}
        if family and given:
            result |= {f"{given} {family}", f"{family} {given}", f"{family}, {given}", f"{family},{given}"}
        words = [word for part in parts for word in re.split(r"[\s,]+", part)]
        result |= {word.strip(".") for word in words if not word.strip(".").isdigit()}
    return result


def names_in_file_name(file: str) -> frozenset[str]:
    """Return the full names, in the spellings of reports, that two capitalised words of a file name may be.

    One word alone may be any word of the report.
    """
    words = re.findall(r"[A-Z][a-z]+|[A-Z]{2,}(?![a-z])|[a-z]+|\d+", file.rpartition(".")[0] or file)
    pairs = ((one, two) for one, two in pairwise(words) if one[0].isupper() and two[0].isupper())
    usable = (pair for pair in pairs if len(usable_identifiers(pair)) == len(pair))
    return frozenset(
        f"{a}{mark}{b}" for one, two in usable for a, b in ((one, two), (two, one)) for mark in (" ", ", ", ",")
    )


def birth_date_spellings(date: str) -> set[str]:
    """Return a DICOM date (YYYYMMDD) in the spellings that reports use."""
    try:
        born = datetime.strptime(date.replace(".", "")[:8], "%Y%m%d").date()
    except ValueError:
        return {date}
    day, month, year = born.day, born.month, born.year
    numbers = {
        f"{first}{mark}{second}{mark}{last}"
        for mark in "-/."
        for days, months in ((f"{day:02}", f"{month:02}"), (f"{day}", f"{month}"))
        for first, second, last in (
            (f"{year}", months, days),
            (days, months, f"{year}"),
            (months, days, f"{year}"),
            (days, months, f"{year % 100:02}"),
            (months, days, f"{year % 100:02}"),
        )
    }
    words = {
        spelling
        for name in (f"{born:%B}", f"{born:%b}", f"{born:%b}.")
        for number in (f"{day}", f"{day:02}")
        for spelling in (
            *(f"{number} {name} {year}", f"{number}. {name} {year}", f"{number}-{name}-{year}"),
            *(f"{name} {number}, {year}", f"{name} {number} {year}"),
        )
    }
    return {date, f"{born:%Y%m%d}", *numbers, *words}


def usable_identifiers(values: Iterable[str]) -> frozenset[str]:
    """Keep what can be looked for in a report: three characters or more, and no word that every report needs."""
    return frozenset(value for value in values if len(value) >= _MIN_LENGTH and value.casefold() not in _RADIOLOGY)


def _without_value(match: re.Match[str]) -> str:
    if not match.re.groups:
        return REMOVED
    whole, offset = match[0], match.start()
    value = match[1]
    kept = len(value) - len(value.rstrip(" ,"))
    return f"{whole[: match.start(1) - offset]}{REMOVED}{value[len(value) - kept :]}{whole[match.end(1) - offset :]}"
