"""What the service keeps of what it sees: enough to look for drift, nothing of a person."""

import json

import pytest
from test_web import serving, upload

from ladnn.config_monitoring import DriftConfig
from ladnn.dataset.intensity import intensity_statistics
from ladnn.errors import StoreAccessError
from ladnn.intake.decode import decode
from ladnn.labels import LABELS
from ladnn.platform import Platform
from ladnn.registry.drift import check_drift
from ladnn.registry.served import PREFIX, read_served, served_keys
from ladnn.serving.prediction_log import PredictionLog
from ladnn.serving.predictor import load_champion

NAME = "John Doe 1961-02-03.png"


def kept(platform):
    return list(read_served(platform.store, served_keys(platform.store, 1), platform.bundle_id))


@pytest.fixture
def served(champion_platform):
    """Three images of two requests, served and written down when the service stopped."""
    images = champion_platform.contributed_images()[:3]
    with serving(champion_platform, log=PredictionLog(champion_platform.store)) as client:
        answers = [
            *upload(client, {NAME: images[0], "b.png": images[1]}).json(),
            *upload(client, {NAME: images[2]}).json(),
        ]
    return champion_platform, images, answers


def test_what_was_answered_is_kept_with_what_was_seen_and_without_names_or_pixels(served):
    platform, images, answers = served
    found = kept(platform)

    assert [item.probabilities["covid"] for item in found] == pytest.approx([item["probability"] for item in answers])
    assert [set(item.probabilities) for item in found] == [set(LABELS)] * 3
    assert found[0].intensity == pytest.approx(intensity_statistics(decode(images[0]).pixels))
    assert found[0].acquisition["format"] == "PNG"
    assert found[0].request == found[1].request != found[2].request
    (key,) = platform.store.list(PREFIX)
    text = platform.store.get(key).decode()
    assert "Doe" not in text
    assert len(text) < 3000 * len(found)
    assert set(json.loads(text)["predictions"][0]) == {
        "at", "request", "model_version", "bundle_id", "probabilities", "acquisition", "intensity", "embedding",
    }  # fmt: skip


def test_answers_are_the_same_with_and_without_the_log(served):
    platform, images, answers = served
    plain = load_champion(platform.store, platform.trusted).predict(images)
    assert [item["probability"] for item in answers] == pytest.approx([item.probability for item in plain])


def test_embeddings_follow_once_a_check_has_fitted_components_and_the_next_check_counts_what_was_served(served):
    platform, images, _ = served
    assert [item.embedding for item in kept(platform)] == [None] * 3
    installation = Platform(platform.settings, platform.store)
    config = DriftConfig(min_patients=2, min_site_patients=2)
    first = check_drift(installation, config)
    assert [(item.stream, item.n_images, item.n_patients) for item in first.streams] == [("service", 3, 2)]

    with serving(platform, log=PredictionLog(platform.store)) as client:
        upload(client, {"a.png": images[0]})

    (latest,) = [item for item in kept(platform) if item.embedding]
    assert len(latest.embedding) <= 32
    assert check_drift(installation, config).streams[0].n_images == 4


def test_without_a_log_nothing_is_kept(champion_platform):
    with serving(champion_platform) as client:
        upload(client, {"a.png": champion_platform.contributed_images()[0]})
    assert list(champion_platform.store.list(PREFIX)) == []


def test_a_store_that_is_away_costs_no_answer_and_what_waits_is_written_later(champion_platform, monkeypatch):
    store = champion_platform.store
    log = PredictionLog(store)
    predictor = load_champion(store, champion_platform.trusted)
    prediction, decoded, seen = predictor.predict_and_look(champion_platform.contributed_images()[0])
    put = type(store).put

    def away(*_):
        raise StoreAccessError("the store cannot be reached; start it")

    monkeypatch.setattr(type(store), "put", away)
    for request in ("1", "2"):
        log.note(request, "1", predictor.bundle, decoded, seen)
        log.write()
    assert not log.is_written
    monkeypatch.setattr(type(store), "put", put)
    log.write()

    assert log.is_written
    assert [item.request for item in kept(champion_platform)] == ["1", "2"]
    assert kept(champion_platform)[0].probabilities["covid"] == pytest.approx(prediction.probability)
