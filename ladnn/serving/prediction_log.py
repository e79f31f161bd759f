"""Writes what the service has seen to the store, in batches, beside answering: no pixels, no names, no identifiers."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime

from ladnn.errors import LadnnError
from ladnn.intake.canonical import CanonicalImage
from ladnn.progress import say
from ladnn.registry.bundle import Bundle
from ladnn.registry.drift_samples import acquisition
from ladnn.registry.looks import Looks, Reducer, named_probabilities, read_reducer
from ladnn.registry.served import ServedPrediction, append_served
from ladnn.store import ObjectStore

_BATCH = 500
"""Answers that are written at once at the latest."""
_MOST_WAITING = 20_000
"""Answers that wait while the store is away; of more the oldest are lost."""


class PredictionLog:
    """Collects answers and writes them every so often; safe to use from several threads."""

    def __init__(self, store: ObjectStore, write_every_s: float = 60.0) -> None:
        self._store, self._write_every_s = store, write_every_s
        self._waiting: deque[ServedPrediction] = deque(maxlen=_MOST_WAITING)
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_now_and_then, name="prediction-log", daemon=True)
        self._reducers: dict[str, Reducer] = {}
        self._ask_again_s = 0.0
        self.is_written = True
        """False while the store does not take what was seen."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stopped.set()
        self._thread.join()
        self.write()

    def note(self, request: str, model_version: str, bundle: Bundle, image: CanonicalImage, seen: Looks) -> None:
        """Take down one answer.

        Args:
            request: random; the same for images that were sent together.
            model_version: that answered.
            bundle: of that model.
            image: that was sent.
            seen: in it; one picture.
        """
        reducer = self._reducer_of(bundle)
        probabilities = named_probabilities(seen.probabilities)
        answer = ServedPrediction(
            at=datetime.now(UTC).replace(microsecond=0),
            request=request,
            model_version=model_version,
            bundle_id=bundle.id,
            probabilities={label: float(values[0]) for label, values in probabilities.items()},
            acquisition=_acquisition(image),
            intensity={name: float(values[0]) for name, values in seen.intensity.items()},
            embedding=None if reducer is None else tuple(map(float, reducer.apply(seen.features)[0])),
        )
        with self._lock:
            self._waiting.append(answer)

    def write(self) -> None:
        """Write what waits; what the store does not take waits on."""
        with self._writing:
            while self._waiting:
                with self._lock:
                    batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                try:
                    append_served(self._store, batch)
                except LadnnError as error:  # a store that is away must not end a service that has its model
                    self._put_back(batch, error)
                    return
                self.is_written = True

    def _reducer_of(self, bundle: Bundle) -> Reducer | None:
        """Return the components that a check for drift has fitted; the store is asked now and then until it has them."""
        if bundle.id in self._reducers or time.monotonic() < self._ask_again_s:
            return self._reducers.get(bundle.id)
        self._ask_again_s = time.monotonic() + self._write_every_s
        try:
            found = read_reducer(self._store, bundle.id)
        except LadnnError as error:  # the answer counts more than its components
            say(f"the components of model {bundle.id} cannot be read for now: {error}")
            return None
        if found is not None:
            self._reducers = {bundle.id: found}
        return found

    def _put_back(self, batch: list[ServedPrediction], error: LadnnError) -> None:
        if self.is_written:
            say(f"what was served cannot be written down for now, up to {_MOST_WAITING} answers wait: {error}")
        self.is_written = False
        with self._lock:
            room = _MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(batch[len(batch) - min(room, len(batch)) :]))

    def _write_now_and_then(self) -> None:
        while not self._stopped.wait(self._write_every_s):
            self.write()


def _acquisition(image: CanonicalImage) -> dict[str, str | float | int]:
    height, width = image.pixels.shape
    record: Mapping[str, object] = {
        "width_px": width,
        "height_px": height,
        "original_format": image.original_format,
        "original_mode": image.original_mode,
        "acquisition": dict(image.acquisition),
    }
    return {name.removeprefix("acquisition."): value for name, value in acquisition(record).items()}
