"""Owns how the words of a finding are found where they are misspelt, broken at a line's end, or damaged by a wrong encoding."""

GAP = r"(?:[^\w.,;:()]|[^\x00-\x7f]|(?<=\ufffd)[\\C]){0,12}"
"""What may stand for the hyphen of "ground-glass": nothing, spaces, dashes, or the debris of a character in a wrong
encoding (a dash of UTF-8 read as GBK leaves a replacement character and a backslash or C)."""
_BROKEN = "(?:- )?"


def misspelt(stem: str) -> str:
    """Return a regular expression of a stem, broken by a hyphen or not, and of it with one letter wrong.

    One letter behind the first may be missing, doubled or foreign, or two neighbours swapped. A stem needs six letters
    or a second word beside it, so that no other word is one letter away.
    """
    first, rest = stem[0], stem[1:]
    whole = _BROKEN.join(stem)
    wrong = []
    for place in range(len(rest)):
        before, after = rest[:place], rest[place + 1 :]
        wrong.append(rf"{before}[a-z]?{after}")  # missing or foreign
        wrong.append(rf"{before}[a-z]{rest[place:]}")  # one too many
        if after:
            wrong.append(f"{before}{after[0]}{rest[place]}{after[1:]}")
    return rf"(?:{whole}|{first}(?:{'|'.join(dict.fromkeys(wrong))}))"
