"""A retrain as MLflow shows it: its parent run, a run a variant, and what is logged to each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ladnn.dataset.shortcuts.audit import ShortcutAudit
from ladnn.dataset.version import DatasetVersion
from ladnn.errors import TrackingError
from ladnn.evaluation.comparison import Comparison
from ladnn.evaluation.metrics import DIAGNOSIS_METRICS
from ladnn.evaluation.selection import Selection
from ladnn.evaluation.slices import Scores
from ladnn.evaluation.validation import Validated
from ladnn.governance.decision import Decision
from ladnn.governance.gates.evidence import Evidence
from ladnn.progress import say
from ladnn.registry.metric_rows import MetricRow, as_csv
from ladnn.registry.summary import RetrainSummary
from ladnn.registry.test_set import TestResult
from ladnn.registry.tracking import STATUS, Tracking, open_tracking
from ladnn.retrain import Plan
from ladnn.settings import Settings
from ladnn.statistics import Interval
from ladnn.training.result import EpochRecord


def begin(tracking: Tracking, plan: Plan, version: DatasetVersion) -> str:
    """Open the parent run of a retrain."""
    tags = {
        "ladnn.dataset_version": version.id,
        "ladnn.config_digest": plan.config.digest[:16],
        "ladnn.reason": plan.reason,
        "ladnn.version": plan.ladnn_version,
    }
    run_id = tracking.parent_run(plan.retrain_id, tags)
    tracking.log_document(run_id, plan.model_dump(mode="json"), "plan.json")
    tracking.log_document(run_id, version.model_dump(mode="json"), "dataset_version.json")
    return run_id


def log_audit(tracking: Tracking, run_id: str, audit: ShortcutAudit) -> None:
    """Log the shortcut audit of a retrain's data to its parent run."""
    metrics: dict[str, float | None] = {}
    for result in audit.results:
        name = f"audit.{result.stage}.{result.probe}.auroc"
        metrics |= {name: result.auroc.value, f"{name}_low": result.auroc.low, f"{name}_high": result.auroc.high}
    tracking.log_summary(run_id, metrics, {"ladnn.shortcut_audit": audit.verdict.value})
    tracking.log_document(run_id, audit.model_dump(mode="json"), "shortcut_audit.json")


def begin_variant(tracking: Tracking, plan: Plan, variant_name: str) -> str:
    """Open the run of a variant, with everything that it was trained with."""
    variant = next(item for item in plan.config.variants if item.name == variant_name)
    params = variant.model_dump() | plan.config.training.model_dump()
    params |= {f"augmentation.{name}": value for name, value in params.pop("augmentation").items()}
    params |= {"seed": plan.config.seed_of(variant), "group": variant.group, "dataset_version": plan.dataset_version}
    return tracking.variant_run(plan.retrain_id, variant_name, params)


def log_epoch(tracking: Tracking, run_id: str, record: EpochRecord) -> None:
    """Log one epoch of a variant."""
    values = asdict(record)
    tracking.log_epoch(run_id, values.pop("epoch"), values)


def log_validation(tracking: Tracking, run_id: str, validated: Validated) -> None:
    """Log what a variant showed on validation, slices too, and end its run."""
    metrics = _flat("validation", validated.scores) | {
        "operating_point": validated.threshold,
        "validation.brier_uncalibrated": validated.uncalibrated.brier.value,
        "validation.ece_uncalibrated": validated.uncalibrated.ece.value,
    }
    temperatures = validated.calibration.temperatures
    metrics |= {f"temperature.{label}": temperature.value for label, temperature in temperatures.items()}
    tracking.log_summary(run_id, metrics, {})
    tracking.log_document(run_id, validated.model_dump(mode="json"), "validation.json")
    tracking.finish(run_id)


def log_comparisons(tracking: Tracking, run_id: str, comparisons: Sequence[Comparison]) -> None:
    """Log what ladnn gains over baseline on validation, by backbone, to the parent run."""
    metrics: dict[str, float | None] = {}
    for item in comparisons:
        for name in ("baseline", "ladnn", "difference"):
            metrics |= _bounds(f"validation.{item.backbone}.auroc_{name}", getattr(item.auroc, name))
    tracking.log_summary(run_id, metrics, {})
    tracking.log_document(run_id, [item.model_dump(mode="json") for item in comparisons], "comparison.json")


def log_selection(tracking: Tracking, run_id: str, selection: Selection) -> None:
    """Log which variant is the candidate, why, and how much the choice of the best flatters it."""
    metrics = {"selection.optimism": selection.optimism, "selection.standard_error": selection.standard_error}
    tracking.log_summary(run_id, metrics, {})
    tracking.log_document(run_id, selection.model_dump(mode="json"), "selection.json")


def log_evaluation(tracking: Tracking, run_id: str, rows: Sequence[MetricRow], figures: Mapping[str, bytes]) -> None:
    """Log every metric by split, model, head and slice, as JSON and as a table, and the figures."""
    tracking.log_document(run_id, [row.model_dump(mode="json") for row in rows], "metrics.json")
    tracking.log_text(run_id, as_csv(rows), "metrics.csv")
    tracking.log_files(run_id, figures, "figures")


def log_decision(tracking: Tracking, run_id: str, test: TestResult, decision: Decision) -> None:
    """Log what the test set showed and what was decided on it."""
    metrics: dict[str, float | None] = {}
    for name, scores in (("test", test.candidate_scores), ("test_champion", test.champion_scores)):
        if scores is not None:
            metrics |= _flat(name, scores)
    tags = {
        "ladnn.decision": decision.outcome,
        "ladnn.policy": decision.policy,
        "ladnn.candidate": decision.variant,
        "ladnn.bundle_id": decision.bundle_id,
    }
    if test.difference is not None:
        difference = {"bootstrap": test.difference.bootstrap, "delong": test.difference.delong}
        for name, interval in difference.items():
            metrics |= _bounds(f"test.auroc_difference_{name}", interval)
    tracking.log_summary(run_id, metrics, tags)
    tracking.log_document(run_id, decision.model_dump(mode="json"), "decision.json")


def log_gate_evidence(tracking: Tracking, run_id: str, evidence: Evidence, flips: Sequence[Mapping[str, Any]]) -> None:
    """Log what the gates looked at: the list of answers that change, the table of retention, the times of serving."""
    metrics: dict[str, float | None] = {}
    if (retention := evidence.test.retention) is not None:
        for cell in ("champion_previous", "champion_new", "candidate_previous", "candidate_new"):
            measured: Interval | None = getattr(retention, cell)
            metrics[f"retention.{cell}"] = measured.value if measured else None
        for cell in ("brought_by_data", "brought_by_model", "brought_by_model_previous"):
            metrics[f"retention.{cell}"] = getattr(retention, cell)
    if evidence.serving is not None:
        metrics["serving.latency_ms"] = evidence.serving.latency_ms
        metrics["serving.megabytes"] = evidence.serving.size_bytes / 1e6
    metrics["test.openings"] = evidence.test.openings
    tracking.log_summary(run_id, metrics, {})
    tracking.log_document(run_id, evidence.model_dump(mode="json"), "gate_evidence.json")
    tracking.log_document(run_id, list(flips), "flips.json")


def end(tracking: Tracking, summary: RetrainSummary) -> None:
    """End the parent run of a retrain; one that waits for a person ends now, too, and says more once it is answered."""
    run_id, tags = tracking.parent_run(summary.retrain_id, {}), {STATUS: summary.status}
    if summary.waits_until:
        tags["ladnn.waits_until"] = summary.waits_until.isoformat(timespec="seconds")
    if (given := summary.approval) is not None:
        tags |= {"ladnn.answer": given.verdict, "ladnn.answered_by": given.by, "ladnn.answer_reason": given.reason}
    tracking.log_summary(run_id, {}, tags)
    tracking.log_document(run_id, summary.model_dump(mode="json"), "summary.json")
    tracking.finish(run_id, ending(summary.status))


def ending(status: str) -> str:
    """Return how MLflow shows the runs of a retrain that ended so: one that was superseded came to no result."""
    return "KILLED" if status == "superseded" else "FINISHED"


def fail(settings: Settings, retrain_id: str) -> None:
    """End the runs of a retrain that raised an error; the next run takes them up again."""
    try:
        open_tracking(settings).finish_all(retrain_id, "FAILED")
    except TrackingError as error:  # the error that ended the retrain matters more
        say(f"the runs of retrain {retrain_id} stay open: {error}")


def _flat(prefix: str, scores: Scores) -> dict[str, float | None]:
    metrics: dict[str, float | None] = {}
    for name in DIAGNOSIS_METRICS:
        metrics |= _bounds(f"{prefix}.{name}", getattr(scores.diagnosis, name))
    for code, lesion in (scores.lesions or {}).items():
        metrics |= {f"{prefix}.{code}.auroc": lesion.auroc.value, f"{prefix}.{code}.f1": lesion.f1.value}
    return metrics


def _bounds(name: str, interval: Interval) -> dict[str, float | None]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
