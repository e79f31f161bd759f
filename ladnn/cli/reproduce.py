"""Commands that reproduce what the paper reports: `ladnn reproduce table2`."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.files import make_folder, write_asked
from ladnn.cli.options import Json, Overrides
from ladnn.errors import ConfigError
from ladnn.platform import check_free_space, only_one_retrain, open_platform
from ladnn.result import emit, results_only_on_stdout
from ladnn.store import canonical_json

if TYPE_CHECKING:
    from ladnn.config import ExperimentConfig
    from ladnn.reproduction.table2 import Compared, Table2
    from ladnn.statistics import Interval

app = typer.Typer(no_args_is_help=True, help="Reproduce what the paper reports, on the data that intake accepted.")


@app.callback()
def _reproduce() -> None:
    """Keep `table2` a command of its own while it is the only one."""


@app.command()
def table2(
    backbones: Annotated[
        str | None, typer.Option(help="Backbones, separated by commas.", show_default="the paper's seven")
    ] = None,
    cuts: Annotated[str, typer.Option(help="Cuts of the data, separated by commas.")] = "D0,D0+D1",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of each variant.", show_default="n_seeds of the config, else 1")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Experiment whose recipe is trained.")] = None,
    overrides: Overrides = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Begin with random weights; only meant to try the machinery.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for table2.json and table2.csv.")] = None,
    as_json: Json = False,
) -> None:
    """Train baseline and LA-DNN of every backbone, cut and seed, and print the paper's Table 2 beside what they reach.

    Killed, it goes on where it stopped; what was trained before by the same recipe on the same data is not trained
    again. The test part of each cut is opened when all is trained, and the ledger counts that: one opening for each
    backbone, as for a retrain, since what is seen here can guide the next recipe just as well. Nothing is promoted.
    """
    from ladnn.evaluation.validation import sampling_of
    from ladnn.model.weights import WeightsSource
    from ladnn.reproduction.cells import check_backbones, plan_cells
    from ladnn.reproduction.paper import BACKBONES
    from ladnn.reproduction.running import score_cells, train_cells
    from ladnn.reproduction.table2 import tabulate

    recipe = _recipe(config, [*(overrides or ()), *(["training.weights=random"] if random_weights else [])])
    chosen = _names(backbones, "--backbones") if backbones is not None else list(BACKBONES)
    platform = open_platform()
    check_free_space(platform.settings)
    check_backbones(chosen, recipe, WeightsSource(platform.weights))
    if out is not None:
        make_folder(out)
    with only_one_retrain(platform.settings), results_only_on_stdout():
        cells = plan_cells(platform.store, recipe, chosen, _names(cuts, "--cuts"), seeds or recipe.n_seeds)
        train_cells(platform, cells)
        score_cells(platform.store, cells, platform.settings.cache)
        evaluation = recipe.evaluation
        table = tabulate(platform.store, cells, sampling_of(evaluation, recipe.seed), evaluation.min_slice_patients)
    if out is not None:
        write_asked(out / "table2.json", canonical_json(table.model_dump(mode="json")))
        write_asked(out / "table2.csv", _as_csv(table).encode())
    if as_json:
        emit(table)
    else:
        _print_table(table)


def _recipe(config: Path | None, overrides: list[str]) -> "ExperimentConfig":
    from ladnn.config_file import load_config, parse_config

    if config is not None:
        return load_config(config, overrides)
    any_variant = {"backbone": "efficientnet_b0", "task": "ladnn"}  # the variants of a recipe are replaced
    return parse_config({"variants": [any_variant]}, "of the defaults", overrides)


def _names(text: str, option: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"{option} {text!r} names nothing, or something twice; separate different names by commas")
    return names


def _as_csv(table: "Table2") -> str:
    values = ("value", "low", "high")
    measured = ("baseline", "ladnn", "difference")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [f"{name}_{value}" for name in measured for value in values]
    data = ("dataset_version", "n_test_images", "n_test_patients", "n_seeds")
    writer.writerow(["cut", *data, "backbone", "metric", "paper_baseline", "paper_ladnn", *columns])
    for row in table.rows:
        numbers = [getattr(getattr(row, name), value) for name in measured for value in values]
        counts = (table.n_test_images[row.cut], table.n_test_patients[row.cut], table.n_seeds)
        of_cut = [row.cut, table.dataset_versions[row.cut], *counts]
        writer.writerow([*of_cut, row.backbone, row.metric, row.paper_baseline, row.paper_ladnn, *numbers])
    return buffer.getvalue()


def _print_table(table: "Table2") -> None:
    from ladnn.presentation import open_console
    from ladnn.presentation import table as plain_table

    console = open_console()
    columns = ("metric", "backbone", "paper", "ours: baseline [CI]", "ours: LA-DNN [CI]", "LA-DNN - baseline [CI]")
    for cut, version in table.dataset_versions.items():
        rows = sorted((row for row in table.rows if row.cut == cut), key=lambda row: _order(row))
        cells = [
            (row.metric, row.backbone, _paper(row), *(_percent(part) for part in (row.baseline, row.ladnn)), _gain(row))
            for row in rows
        ]
        title = (
            f"table 2 in percent, cut {cut}: {table.n_test_images[cut]} test images of {table.n_test_patients[cut]} "
            f"patients, version {version}, {table.n_seeds} seed(s)"
        )
        console.print(plain_table(columns, cells, title))
    console.print(
        f"positive at probability {table.threshold:g}; intervals over test patients; where there are several seeds, "
        "means over them and the range of the difference in brackets, since intervals hold no variance between seeds; "
        "no interval: all resamplings of patients agree",
        markup=False,
    )
    if any(row.difference.value is None for row in table.rows):
        console.print(f"n/a: not enough cases; a difference needs {table.min_patients} patients of each class")


def _order(row: "Compared") -> int:
    from ladnn.reproduction.paper import METRICS

    return METRICS.index(row.metric)


def _paper(row: "Compared") -> str:
    if row.paper_baseline is None or row.paper_ladnn is None:
        return "-"
    return f"{100 * row.paper_baseline:.1f} → {100 * row.paper_ladnn:.1f}"


def _percent(interval: "Interval") -> str:
    if interval.value is None:
        return "n/a"
    if interval.low is None or interval.high is None:
        return f"{100 * interval.value:.1f} (no interval)"
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _gain(row: "Compared") -> str:
    known = [value for value in row.difference_by_seed if value is not None]
    spread = f" ({100 * min(known):+.1f} to {100 * max(known):+.1f})" if len(known) > 1 else ""
    return _percent(row.difference) + spread
