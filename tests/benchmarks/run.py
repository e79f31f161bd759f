"""Runs benchmarks and prints ratios, each of two things measured side by side: `make benchmark`, `make benchmark ONLY=training`."""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context

from measured import Measured
from rich.console import Console
from rich.table import Table

# Threads that wait for each other must not spin: beside any other work one side of a ratio would then pay for it alone.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


MODULES = {
    "intake": "intake_throughput",
    "catalogue": "catalogue_scale",
    "training": "training_speed",
    "inference": "inference_speed",
    "growth": "retrain_growth",
}
"""Parts by name, with the module beside this one whose `run` yields what it measured."""


def _measure(part: str) -> list[Measured]:
    return list(import_module(MODULES[part]).run())


def main() -> int:
    """Print a table; return 1 if a ratio misses its limit."""
    parser = argparse.ArgumentParser(description="Measure ladnn's speed, as ratios within one run.")
    parser.add_argument("only", nargs="*", help=f"parts to run: {', '.join(MODULES)}; all of them if none is named")
    wanted = parser.parse_args().only or list(MODULES)
    if unknown := sorted(set(wanted) - set(MODULES)):
        parser.error(f"there is no part {', '.join(unknown)}; the parts are {', '.join(MODULES)}")
    table = Table("benchmark", "measured", "ratio", "wanted", "holds")
    all_hold = True
    # A process for each: what one part left in the C library's memory makes the next one's eager torch three times faster.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for results in processes.map(_measure, wanted):
            for result in results:
                all_hold &= result.holds
                verdict = "yes" if result.holds else "NO"
                table.add_row(result.name, result.measured, f"{result.ratio:.2f}", result.wanted, verdict)
    Console(width=160).print(table)
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
