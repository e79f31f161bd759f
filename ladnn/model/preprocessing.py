"""How a canonical grey slice becomes the network's input: a frozen value that travels with the weights.

Resizing is done here, for training, evaluation and service alike. Normalisation is only described here: the network
and its exported graph take 8-bit grey and normalise inside, so that no caller can do it differently.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ladnn.errors import DatasetError

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class Preprocessing(BaseModel):
    """What a backbone expects of its input.

    Attributes:
        size_px: side of the square input.
        interpolation: filter of the resize; it is anti-aliased when shrinking.
        mean: subtracted from each of the three channels, in grey levels (0 to 255).
        std: each channel is then divided by it, in grey levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: int = Field(ge=32, le=2048)
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Resize a slice to the network's square; the aspect ratio is not kept, as in the authors' released code.

        Args:
            pixels: canonical grey slice, uint8 (H, W).

        Returns:
            uint8 (size_px, size_px); the same pixels give the same result everywhere.

        Raises:
            DatasetError: the slice is no 8-bit grey image of at least one pixel.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 2 or 0 in pixels.shape:
            raise DatasetError(
                f"preprocessing takes a uint8 (height, width) slice, not {pixels.dtype} {pixels.shape}; "
                "decode the image to 8-bit grey first"
            )
        image = Image.fromarray(np.ascontiguousarray(pixels))
        resized = image.resize((self.size_px, self.size_px), _RESAMPLING[self.interpolation])
        return np.array(resized, dtype=np.uint8)
