"""What an experiment is: frozen values, checked all at once.

Owns the defaults of every experiment value; `ladnn.config_file` reads them. Where ladnn runs (stores, servers, keys) is
in `ladnn.settings`.
"""

import hashlib
from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ladnn.config_gates import GateConfig
from ladnn.config_monitoring import DriftConfig, TriggerConfig
from ladnn.config_section import Section
from ladnn.config_training import TrainingConfig
from ladnn.envelope import Envelope, flat_values
from ladnn.errors import ConfigError


class Variant(Section):
    """A backbone with its task."""

    backbone: str
    """Name of an entry of `ladnn.model.backbones`."""
    task: Literal["ladnn", "baseline"]
    """`ladnn` trains diagnosis and lesions together, `baseline` the diagnosis alone."""
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    """Seed of its own; None takes that of the experiment."""

    @property
    def group(self) -> str:
        """What it shares with the same training by other seeds."""
        return f"{self.backbone}-{self.task}"

    @property
    def name(self) -> str:
        """Name used for the run, the job and the store's keys."""
        return self.group if self.seed is None else f"{self.group}-seed{self.seed}"


class Cut(Section):
    """Contributions of a span of days; a side that is None is open."""

    after: date | None = Field(default=None, strict=False)
    """Contributed later than this day (UTC)."""
    until: date | None = Field(default=None, strict=False)
    """Contributed on this day (UTC) at the latest."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.after and self.until and self.after >= self.until:
            raise ValueError(f"after {self.after} and until {self.until} leave no day between them")
        return self

    def holds(self, day: date) -> bool:
        """Tell whether a contribution of this day belongs to the cut."""
        return (self.after is None or day > self.after) and (self.until is None or day <= self.until)


_D0_ENDS = date(2020, 3, 31)
"""He et al. published their collection on 30 March 2020 (arXiv:2003.13865v1)."""
_D1_ENDS = date(2020, 5, 21)
"""Last day of the authors' own collection (paper, section on data)."""
CUTS = {"D0": Cut(until=_D0_ENDS), "D0+D1": Cut(until=_D1_ENDS), "D1": Cut(after=_D0_ENDS, until=_D1_ENDS)}
"""The cuts of the paper, by contribution date; they are always known."""


class DataConfig(Section):
    """Which records enter a dataset version."""

    synthetic: bool = False
    """True: phantoms only; false: real contributions only. The two never mix."""
    cut: str | None = None
    """Name of the cut that is frozen; None takes every contribution."""
    cuts: dict[str, Cut] = CUTS
    """Cuts by name, added to those of the paper or in their place: `[data.cuts.june]`, `until = 2020-06-30`."""

    @field_validator("cuts")
    @classmethod
    def _add_known_cuts(cls, cuts: dict[str, Cut]) -> dict[str, Cut]:
        return dict(sorted((CUTS | cuts).items()))

    @model_validator(mode="after")
    def _check_cut(self) -> Self:
        if self.cut is not None and self.cut not in self.cuts:
            raise ValueError(self._no_cut(self.cut))
        return self

    def of_cut(self, name: str) -> "DataConfig":
        """Return the same data, of another cut.

        Raises:
            ConfigError: no cut has this name.
        """
        if name not in self.cuts:
            raise ConfigError(self._no_cut(name))
        return self.model_copy(update={"cut": name})

    def _no_cut(self, name: str) -> str:
        return f"there is no cut {name!r}; known cuts are {', '.join(sorted(self.cuts))}"


class EvaluationConfig(Section):
    """How metrics and their intervals are computed."""

    target_sensitivity: float = Field(default=0.9, gt=0, lt=1)
    """Sensitivity that the operating point reaches on validation."""
    n_bootstrap: int = Field(default=1000, ge=100, le=100_000)
    """Bootstrap replicates, over patients."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Two-sided coverage of every interval."""
    min_slice_patients: int = Field(default=5, ge=1)
    """Patients of each class that a slice needs for a metric, and a paired difference for a value; with fewer it is
    reported as not enough cases."""


Policy = Literal["automatic", "approval"]


class PromotionConfig(Section):
    """Who promotes a candidate that no gate rejects."""

    policy: Policy = "automatic"
    """`automatic` promotes what passed every gate; `approval` leaves that, too, to a person."""
    approval_hours: float = Field(default=168, gt=0, le=8760)
    """How long a person may take to answer; after that the candidate has expired."""


class ProbeLimits(Section):
    """Limits of one shortcut probe, held against the bounds of its AUROC."""

    amber: float = Field(default=0.60, gt=0.5, lt=1)
    """AUROC that a noticeable shortcut reaches."""
    red: float = Field(default=0.75, gt=0.5, lt=1)
    """AUROC that a shortcut reaches on which nothing is promoted without a person."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.amber >= self.red:
            raise ValueError(f"amber {self.amber} must lie below red {self.red}")
        return self


class AuditConfig(Section):
    """How well the diagnosis may be predicted without the disease."""

    n_folds: int = Field(default=5, ge=2, le=20)
    """Parts of the cross-validation; patients stay whole."""
    max_images: int = Field(default=5000, ge=10)
    """Images looked at; of a larger version a random sample of patients."""
    file_properties: ProbeLimits = ProbeLimits()
    """Size, format and acquisition of the files."""
    borders: ProbeLimits = ProbeLimits()
    """The pictures' outer edges."""
    outside_lungs: ProbeLimits = ProbeLimits()
    """The pictures with the lungs blacked out."""
    intensity: ProbeLimits = ProbeLimits(amber=0.75, red=0.90)
    """Grey levels and sharpness of whole pictures; wider, because lung disease moves them, too."""


_NO_METHOD = {"seed", "n_seeds", "variants", "envelope", "promotion", "drift", "triggers"}


class ExperimentConfig(Section):
    """One experiment: what is trained on what, and what it must reach."""

    seed: int = Field(default=2020, ge=0, lt=2**32)
    """Seed of every random choice of the retrain."""
    n_seeds: int = Field(default=1, ge=1, le=100)
    """How often each variant is trained, by the seeds `seed`, `seed + 1` and so on; one seed tells nothing of chance."""
    variants: tuple[Variant, ...] = Field(min_length=1, strict=False)
    """Trained in this order; `ladnn` variants compete, `baseline` variants are their controls."""
    data: DataConfig = DataConfig()
    audit: AuditConfig = AuditConfig()
    """Limits of the shortcut audit of the data."""
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gates: GateConfig = GateConfig()
    promotion: PromotionConfig = PromotionConfig()
    """Who promotes."""
    drift: DriftConfig = DriftConfig()
    """When new images count as other than those that the champion learned from."""
    triggers: TriggerConfig = TriggerConfig()
    """What sets off a retrain."""
    envelope: Envelope = Envelope()
    """What may change against the champion without a person."""

    @model_validator(mode="after")
    def _check_envelope(self) -> Self:
        numbers = {name for name, value in self.method().items() if type(value) in (int, float)}
        unknown = sorted(self.envelope.ranges.keys() - numbers)
        if unknown:
            raise ValueError(
                f"envelope.ranges: these are no numbers that are compared with the champion: {', '.join(unknown)}"
            )
        return self

    @field_validator("variants")
    @classmethod
    def _check_variants(cls, variants: tuple[Variant, ...], info: ValidationInfo) -> tuple[Variant, ...]:
        names = [variant.name for variant in variants]
        repeated = sorted({name for name in names if names.count(name) > 1})
        problems = [f"named twice: {', '.join(repeated)}"] if repeated else []
        if not any(variant.task == "ladnn" for variant in variants):
            problems.append("none has task 'ladnn'; a baseline has no lesion head and cannot be promoted")
        if problems:
            raise ValueError("; ".join(problems))
        return _by_seeds(variants, info.data.get("seed", 0), info.data.get("n_seeds", 1))

    def seed_of(self, variant: Variant) -> int:
        """Return the seed that a variant is trained with."""
        return self.seed if variant.seed is None else variant.seed

    def method(self) -> dict[str, Any]:
        """Return by dotted name how a model is made and measured: what the declared envelope gives ranges of.

        Left out are what it compares otherwise (variants, itself), repetitions of the same method (seeds), and what is
        not about the model (promotion, drift, triggers).
        """
        return dict(flat_values(self.model_dump(mode="json", exclude=_NO_METHOD)))

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved values that make a retrain what it is, hexadecimal: not of what watches or sets it off."""
        return hashlib.sha256(self.model_dump_json(exclude={"drift", "triggers"}).encode()).hexdigest()


def _by_seeds(variants: tuple[Variant, ...], seed: int, n_seeds: int) -> tuple[Variant, ...]:
    """Put each variant's other seeds behind it; the first has none of its own. Variants that are there stay."""
    expanded: list[Variant] = []
    for variant in variants:
        others = () if variant.seed is not None else range(seed + 1, seed + n_seeds)
        wanted = [variant, *(variant.model_copy(update={"seed": other % 2**32}) for other in others)]
        expanded += [item for item in wanted if item not in expanded]
    return tuple(expanded)
