"""How variants are trained: the section `[training]` of an experiment."""

from typing import Annotated, Literal

from pydantic import Field

from ladnn.config_section import Section

Gamma = Annotated[float, Field(gt=0, le=10)]
"""A power of grey levels as a share of white; below 1 it brightens."""


class Augmentation(Section):
    """How far a training image is varied, at random; `enabled = false` shows it as it is."""

    enabled: bool = True
    scale: float = Field(default=0.2, ge=0, lt=1)
    """Largest relative change of the magnification (authors' released code)."""
    shear: float = Field(default=0.2, ge=0, lt=1.5)
    """Largest shear, in radians to either side (authors' released code)."""
    mirror: bool = True
    """Mirror half of the images left to right (authors' released code)."""
    rotation_deg: float = Field(default=10, ge=0, le=180)
    """Largest rotation to either side: a patient does not lie quite straight."""
    translation: float = Field(default=0.05, ge=0, le=1)
    """Largest shift, as a share of the image's side."""
    contrast: float = Field(default=0.2, ge=0, lt=1)
    """Largest relative change of the contrast about the mean grey: window settings differ between hospitals."""
    brightness: float = Field(default=0.1, ge=0, lt=1)
    """Largest change of the brightness, as a share of white."""
    gamma: float = Field(default=0.25, ge=0, lt=5)
    """Largest change of the natural logarithm of gamma."""


class TrainingConfig(Section):
    """How a variant is trained."""

    epochs: int = Field(default=12, ge=1, le=1000)
    """Passes over the training part."""
    batch_size: int = Field(default=32, ge=2, le=4096)
    """Images a step."""
    learning_rate: float = Field(default=1e-3, gt=0, lt=1)
    """Peak learning rate, reached after the warm-up."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """What follows the warm-up: half a cosine to zero, or the peak to the end."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Epochs of linear warm-up."""
    backbone_rate: float = Field(default=1.0, ge=0, le=1)
    """The backbone's learning rate as a share of the heads'."""
    frozen_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the convolutions in use, from the input on, that stay as ImageNet left them, with batch norm."""
    frozen_batch_norm: bool = False
    """Normalise by ImageNet's means and variances, not by each batch's; scales and shifts are learned. Not with random weights."""
    frozen_epochs: int = Field(default=0, ge=0)
    """First epochs in which only the heads learn: the backbone stays as it is, its batch-norm statistics too."""
    weight_decay: float = Field(default=1e-2, ge=0, lt=1)
    """Decoupled weight decay (AdamW) of the convolution and linear weights."""
    diagnosis_weight: float = Field(default=5.0, gt=0)
    """Weight of the diagnosis loss; 5 in the authors' released code."""
    lesion_weight: float = Field(default=1.0, gt=0)
    """Weight of the lesion loss; 1 in the authors' released code."""
    lesion_mask: Literal["unknown", "unnamed"] = "unknown"
    """`unknown` leaves unknown lesions out of the loss; `unnamed` also all lesions of images that name none, as the authors."""
    label_smoothing: float = Field(default=0.05, ge=0, lt=0.5)
    """Targets become smoothing/2 and 1 - smoothing/2."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Drop-out before the heads."""
    pooling: Literal["average", "statistics"] = "average"
    """What heads see: means of the last maps, or statistics, by regions of the canonical form, of maps from the middle on."""
    head_penalty: float = Field(default=0.03, gt=0)
    """Heads of statistics start as logistic regressions: half of this times their squared weights adds to their mean loss."""
    size_px: int | None = Field(default=None, ge=64, le=1024, multiple_of=32)
    """Side of the network's input; None takes that of its ImageNet training."""
    channel_gamma: tuple[Gamma, Gamma, Gamma] = Field(default=(1, 1, 1), strict=False)
    """Powers of the grey that red, green and blue show: (0.6, 1, 1.6) is a brighter, the plain and a darker tone of a slice."""
    canonical_form: bool = False
    """Show the network the lung field alone, in a standard frame and grey: less of a shortcut, and less of the picture."""
    weights: Literal["imagenet", "random"] = "imagenet"
    """What training begins with; `random` is only meant for tests of the machinery."""
    augmentation: Augmentation = Augmentation()
    """Random variations of the training images."""
    checkpoint_minutes: float = Field(default=10, gt=0)
    """Longest work that a killed training loses; a checkpoint is written at the end of each epoch, too."""
    processes: int | None = Field(default=None, ge=1, le=64)
    """Processes that share each batch; None takes one for each GPU of the machine, without a GPU a single one."""
    compile: bool = False
    """Let torch compile the network: minutes before the first step, then faster ones on recent GPUs."""
