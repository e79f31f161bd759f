"""The predictor: the promoted bundle, applied to image files as a service receives them."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ladnn.errors import BundleError
from ladnn.intake.canonical import CanonicalImage
from ladnn.intake.decode import decode
from ladnn.labels import LESIONS
from ladnn.progress import say
from ladnn.registry.bundle import Bundle, load_bundle
from ladnn.registry.looks import Looks, look
from ladnn.registry.promotion import answering_champion
from ladnn.registry.rollback import whole_one
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


class Prediction(BaseModel):
    """What the model says of one image."""

    model_config = ConfigDict(frozen=True)

    probability: float
    """Probability of COVID-19, 0 to 1."""
    decision: str
    """"positive" at or above the operating point, else "negative"."""
    lesions: dict[str, float]
    """Probability of each lesion by code, 0 to 1."""
    model_version: str


class Predictor:
    """A loaded model; safe to use from several threads."""

    def __init__(self, bundle: Bundle, model_version: str) -> None:
        self.bundle, self.model_version = bundle, model_version

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        """Score PNG or JPEG files.

        Raises:
            ImageRejectedError: one of them cannot be decoded.
        """
        if not images:
            return []
        resize = self.bundle.manifest.preprocessing
        pixels = np.stack([resize.apply(decode(data).pixels) for data in images])
        return [self._prediction(row) for row in self.bundle.probabilities(pixels).tolist()]

    def predict_and_look(self, image: bytes) -> tuple[Prediction, CanonicalImage, Looks]:
        """Score one file, and return it decoded with what was seen in it, for the log of the service.

        Raises:
            ImageRejectedError: it cannot be decoded.
        """
        decoded = decode(image)
        seen = look(self.bundle, [decoded.pixels])
        return self._prediction(seen.probabilities[0].tolist()), decoded, seen

    def _prediction(self, row: list[float]) -> Prediction:
        return Prediction(
            probability=row[0],
            decision="positive" if row[0] >= self.bundle.manifest.threshold else "negative",
            lesions=dict(zip(LESIONS, row[1:], strict=True)),
            model_version=self.model_version,
        )


def load_champion(store: ObjectStore, trusted: TrustedKeys) -> Predictor:
    """Load the model that the promotion log names; where the log has lost its end, the last one that there is, and say so.

    Raises:
        NoChampionError: nothing has been promoted yet.
        BundleError: the bundle is damaged, or no trusted key signed it.
    """
    record, doubt = answering_champion(store)
    if doubt is not None:
        say(f"ladnn: {doubt}")
    try:
        return Predictor(load_bundle(store, record.bundle_id, trusted), record.model_version)
    except BundleError as error:
        what = f"model version {record.model_version}, which is champion, cannot answer: {error.problem}"
        ways = filter(None, (error.remedy, whole_one(store, trusted, damaged=record)))
        raise BundleError(what, "; or ".join(ways)) from error
