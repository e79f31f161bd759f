"""Commands for shortcuts in a dataset version: `ladnn dataset audit|accept`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.options import By, Json, Reason
from ladnn.platform import open_platform
from ladnn.progress import progress_bar
from ladnn.result import emit

if TYPE_CHECKING:
    from ladnn.dataset.shortcuts.audit import ShortcutAudit


def audit(
    version: Annotated[
        str | None,
        typer.Argument(
            help="Version, or how its id begins; without it the one frozen last, or one that is frozen now.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Experiment file; its section audit counts.")] = None,
    as_json: Json = False,
) -> None:
    """Find out how well the diagnosis can be predicted without the disease."""
    from ladnn.config import AuditConfig, EvaluationConfig, ExperimentConfig
    from ladnn.config_file import load_config
    from ladnn.dataset.freezing import chosen_version
    from ladnn.dataset.shortcuts.audit import audit_version
    from ladnn.statistics import Bootstrap

    experiment = load_config(config) if config else None
    evaluation = experiment.evaluation if experiment else EvaluationConfig()
    sampling = Bootstrap(
        n_replicates=evaluation.n_bootstrap,
        confidence=evaluation.confidence,
        seed=experiment.seed if experiment else ExperimentConfig.model_fields["seed"].default,
    )
    asked = experiment.audit if experiment else AuditConfig()
    platform = open_platform()
    found = chosen_version(platform.store, version)
    with progress_bar("audit: images") as bar:
        result = audit_version(platform.store, found.id, asked, sampling, platform.settings.cache, bar)
    if as_json:
        emit(result)
    else:
        _print_audit(result)


def accept(
    version: Annotated[str, typer.Argument(help="Version, or how its id begins.")],
    by: By,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Accept the shortcuts that an audit found in a version, so that they no longer hold its retrains."""
    from ladnn.dataset.freezing import chosen_version
    from ladnn.dataset.shortcuts.acceptance import accept_audit

    store = open_platform().store
    acceptance = accept_audit(store, chosen_version(store, version).id, by, reason)
    if as_json:
        emit(acceptance)
    else:
        probes = ", ".join(acceptance.accepted)
        typer.echo(f"{acceptance.dataset_version}: {probes} accepted by {acceptance.by}: {acceptance.reason}")


def _print_audit(result: "ShortcutAudit") -> None:
    from ladnn.presentation import open_console, table

    console = open_console()
    rows = [
        (
            item.probe,
            item.stage,
            str(item.auroc),
            f"{item.limits.amber:.2f} / {item.limits.red:.2f}",
            str(item.verdict),
        )
        for item in result.results
    ]
    columns = ("probe", "looks at what is", "AUROC [CI]", "amber / red", "verdict")
    console.print(table(columns, rows, f"diagnosis without the disease: {result.dataset_version}"))
    console.print(f"{result.n_images} images of {result.n_patients} patients, each scored by models of other patients")
    console.print(f"verdict on what was contributed and stored: {result.verdict}")
    if result.red:
        console.print(
            f"next: ladnn dataset accept {result.dataset_version} --by NAME --reason WHY   # or retrains are held",
            markup=False,
        )
