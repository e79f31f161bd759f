"""The vocabulary: one diagnosis and five lesions, their aliases, and what is known of a label and from where.

A label is 1 (present), 0 (absent) or unknown (`None` in objects, NaN in arrays). Unknown is never negative.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ladnn.errors import UnknownLabelError

DIAGNOSIS = "covid"

LESION_NAMES = {
    "GGO": "ground-glass opacity",
    "Csld": "consolidation",
    "CrPa": "crazy paving appearance",
    "AirBr": "air bronchograms",
    "InSepThi": "interlobular septal thickening",
}
"""Lesion code to its name in radiology (paper, section on lesions), in the order of the network's outputs."""

LESIONS = tuple(LESION_NAMES)
LABELS = (DIAGNOSIS, *LESIONS)
"""Order of the columns of every label matrix and of the network's outputs."""

_ALIASES = {
    "covid": DIAGNOSIS,
    "covid19": DIAGNOSIS,
    "ggo": "GGO",
    "groundglassopacity": "GGO",
    "csld": "Csld",
    "consolidation": "Csld",
    "crpa": "CrPa",
    "crazypaving": "CrPa",
    "crazypavingappearance": "CrPa",
    "airbr": "AirBr",
    "aibr": "AirBr",  # spelling of the authors' released training code
    "airbronchogram": "AirBr",
    "airbronchograms": "AirBr",
    "insepthi": "InSepThi",
    "insep": "InSepThi",  # spelling of the authors' released training code
    "interlobularseptalthickening": "InSepThi",
}


def label_code(name: str) -> str:
    """Return the one code of a label that goes by many spellings.

    Raises:
        UnknownLabelError: the name is no alias of a label; a silent drop would lose a training target.
    """
    key = "".join(character for character in name.casefold() if character.isalnum())
    if key not in _ALIASES:
        raise UnknownLabelError(f"unknown label {name!r}; known labels are {', '.join(LABELS)}")
    return _ALIASES[key]


class Label(BaseModel):
    """One label with its provenance.

    Attributes:
        value: 1 present, 0 absent, None where the source names it and leaves it open (kept for review).
        source: where it comes from; an override wins over an annotation, an annotation over the report.
        by: extractor name and version, or who annotated or overrode it.
        span: first and last+1 character of the match in the report; the text itself stays with the report.
        negated: the match is negated ("no consolidation").
        uncertain: the match is hedged ("possible consolidation").
        historical: it was there before ("has resolved", "previous consolidation").
        panel: the part of a caption in which it stands, such as "c, d".
        doubt: 0 (sure) to 1: how much a reviewer should look at it first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Literal[0, 1] | None
    source: Literal["report", "annotation", "override"]
    by: str
    span: tuple[int, int] | None = None
    negated: bool = False
    uncertain: bool = False
    historical: bool = False
    panel: str | None = None
    doubt: float = Field(default=0.0, ge=0.0, le=1.0)
