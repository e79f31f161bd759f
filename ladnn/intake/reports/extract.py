"""Reads a report: the diagnosis and the lesions it states, each with where and how sure, for one image of it.

Usage: `read_report("No consolidation; patchy GGO.")["GGO"].value == 1`. What a report does not mention is not in the
result; what it leaves open stands there with the value None.
"""

from dataclasses import dataclass
from typing import Literal

from ladnn.intake.reports.caption import Caption, take_apart
from ladnn.intake.reports.context import Meaning, Reading, read_sentence
from ladnn.intake.reports.marks import Kind
from ladnn.intake.reports.panels import panel_of
from ladnn.intake.reports.sentences import normalized, sentences
from ladnn.intake.reports.vocabulary import ANY_LESION, find_mentions
from ladnn.labels import DIAGNOSIS, Label

EXTRACTOR = "context-rules/3"
"""Name and version; a change of wording rules is a new version."""
MAX_CHARACTERS = 20_000
"""What is read of a report; a longer one is no caption and no finding stands that late in a report of a study."""
_MANY_IMAGES = 3
"""Air bronchograms follow single bronchi, so what is said of this many images at once is not known of each."""

_DOUBT_OF_UNNAMED = 0.5
_UNASKED: tuple[Kind, ...] = ("letter", "ordinal")

_VALUES: dict[Meaning, Literal[0, 1] | None] = {
    "present": 1,
    "denied": 0,
    "resolved": 0,
    "doubtful": None,
    "past": None,
    "elsewhere": None,
}
_WEIGHT: dict[Meaning, int] = {"present": 4, "denied": 3, "resolved": 3, "doubtful": 2, "past": 1, "elsewhere": 0}


@dataclass(frozen=True, slots=True)
class _Found:
    """A reading and the part of the caption in which it stands; None is text shared by all."""

    reading: Reading
    part: tuple[str, ...] | None


def read_report(report: str, panel: str | None = None) -> dict[str, Label]:
    """Return the labels that a report states of one image; labels it does not mention are not in the result.

    Args:
        report: free text; no more than the first 20,000 characters are read.
        panel: the part of the caption that the image is, as its contributor names it ("B", "day 11", "patient 3").
            Without it, a lesion of a lettered caption is present if at least half of the parts state it.
    """
    text = report[:MAX_CHARACTERS]
    chosen = panel_of(text, panel) if panel and panel.strip() else None
    caption = chosen[0] if chosen else _lettered(text)
    described = caption.described(text) if caption else ()
    by_code: dict[str, list[_Found]] = {}
    for reading in _readings(text):
        owners = caption.owners(reading.mention.start) if caption else None
        by_code.setdefault(reading.mention.code, []).append(_Found(reading, owners))
    unnamed = by_code.pop(ANY_LESION, [])
    labels: dict[str, Label] = {}
    for code, found in by_code.items():
        label = _of_panel(found, unnamed, chosen[1]) if chosen else _of_all(found, described)
        if label:
            labels[code] = label if chosen or not (panel and panel.strip()) else _less_sure(label)
    return labels


def diagnosis_status(label: Label | None) -> Literal["confirmed", "suspected", "negative", "unknown"]:
    """Return what is known of the diagnosis; a disease named only as circumstance leaves it unknown."""
    if label is None:
        return "unknown"
    if label.value is None:
        return "suspected" if label.uncertain else "unknown"
    return "confirmed" if label.value else "negative"


def _readings(text: str) -> list[Reading]:
    lines = normalized(text)
    clean = lines.replace("\n", " ")
    mentions = find_mentions(clean)
    readings: list[Reading] = []
    position = 0
    for start, end in sentences(lines):
        inside = []
        while position < len(mentions) and mentions[position].start < end:
            if mentions[position].start >= start:
                inside.append(mentions[position])
            position += 1
        named = [mention for mention in inside if mention.code != ANY_LESION]
        if named:
            readings += read_sentence(clean[start:end], start, named)
        if len(named) < len(inside):
            every = read_sentence(clean[start:end], start, inside)
            readings += [reading for reading in every if reading.mention.code == ANY_LESION]
    return readings


def _lettered(text: str) -> Caption | None:
    """Take a caption apart of which nobody said which part is meant; the finest partition counts."""
    captions = [caption for kind in _UNASKED if (caption := take_apart(text, kind))]
    return max(captions, key=lambda caption: len(caption.names()), default=None)


def _of_panel(found: list[_Found], unnamed: list[_Found], names: frozenset[str]) -> Label | None:
    """Judge one label by the part, and by the shared text where the part does not mention it.

    Where the part says only that the lesions are gone, those that the other parts name are absent.
    """
    own = [item for item in found if item.part and names & set(item.part)]
    shared = [item for item in found if item.part is None]
    gone = [u for u in unnamed if u.part and names & set(u.part) and u.reading.meaning in ("resolved", "denied")]
    if own:
        return _label(own)
    if gone and found[0].reading.mention.code != DIAGNOSIS:
        return _label(gone).model_copy(update={"doubt": _DOUBT_OF_UNNAMED})
    return _label(shared) if shared else None


def _of_all(found: list[_Found], described: tuple[str, ...]) -> Label:
    """Judge one label of a caption of which nobody said which part is meant: at least half of the parts must state it."""
    best = _label(found)
    present = [item.part for item in found if item.reading.meaning == "present"]
    if best.value != 1 or None in present:
        return best
    stating = {name for part in present for name in part or ()}
    if len(stating) >= len(described):
        return best
    if 2 * len(stating) >= len(described):
        return best.model_copy(update={"doubt": max(best.doubt, 0.5)})
    return best.model_copy(update={"value": None, "uncertain": True, "doubt": 0.9})


def _label(found: list[_Found]) -> Label:
    """Present beats absent, absent beats doubtful; among equals the first mention stays."""
    best = max(found, key=lambda item: (_WEIGHT[item.reading.meaning], -item.reading.mention.start))
    meaning, mention = best.reading.meaning, best.reading.mention
    joint = meaning == "present" and mention.code == "AirBr" and len(best.part or ()) >= _MANY_IMAGES
    value = None if joint else _VALUES[meaning]
    disputed = {_VALUES[item.reading.meaning] for item in found} >= {0, 1}
    doubt = 0.9 if joint else max(best.reading.doubt, 0.6 if disputed else 0.0)
    return Label(
        value=value,
        source="report",
        by=EXTRACTOR,
        span=(mention.start, mention.end),
        negated=meaning == "denied",
        uncertain=meaning == "doubtful" or joint,
        historical=meaning in ("resolved", "past"),
        panel=", ".join(best.part) if best.part else None,
        doubt=doubt,
    )


def _less_sure(label: Label) -> Label:
    """The named part was not found, so that the whole caption was read."""
    return label.model_copy(update={"doubt": max(label.doubt, 0.5)})
