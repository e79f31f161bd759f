"""The predictor: what is evaluated is what is served, on image files as they come."""

import io
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from ladnn.dataset.pixels import load_pixels
from ladnn.errors import BundleError, ImageRejectedError, NoChampionError
from ladnn.intake.decode import decode
from ladnn.labels import LESIONS
from ladnn.registry.bundle import load_bundle
from ladnn.registry.reconcile import reconcile
from ladnn.serving.predictor import Predictor, load_champion
from ladnn.signing import TrustedKeys
from ladnn.store import write_json
from ladnn.store.log import note_length


@pytest.fixture(scope="module")
def predictor(trained_platform):
    return Predictor(load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted), "1")


def evaluated(platform, files):
    """Return the probabilities (N, 6) that evaluation computes of contributed files, through store and cache."""
    bundle = load_bundle(platform.store, platform.bundle_id, platform.trusted)
    digests = [decode(data).digest for data in files]
    pixels = load_pixels(platform.store, digests, bundle.manifest.preprocessing, platform.settings.cache)
    return bundle.probabilities(pixels)


def test_a_served_probability_is_the_evaluated_probability_of_the_same_file(trained_platform, predictor):
    files = trained_platform.contributed_images()
    expected = evaluated(trained_platform, files)

    one_by_one = [predictor.predict([data])[0] for data in files]
    together = predictor.predict(files)

    for served in (one_by_one, together):
        rows = [[item.probability, *item.lesions.values()] for item in served]
        np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert [item.decision for item in one_by_one] == [item.decision for item in together]
    assert len({round(item.probability, 4) for item in together}) > len(files) // 2  # else equality would say little


def test_a_model_that_a_lost_record_may_have_taken_away_answers_and_says_so(champion_platform, capsys):
    load_champion(champion_platform.store, champion_platform.trusted)
    assert capsys.readouterr().err == ""
    note_length(champion_platform.store, "promotions/", 2)

    predictor = load_champion(champion_platform.store, champion_platform.trusted)

    assert predictor.model_version == "1"
    assert "had 2 records and ends at 1: model version 1 answers" in capsys.readouterr().err


def test_a_damaged_note_of_the_logs_length_is_told_and_the_model_answers_all_the_same(champion_platform, capsys):
    write_json(champion_platform.store, "log_lengths/promotions.json", {})

    assert load_champion(champion_platform.store, champion_platform.trusted).model_version == "1"

    assert "promotions.json of" in capsys.readouterr().err
    (item,) = reconcile(champion_platform.settings, champion_platform.store).needs_a_person
    assert (item.what, item.done) == ("promotion log", "restore it from backup, or delete it")


def test_a_prediction_has_five_lesions_in_order_and_names_its_model(trained_platform, predictor):
    (prediction,) = predictor.predict(trained_platform.contributed_images()[:1])

    assert tuple(prediction.lesions) == LESIONS
    assert all(0 <= value <= 1 for value in (prediction.probability, *prediction.lesions.values()))
    assert prediction.model_version == "1"


@pytest.mark.parametrize(("shift", "decision"), [(0.0, "positive"), (1e-9, "negative"), (-1e-9, "positive")])
def test_at_the_operating_point_the_decision_is_positive_just_below_it_negative(
    trained_platform, predictor, shift, decision
):
    image = trained_platform.contributed_images()[0]
    (scored,) = predictor.predict([image])
    bundle = load_bundle(trained_platform.store, trained_platform.bundle_id, trained_platform.trusted)
    bundle.manifest = bundle.manifest.model_copy(update={"threshold": scored.probability + shift})

    assert Predictor(bundle, "1").predict([image])[0].decision == decision


def test_the_same_slice_as_png_rgb_and_16_bit_gives_the_same_answer(trained_platform, predictor):
    pixels = decode(trained_platform.contributed_images()[0]).pixels
    forms = [Image.fromarray(pixels), Image.fromarray(pixels).convert("RGB")]
    forms.append(Image.fromarray(pixels.astype(np.uint16) * 257))

    answers = set()
    for form in forms:
        buffer = io.BytesIO()
        form.save(buffer, format="PNG")
        answers.add(predictor.predict([buffer.getvalue()])[0].probability)
    assert len(answers) == 1


def test_no_image_is_no_prediction(predictor):
    assert predictor.predict([]) == []


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"no image", "wrong_type"), (b"\x89PNG\r\n\x1a\n", "truncated")]
)
def test_an_image_that_cannot_be_read_is_refused_with_its_reason(predictor, data, reason):
    with pytest.raises(ImageRejectedError) as caught:
        predictor.predict([data])
    assert caught.value.reason == reason


def test_the_champion_of_the_log_is_loaded(champion_platform):
    newer = champion_platform.another_bundle(0.3)
    assert load_champion(champion_platform.store, champion_platform.trusted).bundle.id == champion_platform.bundle_id

    champion_platform.promote(newer, "2")

    loaded = load_champion(champion_platform.store, champion_platform.trusted)
    assert (loaded.bundle.id, loaded.model_version, loaded.bundle.manifest.threshold) == (newer, "2", 0.3)


def test_without_a_promotion_there_is_nothing_to_load(file_store):
    with pytest.raises(NoChampionError, match="ladnn retrain"):
        load_champion(file_store, TrustedKeys(()))


def test_a_damaged_champion_is_refused(champion_platform):
    (champion_platform.home / "store" / "bundles" / champion_platform.bundle_id / "golden.safetensors").unlink()

    with pytest.raises(BundleError, match="incomplete"):
        load_champion(champion_platform.store, champion_platform.trusted)


def test_the_serving_path_imports_no_training_library_and_reaches_no_network(champion_platform):
    script = textwrap.dedent("""
        import socket, sys

        def refuse(event, arguments):
            if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
                raise RuntimeError(f"the service reached for the network: {event} {arguments}")

        sys.addaudithook(refuse)
        from ladnn.serving.web import create_app
        from ladnn.serving.predictor import load_champion
        from ladnn.signing import TrustedKeys
        from ladnn.store import open_store

        store, trusted = open_store(sys.argv[1]), TrustedKeys((sys.argv[3],))
        create_app(store, trusted)
        with open(sys.argv[2], "rb") as file:
            load_champion(store, trusted).predict([file.read()])
        unwanted = {"torch", "onnx", "onnxscript", "mlflow", "prefect", "evidently", "boto3"}
        print(sorted(unwanted & set(sys.modules)))
    """)
    image = champion_platform.home / "slice.png"
    image.write_bytes(champion_platform.contributed_images()[0])

    command = [sys.executable, "-c", script, champion_platform.store.url, str(image), str(champion_platform.trusted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)
