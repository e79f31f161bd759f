"""The figures of a retrain, drawn from what its stages kept; no model is run and no test set opened again."""

from collections.abc import Iterator

import pandas as pd

from ladnn.config import EvaluationConfig, Variant
from ladnn.dataset.version import label_matrix, load_manifest, rows_of
from ladnn.errors import RetrainError
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.figures.calibration_curve import calibration_curve
from ladnn.evaluation.figures.curves import Run, precision_recall_curves, roc_curves
from ladnn.evaluation.figures.lesion_pairs import lesion_pairs
from ladnn.evaluation.figures.training_curves import Training, training_curves
from ladnn.evaluation.scored import TEST_CANDIDATE, TEST_CHAMPION, Scored, read_scored, validation_scores
from ladnn.evaluation.validation import Validated, read_validated
from ladnn.labels import DIAGNOSIS
from ladnn.model.graph import sigmoid
from ladnn.registry.test_set import TestResult, read_test_result
from ladnn.retrain import Plan
from ladnn.store import ObjectStore
from ladnn.training.result import read_trained


def draw_figures(store: ObjectStore, plan: Plan) -> dict[str, bytes]:
    """Return the PNG files of a retrain by name; what its data do not allow (a class is missing) is left out.

    Raises:
        RetrainError: no variant is trained yet.
    """
    found = ((variant, read_trained(store, plan.retrain_id, variant.name)) for variant in plan.config.variants)
    trained = [(variant, result) for variant, result in found if result is not None]
    if not trained:
        raise RetrainError(f"no variant of retrain {plan.retrain_id} is trained yet, so there is nothing to draw")
    manifest = load_manifest(store, plan.dataset_version)
    trainings = [Training(variant.backbone, variant.task, result.epochs) for variant, result in trained]
    title = f"Retrain {plan.retrain_id}, {trained[0][1].n_train_images} training images"
    figures = {"training_curves.png": training_curves(trainings, title)}
    figures |= dict(_validation(store, plan, rows_of(manifest, "validation")))
    if (result := read_test_result(store, plan.retrain_id)) is not None:
        figures |= dict(_test(store, plan, result, rows_of(manifest, "test")))
    return figures


def _validation(store: ObjectStore, plan: Plan, rows: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    runs = []
    for variant in plan.config.variants:
        validated = read_validated(store, plan.retrain_id, variant.name)
        scored = read_scored(store, plan.retrain_id, validation_scores(variant.name))
        if validated is None or scored is None:
            continue
        runs.append(_run(variant, validated, rows, scored))
        title = f"{variant.name} on validation"
        yield from _of_model(rows, scored, plan.config.evaluation, title, f"validation_{variant.name}")
    yield from _curves(runs, "validation", plan.retrain_id)


def _test(store: ObjectStore, plan: Plan, result: TestResult, rows: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    runs = []
    measured = (
        ("candidate", TEST_CANDIDATE, result.candidate_scores),
        ("champion", TEST_CHAMPION, result.champion_scores),
    )
    for name, document, scores in measured:
        scored = read_scored(store, plan.retrain_id, document)
        if scored is None or scores is None:
            continue
        diagnosis = scores.diagnosis
        runs.append(Run(name, name, name == "champion", _cases(rows, scored), diagnosis.auroc, diagnosis.auprc))
        if name == "candidate":
            title = f"candidate of {plan.retrain_id} on test"
            yield from _of_model(rows, scored, plan.config.evaluation, title, "test_candidate")
    yield from _curves(runs, "test", plan.retrain_id)


def _run(variant: Variant, validated: Validated, rows: pd.DataFrame, scored: Scored) -> Run:
    diagnosis = validated.scores.diagnosis
    is_control = variant.task == "baseline"
    cases = _cases(rows, scored)
    return Run(variant.group, variant.backbone, is_control, cases, diagnosis.auroc, diagnosis.auprc)


def _curves(runs: list[Run], split: str, retrain_id: str) -> Iterator[tuple[str, bytes]]:
    drawable = [run for run in runs if run.cases.finite and 0 < run.cases.n_present < run.cases.n]
    if drawable:
        yield f"{split}_roc.png", roc_curves(drawable, f"ROC on {split}, retrain {retrain_id}")
        title = f"Precision and recall on {split}, retrain {retrain_id}"
        yield f"{split}_precision_recall.png", precision_recall_curves(drawable, title)


def _of_model(
    rows: pd.DataFrame, scored: Scored, evaluation: EvaluationConfig, title: str, name: str
) -> Iterator[tuple[str, bytes]]:
    after = _cases(rows, scored)
    if not after.finite or not after.n:
        return
    labels, logits = label_matrix(rows)[:, 0].astype(float), scored.logits_of(rows)
    before = known_cases(labels, sigmoid(logits)[:, 0], list(rows["group"]))
    confidence, unfitted = evaluation.confidence, scored.calibration.temperatures[DIAGNOSIS].unfitted
    yield f"{name}_calibration.png", calibration_curve(before, after, confidence, f"Calibration, {title}", unfitted)
    if logits.shape[1] > 1:
        yield (
            f"{name}_lesion_pairs.png",
            lesion_pairs(
                labels,
                scored.probabilities_of(rows)[:, 1:],
                list(rows["group"]),
                f"Lesion outputs, {title}",
                confidence=confidence,
                min_patients=evaluation.min_slice_patients,
            ),
        )


def _cases(rows: pd.DataFrame, scored: Scored) -> Cases:
    labels = rows[DIAGNOSIS].to_numpy(dtype=float)
    return known_cases(labels, scored.probabilities_of(rows)[:, 0], list(rows["group"]))
