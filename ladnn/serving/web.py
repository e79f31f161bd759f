"""The web service: a minimal JSON endpoint over the promoted model, which it swaps when the promotion log moves on."""

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, HTTPException, UploadFile
from pydantic import BaseModel, ConfigDict

from ladnn.errors import ImageRejectedError, LadnnError
from ladnn.progress import say
from ladnn.registry.promotion import champion
from ladnn.serving.prediction_log import PredictionLog
from ladnn.serving.predictor import Prediction, Predictor, load_champion
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore

_LARGEST_UPLOAD_BYTES = 50_000_000


class ImagePrediction(Prediction):
    """A prediction with the name of the uploaded file."""

    image: str


class Model(BaseModel):
    """Which model answers."""

    model_config = ConfigDict(frozen=True)

    model_version: str
    bundle_id: str
    threshold: float
    dataset_version: str
    intended_use: str


class CurrentModel:
    """The champion's predictor, checked against the promotion log every few seconds."""

    def __init__(self, store: ObjectStore, trusted: TrustedKeys, check_every_s: float) -> None:
        """Load the champion.

        Raises:
            NoChampionError: nothing has been promoted yet.
            BundleError: the champion is damaged, or no trusted key signed it.
        """
        self._store, self._trusted, self._check_every_s = store, trusted, check_every_s
        self._lock = threading.Lock()
        self._predictor, self._checked_s = load_champion(store, trusted), time.monotonic()
        self.is_current = True
        """False while the promotion log or the bundle that it names cannot be read, so that an older model answers."""

    def get(self) -> Predictor:
        """Return the champion; a new one is loaded whole before it replaces the old one, which answers until then."""
        if time.monotonic() - self._checked_s >= self._check_every_s and self._lock.acquire(blocking=False):
            try:
                self._follow_log()
            finally:
                self._checked_s = time.monotonic()
                self._lock.release()
        return self._predictor

    def _follow_log(self) -> None:
        try:
            record = champion(self._store)
            if record is not None and record.bundle_id != self._predictor.bundle.id:
                self._predictor = load_champion(self._store, self._trusted)
                say(f"serving model version {self._predictor.model_version}")
            self.is_current = True
        except LadnnError as error:  # a store that is away for a while must not end a service that has its model
            self.is_current = False
            say(f"still serving model version {self._predictor.model_version}: {error}")


def create_app(
    store: ObjectStore, trusted: TrustedKeys, check_every_s: float = 5.0, log: PredictionLog | None = None
) -> FastAPI:
    """Build the service.

    Args:
        store: holds the champion.
        trusted: keys one of which must have signed it.
        check_every_s: how often the promotion log is looked at.
        log: takes down what is seen; None keeps nothing.

    Raises:
        NoChampionError: nothing has been promoted yet.
        BundleError: the champion is damaged, or no trusted key signed it.
    """
    current = CurrentModel(store, trusted, check_every_s)

    @asynccontextmanager
    async def logging(_: FastAPI) -> AsyncIterator[None]:
        if log is not None:
            log.start()
        yield
        if log is not None:
            log.stop()

    app = FastAPI(
        lifespan=logging,
        docs_url=None,  # its pages load scripts from another host
        redoc_url=None,
        title="ladnn",
        description="COVID-19 probability and five lesions of chest CT slices.",
    )

    @app.get("/health")
    def health() -> dict[str, str]:
        model_version = current.get().model_version
        return {"status": "ok" if current.is_current else "stale", "model_version": model_version}

    @app.get("/model")
    def model() -> Model:
        predictor = current.get()
        manifest = predictor.bundle.manifest
        return Model(
            model_version=predictor.model_version,
            bundle_id=predictor.bundle.id,
            threshold=manifest.threshold,
            dataset_version=manifest.dataset_version,
            intended_use=manifest.intended_use,
        )

    @app.post("/predict")
    def predict(images: Annotated[list[UploadFile], "PNG or JPEG files, form field `images`"]) -> list[ImagePrediction]:
        request = uuid4().hex
        return [_answer(current.get(), image, request, log) for image in images]

    return app


def run(store: ObjectStore, trusted: TrustedKeys, host: str, port: int, *, keep_log: bool = True) -> None:
    """Serve the champion until the process is stopped; what was seen is kept for `ladnn drift` unless it must not be.

    Raises:
        NoChampionError: nothing has been promoted yet.
        BundleError: the champion is damaged, or no trusted key signed it.
    """
    service = create_app(store, trusted, log=PredictionLog(store) if keep_log else None)
    say(f"POST images to http://{host}:{port}/predict, such as: curl -F images=@slice.png http://{host}:{port}/predict")
    uvicorn.run(service, host=host, port=port, log_level="warning")


def _answer(predictor: Predictor, image: UploadFile, request: str, log: PredictionLog | None) -> ImagePrediction:
    name = image.filename or "image"
    data = image.file.read(_LARGEST_UPLOAD_BYTES + 1)
    if len(data) > _LARGEST_UPLOAD_BYTES:
        raise HTTPException(413, f"{name} is larger than {_LARGEST_UPLOAD_BYTES // 1_000_000} MB")
    try:
        if log is None:
            (prediction,) = predictor.predict([data])
        else:
            prediction, decoded, seen = predictor.predict_and_look(data)
            log.note(request, predictor.model_version, predictor.bundle, decoded, seen)
    except ImageRejectedError as error:
        raise HTTPException(422, f"{name}: {error.reason}: {error}") from error
    return ImagePrediction(image=name, **prediction.model_dump())
