"""All metrics of a retrain in one flat table: a row for each split, model, head and slice."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.evaluation.metrics import DIAGNOSIS_METRICS
from ladnn.evaluation.slices import Scores, Slice
from ladnn.evaluation.validation import read_validated
from ladnn.labels import LESIONS
from ladnn.registry.test_set import read_test_result
from ladnn.retrain import Plan
from ladnn.statistics import Interval
from ladnn.store import ObjectStore

WHOLE = "all"
_LESION_METRICS = ("auroc", "f1")


class MetricRow(BaseModel):
    """The metrics of one head of one model on one slice.

    Attributes:
        model: the variant on validation; candidate or champion on test.
        head: `diagnosis`, or a lesion code.
        by: what slices the split: source, site, sex or age; `all` for the whole.
        value: of that property; `all` for the whole.
        n_known: images with a known label, on which everything is computed.
        n_positive: those of them that show what the head looks for.
        n_patients: patients of the known images; of a lesion not counted.
        min_patients: patients of each class without which a metric has no value.
        metrics: by name, as in `DIAGNOSIS_METRICS`; `auroc` and `f1` for a lesion.
    """

    model_config = ConfigDict(frozen=True)

    split: Literal["validation", "test"]
    model: str
    head: str
    by: str
    value: str
    n_known: int
    n_positive: int
    n_patients: int | None
    min_patients: int
    metrics: dict[str, Interval]


def metric_rows(store: ObjectStore, plan: Plan) -> tuple[MetricRow, ...]:
    """Return what the stages of a retrain measured so far: validation by variant, then test."""
    rows: list[MetricRow] = []
    for variant in plan.config.variants:
        validated = read_validated(store, plan.retrain_id, variant.name)
        if validated is not None:
            rows += _of_model("validation", variant.name, validated.scores, validated.slices)
    result = read_test_result(store, plan.retrain_id)
    if result is not None and result.candidate_scores is not None:
        rows += _of_model("test", "candidate", result.candidate_scores, result.candidate_slices)
    if result is not None and result.champion_scores is not None:
        rows += _of_model("test", "champion", result.champion_scores, result.champion_slices)
    return tuple(rows)


def as_csv(rows: Sequence[MetricRow]) -> str:
    """Return the rows as a table for a spreadsheet; an empty cell stands for not enough cases."""
    keys = ("split", "model", "head", "by", "value", "n_known", "n_positive", "n_patients", "min_patients")
    bounds = [(name, bound) for name in DIAGNOSIS_METRICS for bound in ("value", "low", "high")]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*keys, *(name if bound == "value" else f"{name}_{bound}" for name, bound in bounds)])
    for row in rows:
        cells = [getattr(row.metrics[name], bound) if name in row.metrics else None for name, bound in bounds]
        writer.writerow([*(getattr(row, key) for key in keys), *cells])
    return buffer.getvalue()


def _of_model(
    split: Literal["validation", "test"], model: str, scores: Scores, slices: Sequence[Slice]
) -> Iterator[MetricRow]:
    parts = [(WHOLE, WHOLE, 1, scores), *((item.by, item.value, item.min_patients, item.scores) for item in slices)]
    for by, value, min_patients, part in parts:
        diagnosis = part.diagnosis
        yield MetricRow(
            split=split,
            model=model,
            head="diagnosis",
            by=by,
            value=value,
            n_known=diagnosis.n_images,
            n_positive=diagnosis.n_positive,
            n_patients=diagnosis.n_patients,
            min_patients=min_patients,
            metrics={name: getattr(diagnosis, name) for name in DIAGNOSIS_METRICS},
        )
        for code, lesion in ((code, part.lesions[code]) for code in LESIONS if part.lesions):
            yield MetricRow(
                split=split,
                model=model,
                head=code,
                by=by,
                value=value,
                n_known=lesion.n_known,
                n_positive=lesion.n_present,
                n_patients=None,
                min_patients=min_patients,
                metrics={name: getattr(lesion, name) for name in _LESION_METRICS},
            )
