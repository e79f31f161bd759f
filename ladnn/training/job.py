"""One process of a job that trains a variant: `torchrun … -m ladnn.training.job RETRAIN VARIANT --micro-batch N`.

What the first process has to tell goes to stdout, one JSON object a line; `ladnn.training.processes` reads it.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from ladnn.errors import LadnnError
from ladnn.model.weights import WeightsSource
from ladnn.platform import open_platform
from ladnn.training.fit import Progress
from ladnn.training.step import OutOfMemoryError
from ladnn.training.variant import train_variant


def main() -> int:
    """Train, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("retrain_id")
    parser.add_argument("variant")
    parser.add_argument("--micro-batch", type=int)
    asked = parser.parse_args()
    platform = open_platform()
    progress = Progress(
        on_epoch=lambda record: _tell("epoch", asdict(record)),
        on_step=lambda done, total: _tell("step", [done, total]),
    )
    source, cache = WeightsSource(platform.weights), platform.settings.cache
    try:
        train_variant(
            platform.store,
            asked.retrain_id,
            asked.variant,
            cache,
            source,
            progress=progress,
            micro_batch=asked.micro_batch,
        )
    except OutOfMemoryError as error:
        _tell("out of memory", error.micro_batch)
        return 1
    except LadnnError as error:
        _tell("failed", [type(error).__name__, str(error)])
        return 1
    return 0


def _tell(what: str, value: Any) -> None:
    sys.stdout.write(json.dumps({what: value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
