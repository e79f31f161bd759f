"""A trial of a bundle where torch, MLflow and Prefect cannot be imported: `python -m ladnn.serving.trial FOLDER KEY…`.

Prints one JSON document; an error ends it with a code other than 0 and its reason as the last line of stderr. Where the
machine is to blame (no memory, no space), and not the bundle, the code is `os.EX_TEMPFAIL`.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_BLOCKED = ("torch", "torchvision", "accelerate", "onnx", "mlflow", "prefect")
"""What the serve image does not hold."""
_N_TIMED = 10
CLOCKS = time.perf_counter, time.process_time
"""The time that passes, and the time of this process on all processors."""


class _Refusal:
    """Lets nothing import what the serve image does not hold."""

    def find_spec(self, name: str, _path: object, _target: object = None, /) -> None:
        """Refuse a module of the list; leave every other to the finders behind.

        Raises:
            ModuleNotFoundError: it is on the list.
        """
        if name.partition(".")[0] in _BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in the serving environment", name=name)


def main(folder: Path, keys: tuple[str, ...]) -> None:
    """Load the bundle in a folder, signed by one of the public keys, reproduce its golden outputs and time single pictures."""
    sys.meta_path.insert(0, _Refusal())
    from PIL import Image

    from ladnn.phantoms.study import generate_study
    from ladnn.registry.bundle import open_bundle
    from ladnn.serving.predictor import Predictor
    from ladnn.settings import silence_services
    from ladnn.signing import TrustedKeys

    silence_services(os.environ)
    predictor = Predictor(open_bundle(folder, TrustedKeys(keys)), "trial")
    buffer = io.BytesIO()
    Image.fromarray(generate_study(0, 0, n_slices=1).slices[0].pixels).save(buffer, "PNG")
    predictor.predict([buffer.getvalue()])
    latency_s = quickest_s(lambda: predictor.predict([buffer.getvalue()]), _N_TIMED)
    print(json.dumps({"latency_ms": 1000 * latency_s, "n_timed": _N_TIMED}))  # noqa: T201 - its result


def quickest_s(call: Callable[[], object], n_times: int, clocks: Sequence[Callable[[], float]] = CLOCKS) -> float:
    """Return the time in s of the quickest of several calls, by that of the clocks which shows the least.

    On a busy machine the time on processors tells more of the bundle than the time that passes; on a quiet one threads that
    share the work count once by the latter.
    """
    times_s: list[float] = []
    for _ in range(n_times):
        started_s = [clock() for clock in clocks]
        call()
        times_s += [clock() - begun for clock, begun in zip(clocks, started_s, strict=True)]
    return min(times_s)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), tuple(sys.argv[2:]))
    except (OSError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - its reason
        sys.exit(os.EX_TEMPFAIL)
