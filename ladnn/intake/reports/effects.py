"""Names what a phrase near a finding does to what the finding means."""

from enum import Enum, auto

FINDING = "\u25a0"
"""Stands for every character of a finding's name while its sentence is judged."""


class Effect(Enum):
    """What a phrase does to the findings that it reaches, and on which side of it they stand."""

    INERT = auto()
    """Looks like another phrase and does nothing ("no change in", "partly absorbed")."""
    STOP = auto()
    """Ends the reach of what stands before it."""
    DENIES_NEXT = auto()
    DENIES_PREVIOUS = auto()
    DOUBTS_NEXT = auto()
    DOUBTS_PREVIOUS = auto()
    DOUBTS_BOTH = auto()
    ALTERNATIVE_BOTH = auto()
    """Another explanation beside the finding: in doubt, unless both are denied."""
    LIKENS_NEXT = auto()
    """An appearance is likened to the disease; that is no diagnosis, while it names a lesion well enough."""
    RESOLVES_NEXT = auto()
    RESOLVES_PREVIOUS = auto()
    REPLACES_PREVIOUS = auto()
    """The finding before has become the finding after."""
    PAST_NEXT = auto()
    PAST_PREVIOUS = auto()
    ELSEWHERE_NEXT = auto()
    """The disease is named as a circumstance, or as somebody else's."""
    ELSEWHERE_PREVIOUS = auto()
    TESTED_NEXT = auto()
    """The disease is looked for; only a result says more."""

    @property
    def faces_next(self) -> bool:
        """Whether it acts on findings behind the phrase."""
        return self.name.endswith(("_NEXT", "_BOTH"))

    @property
    def faces_previous(self) -> bool:
        """Whether it acts on findings before the phrase."""
        return self.name.endswith(("_PREVIOUS", "_BOTH"))
