"""What `mlflow.pyfunc.load_model("models:/ladnn@champion")` loads: the bundle, by this library, without a pickle."""

from pathlib import Path

import pandas as pd

from ladnn.registry.bundle import open_bundle
from ladnn.serving.predictor import Predictor
from ladnn.settings import read_settings


class PyfuncModel:
    """MLflow's view of a predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Score a table with a column `image` of PNG or JPEG files, as bytes or as paths.

        Returns:
            One row an image: `probability`, `decision`, and one column a lesion code.
        """
        images = [item if isinstance(item, bytes) else Path(item).read_bytes() for item in model_input["image"]]
        predictions = self._predictor.predict(images)
        rows = [p.model_dump(exclude={"lesions", "model_version"}) | p.lesions for p in predictions]
        return pd.DataFrame(rows, index=model_input.index)


def _load_pyfunc(path: str) -> PyfuncModel:
    bundle = open_bundle(Path(path), read_settings().trusted_keys())  # MLflow calls this: an entry point
    return PyfuncModel(Predictor(bundle, bundle.id))
