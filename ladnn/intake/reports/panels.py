"""Owns which part of a caption an image is: as its contributor names it, or by its place among its siblings."""

from ladnn.intake.reports.caption import Caption, take_apart
from ladnn.intake.reports.marks import Kind, find_marks, wanted
from ladnn.intake.reports.sentences import normalized
from ladnn.intake.reports.vocabulary import ANY_LESION, find_mentions
from ladnn.labels import LESIONS

_SHOWN_IN_ORDER: dict[Kind, str] = {"letter": "{}", "ordinal": "image {}", "patient": "patient {}", "day": "day {}"}
"""Kinds of parts in the order in which figures show them, and how a contributor would name one."""


def panel_of(report: str, panel: str) -> tuple[Caption, frozenset[str]] | None:
    """Find the part that a contributor's words name, such as "(b)", "day 11", "2" or "left"; None where there is none."""
    for kind, names in wanted(normalized(panel)):
        caption = take_apart(report, kind)
        if caption is None:
            continue
        chosen = frozenset(known for name in names for known in _known(name, caption.names()))
        if chosen:
            return _by_letters(report, caption, chosen) or (caption, chosen)
    return None


def panels_in_order(report: str, n_images: int) -> tuple[str, ...] | None:
    """Return the panel of each of the images that share a caption, in the order in which a figure shows them.

    None where the caption does not name exactly as many parts as there are images: then nothing says which is which.
    """
    for kind, spoken in _SHOWN_IN_ORDER.items():
        caption = take_apart(report, kind)
        if caption and n_images > 1 and len(caption.names()) == n_images:
            return tuple(spoken.format(name) for name in sorted(caption.names(), key=_in_figure))
    return None


def _by_letters(report: str, caption: Caption, chosen: frozenset[str]) -> tuple[Caption, frozenset[str]] | None:
    """Follow a legend such as "day 6 (C, D)" to what the caption says of C and D."""
    text = normalized(report)
    spans = [(part.start, part.end) for part in caption.parts if chosen & set(part.names)]
    lettered = take_apart(report, "letter")
    if caption.kind == "letter" or lettered is None or any(_names_a_lesion(text[start:end]) for start, end in spans):
        return None
    marks = find_marks(text, "letter")
    letters = {name for mark in marks for name in mark.names if any(s <= mark.start < e for s, e in spans)}
    return (lettered, frozenset(letters)) if letters else None


def _names_a_lesion(text: str) -> bool:
    return any(mention.code in (*LESIONS, ANY_LESION) for mention in find_mentions(text.replace("\n", " ")))


def _in_figure(name: str) -> tuple[int, str]:
    digits = name.rstrip("abcdefghijkl")
    return int(digits or 0), name[len(digits) :]


def _known(name: str, known: tuple[str, ...]) -> set[str]:
    """Return the names of a caption's parts that a wanted name means; a letter may stand for "1A" where no "2A" is."""
    if name.startswith("#"):  # the n-th part, whatever its letter
        return set(known[int(name[1:]) - 1 : int(name[1:])]) if name != "#0" else set()
    if not name[-1:].isalpha() or len(name) > len("12a"):
        return {name} & set(known)
    alike = {other for other in known if other[-1:] == name[-1:]}
    figures = {other[:-1] for other in alike if len(other) > 1}
    if len(name) == 1:
        return alike if len(figures) <= 1 else alike & {name}
    return alike & {name} or alike & {name[-1]}
