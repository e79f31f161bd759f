"""What a candidate is judged by: frozen values, gathered by `ladnn.registry`, which reads the store."""

from pydantic import BaseModel, ConfigDict

from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import ShortcutAudit
from ladnn.evaluation.metrics import DiagnosisMetrics, LesionMetrics
from ladnn.statistics import Interval


class TestEvidence(BaseModel):
    """What one opening of the test set showed.

    Attributes:
        candidate: `None` where there is no test set.
        champion: the same for the champion.
        lesions: the candidate's lesion heads by code, on the images where the lesion is known.
        difference: AUROC of the candidate minus that of the champion, paired.
        sensitivity_difference: the same of the sensitivity, each at its own operating point.
        has_champion: whether anything has been promoted yet.
        champion_problem: why the champion cannot be rescored; None where it was, or where there is none.
        candidate_is_champion: whether both are the same bundle.
        openings: of this test-set version so far, this one included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: DiagnosisMetrics | None
    champion: DiagnosisMetrics | None
    lesions: dict[str, LesionMetrics] | None = None
    difference: Interval | None
    sensitivity_difference: Interval | None = None
    has_champion: bool
    champion_problem: str | None = None
    candidate_is_champion: bool
    openings: int


class Evidence(BaseModel):
    """All that a candidate is judged by.

    Attributes:
        test: what the test set showed.
        audit: shortcut audit of the dataset version that it was trained on.
        acceptance: a person's acceptance of that audit, given beforehand.
        withdrawn: who rolled this very model back, and why; None where nobody did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: TestEvidence
    audit: ShortcutAudit
    acceptance: AuditAcceptance | None
    withdrawn: str | None = None
