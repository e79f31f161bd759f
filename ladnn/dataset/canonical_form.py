"""The canonical form: a slice without what carries no anatomy, as the network sees it in training and in service.

File format, size, aspect ratio, margins, frames, letters outside the lungs, window settings and most traces of
compression and resampling differ between sources, and with the sources the diagnosis. Usage:
`Framing(size_px=224, interpolation="bicubic", form=CanonicalForm()).apply(pixels)`.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ladnn.dataset.lung_field import WORK_PX, Box, bounds, content_box, find_anatomy, lung_field

Pixels = NDArray[np.uint8]

_Cell = TypeVar("_Cell", np.uint8, np.bool_)
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_LEAST_CONTRAST = 8.0
"""Grey levels between air and tissue below which contrast is not raised further."""


class CanonicalForm(BaseModel):
    """What is kept of a slice.

    Attributes:
        revision: of the method; raised when the same pixels would give another result.
        detail_px: side at which the lung field is sampled before it is brought to the network's size; a low-pass that
            all pictures share, whatever they were resampled from.
        margin_px: by which the lung field is widened, in pixels of a picture of 256.
        air_grey: grey level of the darkest tenth of the lungs.
        tissue_grey: grey level of soft tissue in the lung field; what is brighter is cut off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: Literal[1] = 1
    detail_px: int = Field(default=192, ge=32, le=2048)
    margin_px: int = Field(default=4, ge=0, le=64)
    air_grey: int = Field(default=32, ge=0, le=254)
    tissue_grey: int = Field(default=224, ge=1, le=255)

    def apply(self, pixels: Pixels, size_px: int, interpolation: Literal["bicubic", "bilinear"]) -> Pixels:
        """Return the lung field of a slice as a square, uint8 (size_px, size_px); outside the field it is all tissue."""
        view = locate(pixels, self.margin_px)
        detailed = stretch(pixels, self.detail_px, interpolation, view.box)
        grey = standardise_grey(detailed, view, self.air_grey, self.tissue_grey)
        return mask_field(stretch(grey, size_px, interpolation), view, self.tissue_grey)


class Framing(BaseModel):
    """How a slice of any size becomes a square.

    Attributes:
        size_px: side of the square.
        interpolation: filter of the resize; it is anti-aliased when shrinking.
        form: what is kept of the slice; `None` stretches the whole slice, as the authors' released code does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: int = Field(ge=32, le=2048)
    interpolation: Literal["bicubic", "bilinear"]
    form: CanonicalForm | None = None

    def apply(self, pixels: Pixels) -> Pixels:
        """Return uint8 (size_px, size_px) of a uint8 (H, W) slice; the same pixels give the same result everywhere."""
        if self.form is None:
            return stretch(pixels, self.size_px, self.interpolation)
        return self.form.apply(pixels, self.size_px, self.interpolation)


@dataclass(frozen=True, slots=True)
class View:
    """The part of a slice that is kept.

    Attributes:
        box: left, top, right and bottom of the part in pixels of the slice.
        field: lung field within the part, bool (h, w) at the small scale it was found at.
        lungs: lungs within the part, the same way.
        has_lungs: whether the lungs are large enough to trust; else the field is the body's.
    """

    box: tuple[float, float, float, float]
    field: NDArray[np.bool_]
    lungs: NDArray[np.bool_]
    has_lungs: bool


def locate(pixels: Pixels, margin_px: int) -> View:
    """Find the lung field of a uint8 (H, W) slice."""
    small = stretch(pixels, WORK_PX, "bilinear")  # square, so that the aspect ratio changes nothing
    content = content_box(small)
    anatomy = find_anatomy(_part(small, content))
    field = lung_field(anatomy, margin_px)
    inner = bounds(field)
    scale_x, scale_y = pixels.shape[1] / WORK_PX, pixels.shape[0] / WORK_PX
    left, top = content[0] + inner[0], content[1] + inner[1]
    right, bottom = content[0] + inner[2], content[1] + inner[3]
    return View(
        box=(left * scale_x, top * scale_y, right * scale_x, bottom * scale_y),
        field=_part(field, inner),
        lungs=_part(anatomy.lungs, inner),
        has_lungs=anatomy.has_lungs,
    )


def stretch(
    pixels: Pixels,
    size_px: int,
    interpolation: Literal["bicubic", "bilinear"],
    box: tuple[float, float, float, float] | None = None,
) -> Pixels:
    """Resize a slice, or a part of it, to uint8 (size_px, size_px); the aspect ratio is not kept."""
    resized = _image(pixels).resize((size_px, size_px), _RESAMPLING[interpolation], box=box)
    return np.array(resized, dtype=np.uint8)


def standardise_grey(pixels: Pixels, view: View, air_grey: int, tissue_grey: int) -> Pixels:
    """Map lung air and soft tissue to fixed grey levels, linearly between, and cut off what is brighter.

    Lung air is the darkest tenth of the lungs, which disease reaches last, tissue the median of the field around
    them. Without lungs they are the tenth and the ninetieth percentile of the field.

    Args:
        pixels: uint8 (S, S) of the part that the view describes.
        view: what `locate` found.
        air_grey: grey level that air gets.
        tissue_grey: grey level that tissue gets.
    """
    field, lungs = _square(view.field, len(pixels)), _square(view.lungs, len(pixels))
    around = field & ~lungs
    if view.has_lungs and lungs.any() and around.any():
        air, tissue = float(np.percentile(pixels[lungs], 10)), float(np.median(pixels[around]))
    else:
        air, tissue = (float(level) for level in np.percentile(pixels[field] if field.any() else pixels, (10, 90)))
    gain = (tissue_grey - air_grey) / max(tissue - air, _LEAST_CONTRAST)
    grey: Pixels = np.clip(np.rint(air_grey + (pixels - air) * gain), 0, tissue_grey).astype(np.uint8)
    return grey


def mask_field(pixels: Pixels, view: View, grey: int) -> Pixels:
    """Give uint8 (S, S) pixels outside the lung field one grey level.

    Tissue's is best: the field ends in the chest wall, so that neither an edge nor the field's outline appears.
    """
    return np.where(_square(view.field, len(pixels)), pixels, grey).astype(np.uint8)


def blacken_lungs(pixels: Pixels) -> Pixels:
    """Make the lung field of a uint8 (S, S) slice black, so that what is left shows no lung disease."""
    small = stretch(pixels, len(pixels) // 2, "bilinear")
    field = lung_field(find_anatomy(small), len(small) // 40)
    return np.where(_square(field, len(pixels)), 0, pixels).astype(np.uint8)


def _part(pixels: NDArray[_Cell], box: Box) -> NDArray[_Cell]:
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))


def _square(mask: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    return np.asarray(stretch(mask.astype(np.uint8) * 255, size_px, "bilinear") > 127, dtype=np.bool_)
