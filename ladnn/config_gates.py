"""Limits of the gates, set before anything is measured."""

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from ladnn.config_section import Section

Dimension = Literal["source", "site", "sex", "age"]
"""A property that slices images."""


class GateConfig(Section):
    """Limits that a candidate must hold on the test set."""

    min_test_patients: int = Field(default=3, ge=2)
    """Test patients with and without the disease, below which a floor shows nothing and a person decides."""
    min_auroc: float = Field(default=0.75, ge=0.5, le=1)
    """Absolute floor of the diagnosis AUROC."""
    min_sensitivity: float = Field(default=0.6, ge=0, le=1)
    """Absolute floor of the sensitivity at the operating point."""
    min_specificity: float = Field(default=0.2, ge=0, le=1)
    """Absolute floor of the specificity at the operating point; 0.2 only stops a model that calls nearly all positive."""
    max_calibration_error: float = Field(default=0.2, gt=0, le=1)
    """Expected calibration error that the lower confidence bound may not exceed; plain values are too high on few images."""
    min_lesion_auroc: float = Field(default=0.5, ge=0, le=1)
    """AUROC that the upper confidence bound of each lesion must reach; 0.5 is chance."""
    min_lesion_images: int = Field(default=5, ge=1)
    """Images with and without a lesion, by known labels, below which its AUROC says more of chance than of the model."""
    non_inferiority_margin: float = Field(default=0.05, gt=0, lt=0.5)
    """How much AUROC the candidate may lose to the champion at the lower confidence bound."""
    sensitivity_margin: float = Field(default=0.10, gt=0, lt=0.5)
    """How much sensitivity the candidate may lose to the champion at the lower confidence bound."""
    specificity_margin: float = Field(default=0.10, gt=0, lt=0.5)
    """How much specificity the candidate may lose to the champion at the lower confidence bound."""
    slice_margin: float = Field(default=0.10, gt=0, lt=0.5)
    """Loss of AUROC, sensitivity or specificity to the champion that rejects where a slice is shown to be worse."""
    slices: tuple[Dimension, ...] = Field(default=("source", "site", "sex", "age"), strict=False)
    """Properties whose slices are compared with the champion."""
    required_slices: tuple[str, ...] = Field(default=(), strict=False)
    """Slices, such as `site=hospital-a`, whose AUROC, sensitivity and specificity must all be compared, or a person decides."""
    max_flipped: float = Field(default=0.5, gt=0, le=1)
    """Share of test images whose answer changes against the champion, above which a person decides."""
    max_lesion_loss: float = Field(default=0.10, gt=0, lt=0.5)
    """Loss of the lesions' mean AUROC to the champion that counts as a collapse, where it is shown."""
    max_single_lesion_loss: float = Field(default=0.20, gt=0, lt=1)
    """The same for the AUROC of any one lesion."""
    max_attention_loss: float = Field(default=0.5, gt=0, lt=1)
    """Share of the champion's attention inside outlined lesions that may be lost before it counts as a collapse."""
    n_attention_phantoms: int = Field(default=12, ge=0, le=200)
    """Phantom patients on which attention is measured; 0 leaves it out."""
    min_new_patients: int = Field(default=0, ge=0)
    """Training patients that the champion has not seen, below which the candidate is rejected; 0 allows a new recipe."""
    max_review_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the version's images with a label that waits for review, above which a person decides."""
    max_latency_ms: float = Field(default=2000, gt=0)
    """Time for one picture in the serving environment, on a CPU: of several runs the quickest."""
    max_bundle_megabytes: float = Field(default=600, gt=0)
    """Size of all files of the bundle."""
    max_test_openings: int = Field(default=20, ge=1)
    """Openings of one test-set version, after which it stays shut until it grows or a person allows more by name."""

    @field_validator("required_slices")
    @classmethod
    def _check_required(cls, required: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in required if name.partition("=")[0] not in get_args(Dimension) or "=" not in name]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: write property=value, with one of {', '.join(get_args(Dimension))}")
        return required

    @model_validator(mode="after")
    def _check_compared(self) -> "GateConfig":
        left_out = [name for name in self.required_slices if name.partition("=")[0] not in self.slices]
        if left_out:
            raise ValueError(
                f"required_slices names {', '.join(left_out)}, but slices has {', '.join(self.slices) or 'nothing'}: a "
                "slice that is never compared would hold every candidate; add its property to slices"
            )
        return self
