"""What a model said of each image: kept with its retrain, so that curves can be drawn without running it again.

Images go by their digests; patients and labels stay in the manifest, where they are looked up.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ladnn.errors import DatasetError
from ladnn.evaluation.calibration import Calibration
from ladnn.retrain import keep, read
from ladnn.store import ObjectStore

TEST_CANDIDATE, TEST_CHAMPION = "test_scores_candidate", "test_scores_champion"


class Scored(BaseModel):
    """Logits of images, and what makes probabilities of them.

    Attributes:
        images: digests of the images, in the order of the manifest.
        logits: of each image, in the order of `LABELS`; one for a baseline. None where it was NaN or infinite.
        calibration: of the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: tuple[str, ...]
    logits: tuple[tuple[float | None, ...], ...]
    calibration: Calibration

    @classmethod
    def of(cls, rows: pd.DataFrame, logits: NDArray[np.floating], calibration: Calibration) -> "Scored":
        """Join manifest rows (N) with their logits (N, 6 or 1)."""
        finite = [tuple(value if math.isfinite(value) else None for value in row) for row in logits.tolist()]
        return cls(images=tuple(rows["image"]), logits=tuple(finite), calibration=calibration)

    def logits_of(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the logits, float64 (N, 6 or 1), of manifest rows (N); NaN where they were not finite.

        Raises:
            DatasetError: they are of other images.
        """
        if tuple(rows["image"]) != self.images:
            raise DatasetError(
                f"kept scores are of {len(self.images)} other images than the {len(rows)} of this part; "
                "name the retrain's own dataset version"
            )
        return np.array(self.logits, dtype=np.float64).reshape(len(self.images), -1)

    def probabilities_of(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return calibrated probabilities, float64 (N, 6 or 1), of manifest rows (N).

        Raises:
            DatasetError: the scores are of other images.
        """
        return self.calibration.probabilities(self.logits_of(rows))


def validation_scores(variant_name: str) -> str:
    """Name of the document of a variant's scores on validation."""
    return f"variants/{variant_name}/validation_scores"


def keep_scored(store: ObjectStore, retrain_id: str, name: str, scored: Scored) -> None:
    """Keep scores with their retrain; the first that were kept stay."""
    keep(store, retrain_id, name, scored.model_dump(mode="json"))


def read_scored(store: ObjectStore, retrain_id: str, name: str) -> Scored | None:
    """Read scores that were kept; None where there are none."""
    document = read(store, retrain_id, name)
    return None if document is None else Scored.model_validate(document)
