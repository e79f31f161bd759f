"""The champion on a labelled folder: what is scored, what is skipped and why, what the model knew before."""

import numpy as np
import pandas as pd
import pytest
from trained_platform import VARIANT

from ladnn.errors import ContributionError, RetrainError
from ladnn.intake.decode import encode_canonical
from ladnn.labels import LESIONS
from ladnn.phantoms.study import generate_study
from ladnn.registry.named_models import named_models
from ladnn.retrain import document_key
from ladnn.serving.assessment import assess
from ladnn.serving.predictor import load_champion

N_NEW = 6


@pytest.fixture
def folder(tmp_path):
    """Images of six new patients, alternately with and without the disease."""
    images = tmp_path / "images"
    images.mkdir()
    for index in range(N_NEW):
        study = generate_study(77, index, kind="covid" if index % 2 else "normal", n_slices=1)
        (images / f"{index}.png").write_bytes(encode_canonical(study.slices[0].pixels))
    return images


def table_of(folder, **columns):
    names = sorted(path.name for path in folder.iterdir())
    labels = {
        "image": names,
        "patient_id": [f"P{i}" for i in range(len(names))],
        "covid": [i % 2 for i in range(len(names))],
    }
    path = folder.parent / "labels.csv"
    pd.DataFrame(labels | columns).to_csv(path, index=False)
    return path


def assessed(platform, folder, table):
    (assessment,) = assess(
        platform.store, named_models(platform.store, ["champion"], platform.trusted), folder, table
    ).models
    return assessment


def test_new_images_are_scored_with_the_champions_probabilities(champion_platform, folder):
    champion = load_champion(champion_platform.store, champion_platform.trusted)
    assessment = assessed(champion_platform, folder, table_of(folder))

    answers = champion.predict([path.read_bytes() for path in sorted(folder.iterdir())])
    right = [(answer.decision == "positive") == bool(i % 2) for i, answer in enumerate(answers)]
    diagnosis = assessment.scores.diagnosis
    assert diagnosis.accuracy.value == pytest.approx(np.mean(right))
    assert diagnosis.threshold == champion.bundle.manifest.threshold
    assert (assessment.n_scored, diagnosis.n_images, diagnosis.n_patients, diagnosis.n_positive) == (6, 6, 6, 3)
    assert (assessment.model_version, assessment.n_known_to_model, assessment.skipped) == ("1", 0, ())


def test_lesions_that_the_table_does_not_have_are_unknown_not_negative(champion_platform, folder):
    lesions = assessed(champion_platform, folder, table_of(folder)).scores.lesions

    assert {code: metrics.n_known for code, metrics in lesions.items()} == dict.fromkeys(LESIONS, 0)


def test_lesions_are_scored_where_the_table_states_them(champion_platform, folder):
    lesions = assessed(champion_platform, folder, table_of(folder, ggo=[0, 1, 0, 1, 0, ""])).scores.lesions

    assert (lesions["GGO"].n_known, lesions["GGO"].n_present) == (2, 2)


def test_images_without_a_patient_count_as_patients_of_their_own(champion_platform, folder):
    table = table_of(folder, patient_id=["P1", "P1", "", " ", "", "P2"])

    assert assessed(champion_platform, folder, table).scores.diagnosis.n_patients == 5


def test_what_cannot_be_read_is_skipped_with_its_reason_and_the_rest_is_scored(champion_platform, folder):
    (folder / "0.png").write_bytes(b"no image")
    table = table_of(folder, image=["0.png", "missing.png", "", "3.png", "4.png", "5.png"])

    assessment = assessed(champion_platform, folder, table)

    assert assessment.n_scored == assessment.scores.diagnosis.n_images == 3
    assert [item.image for item in assessment.skipped] == ["0.png", "missing.png", ""]
    assert "PNG, JPEG" in assessment.skipped[0].reason
    assert "No such file" in assessment.skipped[1].reason


def test_an_image_counts_once_and_not_at_all_where_its_lines_disagree(champion_platform, folder):
    table = table_of(folder, image=["0.png", "1.png", "1.png", "0.png", "4.png", "5.png"], patient_id=list("AAAABC"))
    table.write_text(table.read_text().replace("0.png,A,1", "0.png,A,0"))  # 1.png is stated to be both

    assessment = assessed(champion_platform, folder, table)

    assert assessment.n_scored == 3
    assert [item.image for item in assessment.skipped] == ["1.png", "1.png", "0.png"]
    assert "do not agree" in assessment.skipped[1].reason
    assert "earlier line" in assessment.skipped[2].reason


def test_images_of_the_models_own_dataset_version_are_counted(champion_platform, folder):
    (folder / "0.png").write_bytes(champion_platform.contributed_images()[0])

    assert assessed(champion_platform, folder, table_of(folder)).n_known_to_model == 1


def test_unknown_diagnoses_are_counted_apart(champion_platform, folder):
    diagnosis = assessed(champion_platform, folder, table_of(folder, covid=[0, 1, "", 1, "", 1])).scores.diagnosis

    assert (diagnosis.n_images, diagnosis.n_unknown) == (4, 2)


def test_a_folder_without_one_readable_image_is_an_error_that_names_the_first(champion_platform, folder):
    table = table_of(folder)

    with pytest.raises(ContributionError, match=r"0\.png"):
        assessed(champion_platform, folder.parent / "elsewhere", table)


def test_an_empty_table_is_an_error(champion_platform, folder):
    table = folder.parent / "labels.csv"
    table.write_text("image,patient_id,covid\n")

    with pytest.raises(ContributionError, match="no row"):
        assessed(champion_platform, folder, table)


def test_progress_counts_rows_and_models(champion_platform, folder):
    steps = []
    models = named_models(champion_platform.store, ["champion", "last"], champion_platform.trusted)

    assess(champion_platform.store, models, folder, table_of(folder), lambda done, total: steps.append((done, total)))

    assert steps == [(done, N_NEW + 2) for done in range(1, N_NEW + 3)]


def test_a_variant_that_nobody_promoted_is_scored_as_its_bundle_is(champion_platform, folder):
    names = ["champion", f"{champion_platform.retrain_id}/{VARIANT}"]

    assessed = assess(
        champion_platform.store,
        named_models(champion_platform.store, names, champion_platform.trusted),
        folder,
        table_of(folder),
    )

    champion, variant = assessed.models
    assert (champion.model, champion.model_version) == ("champion", "1")
    assert (variant.model, variant.model_version) == (VARIANT, None)
    assert variant.n_scored == champion.n_scored
    for name in ("brier", "threshold", "sensitivity", "specificity"):
        of_variant, of_champion = (getattr(item.scores.diagnosis, name) for item in (variant, champion))
        value, other = (getattr(item, "value", item) for item in (of_variant, of_champion))
        assert value == pytest.approx(other)
    (retrain,) = assessed.retrains
    assert (retrain.retrain_id, retrain.comparisons) == (champion_platform.retrain_id, ())  # no baseline is trained


def test_a_variant_without_an_operating_point_is_an_error_that_says_what_to_do(platform, folder):
    document = platform.home / "store" / document_key(platform.retrain_id, f"variants/{VARIANT}/validated")
    document.unlink()

    with pytest.raises(RetrainError, match="no operating point yet; run the retrain again"):
        assess(platform.store, named_models(platform.store, ["last"], platform.trusted), folder, table_of(folder))
