"""What a candidate is judged by: frozen values, gathered by `ladnn.registry`, which reads the store."""

from pydantic import BaseModel, ConfigDict, computed_field

from ladnn.dataset.shortcuts.acceptance import AuditAcceptance
from ladnn.dataset.shortcuts.audit import ShortcutAudit
from ladnn.evaluation.metrics import DiagnosisMetrics, LesionMetrics
from ladnn.governance.change_control import ChangeSheet
from ladnn.statistics import Interval


class _Evidence(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _less(ours: Interval | None, theirs: Interval | None) -> float | None:
    """Return the difference of two values; None where one is missing."""
    if ours is None or theirs is None or ours.value is None or theirs.value is None:
        return None
    return ours.value - theirs.value


class SliceDifference(_Evidence):
    """Candidate minus champion on the images that share a property.

    Attributes:
        name: property and value, such as `site=hospital-a`.
        auroc: paired difference; None where a class has too few patients.
        sensitivity: the same; None where too few patients are positive.
        specificity: the same; None where too few are negative.
    """

    name: str
    n_images: int
    n_patients: int
    auroc: Interval | None
    sensitivity: Interval | None
    specificity: Interval | None = None


class FlipCounts(_Evidence):
    """Images whose answer changes against the champion, each model at its own operating point.

    Attributes:
        n_images: that both answered.
        n_patients: with an image whose answer changes.
        gained: answers that become right.
        lost: answers that become wrong.
        unknown: answers that change where the diagnosis is unknown.
    """

    n_images: int
    n_patients: int
    gained: int
    lost: int
    unknown: int


class Retention(BaseModel):
    """AUROC of champion and candidate on the previous test version and on the new one: a 2 x 2 table.

    A column read down shows what the new model brought, a row read across what the new patients brought.

    Attributes:
        n_previous: images of the previous test version; None where it cannot be read.
        n_kept: those of them that the new test version holds, too.
        previous_version: test version of the champion's dataset version.
        new_version: that of the candidate's.
        difference: candidate minus champion on the previous version, paired.
        problem: why the previous version could not be measured; None where it was.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # what is computed is written, and computed anew when read

    previous_version: str | None
    new_version: str
    n_previous: int | None = None
    n_kept: int | None = None
    champion_previous: Interval | None = None
    champion_new: Interval | None = None
    candidate_previous: Interval | None = None
    candidate_new: Interval | None = None
    difference: Interval | None = None
    problem: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def brought_by_data(self) -> float | None:
        """What the new test patients change for the same model: the champion's AUROC on the new version less the previous."""
        return _less(self.champion_new, self.champion_previous)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def brought_by_model(self) -> float | None:
        """What the new model changes for the same patients: AUROC of the candidate less the champion's, on the new version."""
        return _less(self.candidate_new, self.champion_new)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def brought_by_model_previous(self) -> float | None:
        """The same on the previous version."""
        return _less(self.candidate_previous, self.champion_previous)


class LesionSanity(_Evidence):
    """Whether the candidate still knows lesions, and looks at them, as the champion does.

    Attributes:
        candidate_auroc: mean over the lesions with enough known labels; None where there is none.
        champion_auroc: the same.
        auroc_difference: candidate minus champion, paired.
        lesion_differences: the same of each lesion with enough known labels.
        candidate_energy: share of the attention maps' sum inside outlined lesions of phantoms; None where not measured.
        champion_energy: the same.
        energy_difference: candidate minus champion, on the same slices.
    """

    candidate_auroc: float | None
    champion_auroc: float | None
    auroc_difference: Interval | None
    lesion_differences: dict[str, Interval] = {}
    candidate_energy: float | None
    champion_energy: float | None
    energy_difference: Interval | None


class TestEvidence(_Evidence):
    """What one opening of the test set showed.

    Attributes:
        candidate: `None` where there is no test set.
        champion: the same for the champion.
        lesions: the candidate's lesion heads by code, on the images where the lesion is known.
        difference: AUROC of the candidate minus that of the champion, paired.
        sensitivity_difference: the same of the sensitivity, each at its own operating point.
        specificity_difference: the same of the specificity.
        slices: the same two by slice.
        flips: None where there is nothing to compare.
        retention: the same.
        sanity: the same.
        has_champion: whether anything has been promoted yet.
        champion_problem: why the champion cannot be rescored; None where it was, or where there is none.
        candidate_is_champion: whether both are the same model, of whichever retrain.
        openings: retrains that looked at a patient of this test-set version, this one included, on average.
        allowed: openings that persons allowed beyond the budget, counted alike.
        allowed_by: who allowed the last of them, and why.
        shut: why the test set was not opened, though there is one; None where it was, or where there is none.
    """

    __test__ = False

    candidate: DiagnosisMetrics | None
    champion: DiagnosisMetrics | None
    lesions: dict[str, LesionMetrics] | None = None
    difference: Interval | None
    sensitivity_difference: Interval | None = None
    specificity_difference: Interval | None = None
    slices: tuple[SliceDifference, ...] = ()
    flips: FlipCounts | None = None
    retention: Retention | None = None
    sanity: LesionSanity | None = None
    has_champion: bool
    champion_problem: str | None = None
    candidate_is_champion: bool
    openings: float
    allowed: float = 0.0
    allowed_by: str | None = None
    shut: str | None = None


class DataFacts(_Evidence):
    """What the data are to candidate and champion.

    Attributes:
        has_champion: whether anything has been promoted yet.
        n_new_patients: training patients that the champion's dataset version does not hold; all without a champion, None
            where that version cannot be read.
        n_candidate_leaks: images of the test part that share a patient, study or picture with the candidate's training.
        n_champion_leaks: the same with the champion's training; None where its dataset version cannot be read.
        n_images: of the dataset version.
        n_in_review: those with a label that waits for a person's look.
    """

    has_champion: bool = True
    n_new_patients: int | None
    n_candidate_leaks: int
    n_champion_leaks: int | None
    n_images: int
    n_in_review: int


class ServingFacts(_Evidence):
    """How the bundle does in an environment without torch.

    Attributes:
        problem: why it cannot be served; None where it can.
        latency_ms: time for one picture, decoding and preprocessing included: of `n_timed` runs the quickest, by the clock or
            by the time on processors, whichever is less, so that a busy machine is not held against the bundle.
        n_timed: pictures timed.
        size_bytes: of all its files.
    """

    problem: str | None
    latency_ms: float | None
    n_timed: int
    size_bytes: int


class Beforehand(_Evidence):
    """What a candidate is judged by before the test set is opened.

    Attributes:
        audit: shortcut audit of the dataset version that it was trained on.
        acceptance: a person's acceptance of that audit, given beforehand.
        changes: what differs from the champion, held against the declared envelope.
        withdrawn: that a person rolled this very model back, or may have, who and why; None where nobody did.
        data: None where it was not gathered.
        serving: the same.
    """

    audit: ShortcutAudit
    acceptance: AuditAcceptance | None
    changes: ChangeSheet
    withdrawn: str | None = None
    data: DataFacts | None = None
    serving: ServingFacts | None = None


class Evidence(Beforehand):
    """All that a candidate is judged by.

    Attributes:
        test: what the test set showed.
    """

    test: TestEvidence
