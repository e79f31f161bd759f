"""Runs every benchmark and prints ratios, each of two things measured side by side in this run: `make benchmark`."""

import catalogue_scale
import intake_throughput
import training_speed
from rich.console import Console
from rich.table import Table


def main() -> None:
    table = Table("benchmark", "measured", "ratio", "wanted", "holds")
    for result in (*intake_throughput.run(), *catalogue_scale.run(), *training_speed.run()):
        table.add_row(
            result.name, result.measured, f"{result.ratio:.2f}", result.wanted, "yes" if result.holds else "NO"
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
