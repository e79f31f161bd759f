"""How results look on a terminal: tables and one-line verdicts for people. Programs use `--json`."""

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ladnn.dataset.shortcuts.audit import ShortcutAudit, Stage
from ladnn.dataset.split import SPLITS
from ladnn.evaluation.comparison import Comparison
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS
from ladnn.evaluation.selection import Selection
from ladnn.governance.approval import until
from ladnn.governance.decision import Decision
from ladnn.intake.quarantine import Case
from ladnn.registry.summary import RetrainSummary, VariantSummary
from ladnn.serving.assessment import Assessment, FolderAssessment
from ladnn.settings import Settings, default_home
from ladnn.statistics import Interval

_WIDTH = 160


def print_retrain(
    summary: RetrainSummary, settings: Settings, config: Path, total_s: float, overrides: Sequence[str] = ()
) -> None:
    """Print what a retrain came to, and what to try next."""
    console = open_console()
    data = summary.dataset
    console.print(f"\nretrain {summary.retrain_id}: [bold]{summary.status}[/bold]")
    console.print(f"set off by: {summary.reason}", markup=False)
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
    if summary.comparisons:
        console.print("on validation:")
        print_comparisons(console, summary.comparisons, summary.audit, canonical_form=summary.canonical_form)
    if summary.selection:
        _print_selection(console, summary.selection)
    if summary.decision:
        _print_decision(console, summary.decision)
        _print_answer(console, summary)
    _print_versions(console, summary)
    _print_times(console, summary, total_s)
    _print_next(console, summary, settings, config, overrides)


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
            *(_point(m) for m in (v.sensitivity, v.specificity, v.f1, v.accuracy, v.ece)),
            f"{v.seconds:.0f}",
        )
        for v in variants
    ]
    columns = ("variant", "validation AUROC [CI]", "sensitivity", "specificity", "F1", "accuracy", "ECE", "seconds")
    return table(columns, rows, "variants, on validation at their operating point")


def _point(interval: Interval) -> str:
    return "n/a" if interval.value is None else f"{interval.value:.3f}"


def _print_selection(console: Console, selection: Selection) -> None:
    console.print(f"candidate: {selection.candidate}: {selection.reason}", markup=False)
    if len(selection.contenders) > 1:
        told = "not known" if selection.optimism is None else f"{selection.optimism:.3f}"
        console.print(f"  optimism of the best of {len(selection.contenders)} on validation: AUROC {told} too high")


def _print_decision(console: Console, decision: Decision) -> None:
    rows = [
        (
            gate.name,
            str(gate.interval) if gate.interval else ("n/a" if gate.value is None else f"{gate.value:.3f}"),
            "n/a" if gate.limit is None else f"{gate.limit:.3f}",
            str(gate.n),
            gate.verdict.value if gate.finding is None else f"{gate.verdict.value}: {gate.finding}",
        )
        for gate in decision.gates
    ]
    console.print(table(("gate", "value [CI]", "limit", "n", "verdict"), rows, f"gates of {decision.variant}, on test"))
    console.print(f"decision: {decision.outcome}")
    for reason in decision.reasons:
        console.print(f"  {reason}", markup=False)


def _print_answer(console: Console, summary: RetrainSummary) -> None:
    if summary.decision and summary.waits_until:
        console.print(f"waiting for approval until {until(summary.decision)}; after that it has expired")
    if summary.approval:
        given = summary.approval
        console.print(f"{given.verdict} by {given.by}: {given.reason}", markup=False)


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
    if sum(stage.seconds for stage in summary.stages) > total_s:  # of an earlier run: this one only looked
        return
    start = ("start-up of Prefect and libraries", total_s - sum(stage.seconds for stage in summary.stages))
    times = [start, *((stage.name, stage.seconds) for stage in summary.stages)]
    rows = [(name, f"{seconds:.1f}", f"{100 * seconds / total_s:.0f} %") for name, seconds in times]
    console.print(table(("stage", "seconds", "of total"), rows, f"time: {total_s:.0f} s in all"))


def _print_next(
    console: Console, summary: RetrainSummary, settings: Settings, config: Path, overrides: Sequence[str]
) -> None:
    """Print commands that can be typed as they are, in the folder and the home of this retrain."""
    home = "" if settings.home == default_home() else f"LADNN_HOME={shlex.quote(str(settings.home))} "
    ladnn = home + _typed("ladnn")
    commands = []
    if summary.status == "held":
        commands.append(f"{ladnn} approve {summary.retrain_id} --by NAME --reason WHY   # or reject")
    if summary.champion:
        commands += [f"{ladnn} predict IMAGE…", f"{ladnn} serve"]
    if settings.tracking_uri.startswith("sqlite:"):
        store = f"--backend-store-uri {shlex.quote(settings.tracking_uri)}"
        commands.append(f"MLFLOW_DISABLE_TELEMETRY=true {_typed('mlflow')} ui {store}")
    options = shlex.join(["--config", str(config), *(word for item in overrides for word in ("--set", item))])
    again = f"{ladnn} retrain {options}"
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


def print_assessments(assessed: FolderAssessment) -> None:
    """Print how models did on a labelled folder: each by itself, then those of a retrain beside each other."""
    console = open_console()
    if len(assessed.models) == 1:
        _print_assessment(console, assessed.models[0])
    else:
        console.print(_beside_each_other(assessed.models))
    for retrain in assessed.retrains:
        if retrain.comparisons:
            console.print(f"retrain {retrain.retrain_id}:")
            print_comparisons(console, retrain.comparisons, retrain.audit, canonical_form=retrain.canonical_form)


def print_comparisons(
    console: Console, comparisons: Sequence[Comparison], audit: ShortcutAudit | None, *, canonical_form: bool
) -> None:
    """Print the AUROC of ladnn beside that of baseline, and what predicts the diagnosis without the disease."""
    for item in comparisons:
        means = item.auroc
        rows = [
            (name, str(mean), "  ".join("n/a" if value is None else f"{value:{sign}.3f}" for value in by_seed))
            for name, mean, by_seed, sign in (
                ("baseline", means.baseline, means.baseline_by_seed, ""),
                ("ladnn", means.ladnn, means.ladnn_by_seed, ""),
                ("ladnn - baseline", means.difference, means.difference_by_seed, "+"),
            )
        ]
        seeds = ", ".join(map(str, item.seeds))
        title = f"{item.backbone}, AUROC on {item.n_images} images of {item.n_patients} patients"
        columns = ("task", "mean over seeds [CI over patients]", f"by seed ({seeds})")
        console.print(table(columns, rows, title))
        if means.difference.value is None and means.difference.note:
            console.print(f"n/a: {means.difference.note}", markup=False)
    if comparisons:
        console.print("intervals hold the choice of patients, not the variance between seeds, which stands beside them")
    if comparisons and audit is not None:
        _print_shortcuts(console, audit, canonical_form=canonical_form)


def _print_shortcuts(console: Console, audit: ShortcutAudit, *, canonical_form: bool) -> None:
    stages: dict[Stage, str] = {
        "contributed": "file as contributed",
        "stored": "picture as stored",
        "canonical": "canonical form",
    }
    found = {(result.probe, result.stage): str(result.auroc) for result in audit.results}
    probes = dict.fromkeys(result.probe for result in audit.results)
    rows = [(probe, *(found.get((probe, stage), "-") for stage in stages)) for probe in probes]
    console.print(table(("predicted from", *stages.values()), rows, "for comparison: AUROC without the disease"))
    shown = stages["canonical" if canonical_form else "stored"]
    console.print(f"of {audit.dataset_version}, on patients held out in turn; these models were shown the {shown}")


def _beside_each_other(models: Sequence[Assessment]) -> Table:
    rows = [
        (
            item.model,
            *(str(getattr(item.scores.diagnosis, name)) for name in ("auroc", "sensitivity", "specificity")),
            *(_point(getattr(item.scores.diagnosis, name)) for name in ("f1", "accuracy")),
            f"{item.scores.diagnosis.threshold:.3f}",
            str(item.n_known_to_model),
        )
        for item in models
    ]
    diagnosis = models[0].scores.diagnosis
    title = f"diagnosis on {diagnosis.n_images} images of {diagnosis.n_patients} patients, each at its operating point"
    columns = ("model", "AUROC [CI]", "sens. [CI]", "spec. [CI]", "F1", "accuracy", "positive from", "known to it")
    result = table(columns, rows, title)
    result.columns[0].no_wrap = True  # names differ at their end
    return result


def _print_assessment(console: Console, assessment: Assessment) -> None:
    diagnosis, lesions = assessment.scores.diagnosis, assessment.scores.lesions or {}
    name = f"model version {assessment.model_version}" if assessment.model_version else assessment.model
    console.print(
        f"{name} on {diagnosis.n_images} images of {diagnosis.n_patients} patients, positive from "
        f"probability {diagnosis.threshold:.3f}"
    )
    if assessment.n_known_to_model:
        console.print(f"caution: {assessment.n_known_to_model} of them stand in the model's own dataset version")
    values = [(name, str(getattr(diagnosis, name))) for name in DIAGNOSIS_METRICS]
    console.print(table(("diagnosis", "value [CI]"), values))
    rows = [
        (code, str(m.auroc), str(m.f1), str(m.n_known), str(m.n_present)) for code, m in lesions.items() if m.n_known
    ]
    if rows:
        console.print(table(("lesion", "AUROC [CI]", "F1 [CI]", "known", "present"), rows))


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
