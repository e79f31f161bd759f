"""How a canonical grey slice becomes the network's input: a frozen value that travels with the weights.

Framing is done here, for training, evaluation and service alike. Normalisation is only described here: the network
and its exported graph take 8-bit grey and normalise inside, so that no caller can do it differently.
"""

import numpy as np
import numpy.typing as npt

from ladnn.config_training import Gamma
from ladnn.dataset.canonical_form import CanonicalForm, Framing
from ladnn.errors import DatasetError


class Preprocessing(Framing):
    """What a backbone expects of its input.

    Attributes:
        mean: subtracted from each of the three channels, in grey levels (0 to 255).
        std: each channel is then divided by it, in grey levels.
        gamma: power of the grey, as a share of white, that each channel shows before: a brighter and a darker tone of the
            same slice in place of three equal channels.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    gamma: tuple[Gamma, Gamma, Gamma] = (1, 1, 1)

    def tones(self) -> npt.NDArray[np.float32]:
        """Return what the network sees of each grey level, float32 (256, 3)."""
        grey = np.arange(256)[:, None] / 255
        shown: npt.NDArray[np.float64] = (255 * grey ** np.array(self.gamma) - self.mean) / self.std
        return shown.astype(np.float32)

    def air_and_tissue(self) -> tuple[int, int]:
        """Return the grey levels of lung air and soft tissue; without a form, which alone sets them, those it would set."""
        form = self.form or CanonicalForm()
        return form.air_grey, form.tissue_grey

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Bring a slice to the network's square.

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
        return super().apply(pixels)
