"""The web service, over real HTTP: predictions, refusals, and a promotion that is picked up while serving."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from ladnn.errors import BundleError, NoChampionError
from ladnn.serving.predictor import load_champion
from ladnn.serving.web import create_app
from ladnn.signing import TrustedKeys


@contextmanager
def serving(platform, check_every_s=0.0, log=None):
    """Run the service on a free port and give a client of it."""
    app = create_app(platform.store, platform.trusted, check_every_s, log)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture
def client(champion_platform):
    with serving(champion_platform) as client:
        yield client


def upload(client, files):
    return client.post("/predict", files=[("images", (name, data, "image/png")) for name, data in files.items()])


def damage(platform, bundle_id):
    path = platform.home / "store" / "bundles" / bundle_id / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])


def test_several_images_are_answered_in_order_as_the_predictor_answers(client, champion_platform):
    images = champion_platform.contributed_images()[:3]

    answer = upload(client, {f"slice {i}.png": data for i, data in enumerate(images)})

    expected = load_champion(champion_platform.store, champion_platform.trusted).predict(images)
    assert answer.status_code == 200
    for item, prediction in zip(answer.json(), expected, strict=True):
        assert item["probability"] == pytest.approx(prediction.probability, abs=1e-6)
        assert item["decision"] == prediction.decision
        assert item["lesions"] == pytest.approx(prediction.lesions, abs=1e-6)
        assert item["model_version"] == "1"
    assert [item["image"] for item in answer.json()] == ["slice 0.png", "slice 1.png", "slice 2.png"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"no image", "wrong_type"), (b"\x89PNG\r\n\x1a\n" + b"?" * 99, "truncated")],
)
def test_an_unreadable_image_is_422_with_its_name_and_reason_and_no_traceback(client, champion_platform, data, reason):
    whole = champion_platform.contributed_images()[0]

    answer = upload(client, {"whole.png": whole, "broken.png": data})

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"broken.png: {reason}: ")
    assert "Traceback" not in answer.text
    assert "/ladnn/" not in answer.text


def test_a_request_without_the_form_field_is_422_and_names_it(client):
    answer = client.post("/predict", files=[("file", ("a.png", b"x", "image/png"))])

    assert answer.status_code == 422
    assert "images" in answer.text


def test_an_upload_that_is_too_large_is_413(client):
    answer = upload(client, {"huge.png": b"\0" * 50_000_001})

    assert answer.status_code == 413
    assert answer.json()["detail"] == "huge.png is larger than 50 MB"


def test_the_service_says_which_model_answers(client, champion_platform):
    manifest = load_champion(champion_platform.store, champion_platform.trusted).bundle.manifest

    assert client.get("/health").json() == {"status": "ok", "model_version": "1"}
    assert client.get("/model").json() == {
        "model_version": "1",
        "bundle_id": champion_platform.bundle_id,
        "threshold": manifest.threshold,
        "dataset_version": manifest.dataset_version,
        "intended_use": manifest.intended_use,
    }


def test_without_a_champion_it_does_not_start_and_says_what_to_do(file_store):
    with pytest.raises(NoChampionError, match="ladnn retrain"):
        create_app(file_store, TrustedKeys(()))


def test_with_a_damaged_champion_it_does_not_start(champion_platform):
    damage(champion_platform, champion_platform.bundle_id)

    with pytest.raises(BundleError, match="changed"):
        create_app(champion_platform.store, champion_platform.trusted)


def test_a_promotion_and_a_rollback_are_picked_up_while_serving(client, champion_platform):
    newer = champion_platform.another_bundle(0.0)
    image = champion_platform.contributed_images()[0]
    seen = [client.get("/model").json()["bundle_id"]]
    for bundle_id, version in ((newer, "2"), (champion_platform.bundle_id, "1")):
        champion_platform.promote(bundle_id, version)
        answer = upload(client, {"a.png": image}).json()[0]
        assert answer["model_version"] == version
        seen.append(client.get("/model").json()["bundle_id"])

    assert seen == [champion_platform.bundle_id, newer, champion_platform.bundle_id]


def test_between_two_checks_the_model_stays(champion_platform):
    with serving(champion_platform, check_every_s=3600) as client:
        champion_platform.promote(champion_platform.another_bundle(0.0), "2")

        assert client.get("/health").json()["model_version"] == "1"


def test_a_damaged_new_champion_is_not_served_the_old_one_answers_and_health_says_so(client, champion_platform, capfd):
    newer = champion_platform.another_bundle(0.0)
    damage(champion_platform, newer)
    champion_platform.promote(newer, "2")

    assert upload(client, {"a.png": champion_platform.contributed_images()[0]}).json()[0]["model_version"] == "1"
    assert client.get("/health").json() == {"status": "stale", "model_version": "1"}
    assert "still serving model version 1" in capfd.readouterr().err


def test_a_store_that_goes_away_for_a_while_does_not_end_the_service(client, champion_platform):
    log, away = champion_platform.home / "store" / "promotions", champion_platform.home / "away"
    log.rename(away)
    log.symlink_to(away)  # the store refuses links

    assert client.get("/health").json() == {"status": "stale", "model_version": "1"}

    log.unlink()
    away.rename(log)
    assert client.get("/health").json() == {"status": "ok", "model_version": "1"}


def test_twenty_requests_at_once_during_a_promotion_all_get_a_whole_answer(client, champion_platform):
    images = champion_platform.contributed_images()
    expected = [
        item.probability for item in load_champion(champion_platform.store, champion_platform.trusted).predict(images)
    ]
    newer = champion_platform.another_bundle(0.0)

    def ask(number):
        if number == 5:
            champion_platform.promote(newer, "2")
        return upload(client, {"a.png": images[number % len(images)]})

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))

    assert {answer.status_code for answer in answers} == {200}
    for number, answer in enumerate(answers):
        assert answer.json()[0]["probability"] == pytest.approx(expected[number % len(images)], abs=1e-6)
    assert {answer.json()[0]["model_version"] for answer in answers} <= {"1", "2"}
    assert client.get("/health").json()["model_version"] == "2"
