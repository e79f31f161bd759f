"""Prepares text for reading: one spelling of dashes, quotes and spaces, and where sentences end."""

import re

_SENTENCE_LIMIT = 1000
"""A longer run without a full stop is no sentence; it is read in pieces, which keeps the time linear."""

# A sentence ends at a full stop that is no decimal point or abbreviation, or where the next line starts anew.
_SENTENCE_END = re.compile(
    r"(?<!\bvs)(?<!\bfig)(?<!\bfigs)(?<!\be\.g)(?<!\bi\.e)(?<!\bca)(?<!\bdr)\.(?!\d)|[!;]|\n(?=[ \t\r]*(?-i:[\nA-Z0-9\u2022*-]))",
    re.IGNORECASE,
)
_SAME_LENGTH = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d", "-"),
        **dict.fromkeys("\u2018\u2019\u02bc", "'"),
    }
    | {
        **dict.fromkeys("\u00a0\t\r\u2009\u202f\u3000", " "),
        "\uff0c": ",",
        "\uff1b": ";",
        "\uff1a": ":",
        "\uff1f": "?",
    }
)
_SHORT_NOT = re.compile(r"(?<=\w)n't\b", re.IGNORECASE)


def normalized(text: str) -> str:
    """Return the text with one kind of dash, quote and space; lines and characters keep their places."""
    return _SHORT_NOT.sub(" nt", text.translate(_SAME_LENGTH))


def sentences(text: str) -> list[tuple[int, int]]:
    """Return first and last+1 character of each sentence."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]
    spans, start = [], 0
    for end in ends:
        while end - start > _SENTENCE_LIMIT:
            spans.append((start, start + _SENTENCE_LIMIT))
            start += _SENTENCE_LIMIT
        if end > start:
            spans.append((start, end))
        start = end
    return spans
