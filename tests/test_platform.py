"""An installation is opened from its settings, or refused before any work begins."""

from dataclasses import replace
from pathlib import Path

import pytest
from s3_server import S3Server

from ladnn import platform
from ladnn.errors import SettingsError, StoreAccessError, StoreFullError
from ladnn.platform import check_free_space, open_platform
from ladnn.settings import read_settings


def test_an_embedded_installation_opens_without_any_server(tmp_path: Path) -> None:
    opened = open_platform(read_settings({"LADNN_HOME": str(tmp_path)}))
    opened.store.put("a", b"1")
    assert (tmp_path / "store" / "a").read_bytes() == b"1"


def test_a_shared_installation_opens_its_bucket(s3_server: S3Server) -> None:
    options = s3_server.options
    environment = {
        "LADNN_STORE_URL": f"s3://{s3_server.make_bucket()}/lab",
        "LADNN_S3_ENDPOINT_URL": str(options.endpoint_url),
        "AWS_ACCESS_KEY_ID": str(options.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(options.secret_access_key),
        "AWS_REGION": "us-east-1",
    }
    opened = open_platform(read_settings(environment))
    opened.store.put("a", b"1")
    assert opened.store.get("a") == b"1"
    with pytest.raises(StoreAccessError, match="no such bucket"):
        open_platform(replace(opened.settings, store_url="s3://never-made/lab"))


def test_a_full_disk_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings({"LADNN_HOME": str(tmp_path / "new" / "home")})
    monkeypatch.setattr(platform, "LEAST_FREE_BYTES", 1)
    check_free_space(settings)
    monkeypatch.setattr(platform, "LEAST_FREE_BYTES", 10**18)
    with pytest.raises(StoreFullError, match="set LADNN_HOME to a larger disk"):
        check_free_space(settings)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="LADNN_HOME"):
        check_free_space(replace(settings, home=tmp_path / "file" / "home"))
