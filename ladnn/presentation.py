"""How results look on a terminal: tables and one-line verdicts for people. Programs use `--json`."""

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ladnn.dataset.split import SPLITS
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS
from ladnn.governance.decision import Decision
from ladnn.intake.quarantine import Case
from ladnn.registry.summary import RetrainSummary, VariantSummary
from ladnn.serving.assessment import Assessment
from ladnn.settings import Settings, default_home

_WIDTH = 160


def print_retrain(summary: RetrainSummary, settings: Settings, config: Path, total_s: float) -> None:
    """Print what a retrain came to, and what to try next."""
    console = open_console()
    data = summary.dataset
    console.print(f"\nretrain {summary.retrain_id}: [bold]{summary.status}[/bold]")
    console.print(f"dataset version {data.id}: {data.n_images} images of {data.n_groups} patients")
    for name in SPLITS:
        count = data.splits[name]
        console.print(
            f"  {name}: {count.n_images} images of {count.n_groups} patients ({count.n_positive} +, {count.n_negative} -)"
        )
    console.print(_variants(summary.variants))
    if len(summary.variants) > len(summary.seeds):
        rows = [(spread.group, str(spread)) for spread in summary.seeds]
        console.print(table(("variants", "validation AUROC, mean ± SD"), rows, "over seeds"))
    if summary.decision:
        _print_decision(console, summary.decision)
    _print_versions(console, summary)
    _print_times(console, summary, total_s)
    _print_next(console, summary, settings, config)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """Return a plain table; cells are text, never markup."""
    result = Table(title=title, title_justify="left")
    for column in columns:
        result.add_column(column)
    for row in rows:
        result.add_row(*(cell.replace("[", r"\[") for cell in row))
    return result


def open_console() -> Console:
    """A terminal is used as wide as it is; a file or a pipe gets lines wide enough for every table."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH)


def _variants(variants: Sequence[VariantSummary]) -> Table:
    rows = [
        (
            v.name,
            str(v.auroc),
            *(
                f"{m.value:.3f}" if m.value is not None else "n/a"
                for m in (v.sensitivity, v.specificity, v.f1, v.accuracy, v.ece)
            ),
            f"{v.seconds:.0f}",
        )
        for v in variants
    ]
    columns = ("variant", "validation AUROC [CI]", "sensitivity", "specificity", "F1", "accuracy", "ECE", "seconds")
    return table(columns, rows, "variants, on validation at their operating point")


def _print_decision(console: Console, decision: Decision) -> None:
    rows = [
        (
            gate.name,
            str(gate.interval) if gate.interval else ("n/a" if gate.value is None else f"{gate.value:.3f}"),
            "n/a" if gate.limit is None else f"{gate.limit:.3f}",
            str(gate.n),
            gate.verdict.value,
        )
        for gate in decision.gates
    ]
    console.print(table(("gate", "value [CI]", "limit", "n", "verdict"), rows, f"gates of {decision.variant}, on test"))
    console.print(f"decision: {decision.outcome}")
    for reason in decision.reasons:
        console.print(f"  {reason}", markup=False)


def _print_versions(console: Console, summary: RetrainSummary) -> None:
    if summary.model_version and summary.status != "nothing new":
        console.print(f"promoted: model version {summary.model_version} (models:/ladnn@champion)")
    elif summary.champion:
        console.print(f"champion stays: model version {summary.champion.model_version}")
    else:
        console.print("no model has been promoted yet")


def _print_times(console: Console, summary: RetrainSummary, total_s: float) -> None:
    if summary.status == "nothing new":
        console.print(
            f"nothing is new: no contribution and no setting changed since it ended; checked in {total_s:.0f} s"
        )
        return
    start = ("start-up of Prefect and libraries", total_s - sum(stage.seconds for stage in summary.stages))
    times = [start, *((stage.name, stage.seconds) for stage in summary.stages)]
    rows = [(name, f"{seconds:.1f}", f"{100 * seconds / total_s:.0f} %") for name, seconds in times]
    console.print(table(("stage", "seconds", "of total"), rows, f"time: {total_s:.0f} s in all"))


def _print_next(console: Console, summary: RetrainSummary, settings: Settings, config: Path) -> None:
    """Print commands that can be typed as they are, in the folder and the home of this retrain."""
    home = "" if settings.home == default_home() else f"LADNN_HOME={shlex.quote(str(settings.home))} "
    ladnn = home + _typed("ladnn")
    commands = []
    if summary.status == "held":
        commands.append(f"{ladnn} approve {summary.retrain_id} --by NAME --reason WHY")
    if summary.champion:
        commands += [f"{ladnn} predict IMAGE…", f"{ladnn} serve"]
    if settings.tracking_uri.startswith("sqlite:"):
        store = f"--backend-store-uri {shlex.quote(settings.tracking_uri)}"
        commands.append(f"MLFLOW_DISABLE_TELEMETRY=true {_typed('mlflow')} ui {store}")
    again = f"{ladnn} retrain --config {shlex.quote(str(config))}"
    commands += [f"{ladnn} metrics", f"{ladnn} figures --out figures"]
    commands += [f"{ladnn} history", f"{again}   # after new contributions, or with --force"]
    console.print("next:")
    for command in commands:
        console.print(f"  {command}", markup=False)


def _typed(program: str) -> str:
    """Return how to call a program of this environment from the present folder."""
    path = Path(sys.executable).with_name(program)
    if shutil.which(program) == str(path):
        return program
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else shlex.quote(str(path))


def print_assessment(assessment: Assessment) -> None:
    """Print how the champion did on a labelled folder."""
    console = open_console()
    diagnosis, lesions = assessment.scores.diagnosis, assessment.scores.lesions or {}
    console.print(
        f"model version {assessment.model_version} on {diagnosis.n_images} images of {diagnosis.n_patients} patients"
    )
    if assessment.n_known_to_model:
        console.print(f"caution: {assessment.n_known_to_model} of them stand in the model's own dataset version")
    values = [(name, str(getattr(diagnosis, name))) for name in DIAGNOSIS_METRICS]
    console.print(table(("diagnosis", "value [CI]"), values))
    rows = [(code, str(m.auroc), str(m.f1), str(m.n_known), str(m.n_present)) for code, m in lesions.items()]
    console.print(table(("lesion", "AUROC [CI]", "F1 [CI]", "known", "present"), rows))


def print_history(document: dict[str, Any]) -> None:
    """Print promotions and retrains, oldest first."""
    console = open_console()
    promoted = [
        (str(p["number"]), p["at"][:19], p["action"], p["model_version"], p["retrain_id"], p["by"], p["reason"])
        for p in document["promotions"]
    ]
    columns = ("no", "at (UTC)", "action", "model version", "retrain", "by", "reason")
    console.print(table(columns, promoted, "promotions; the last one is champion"))
    retrains = [
        (r["retrain_id"], (r["finished_at"] or "")[:19], r["status"], r["dataset_version"], "; ".join(r["reasons"]))
        for r in document["retrains"]
    ]
    console.print(table(("retrain", "ended (UTC)", "status", "dataset version", "reasons"), retrains, "retrains"))


def print_quarantine(found: Sequence[Case]) -> None:
    """Print what stands in quarantine."""
    console = open_console()
    rows = [
        (case.item, case.finding.reason, case.state, "yes" if case.overrulable else "no", case.finding.detail)
        for case in found
    ]
    columns = ("item", "reason", "state", "can be overruled", "evidence and what to do")
    console.print(table(columns, rows, f"quarantine: {len(found)} items"))
    if found:
        console.print("next: ladnn quarantine show ITEM --picture FILE.png", markup=False)


def print_case(case: Case) -> None:
    """Print one item of quarantine, what was decided about it, and the ways out."""
    console = open_console()
    console.print(f"{case.item}: {case.finding.reason}, {case.state}", markup=False)
    console.print(f"  {case.finding.detail}", markup=False)
    for decision in case.decisions:
        line = f"  {decision.at:%Y-%m-%d %H:%M} UTC: {decision.action} by {decision.by}: {decision.reason}"
        console.print(line, markup=False)
    effect = "overrules the finding" if case.overrulable else "looks again, after the contributor has mended it"
    console.print(f"  ladnn quarantine release {shlex.quote(case.item)} --reason WHY   # {effect}", markup=False)
    console.print(f"  ladnn quarantine reject {shlex.quote(case.item)} --reason WHY", markup=False)
