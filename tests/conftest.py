"""Owns the fixtures that tests of several stages share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from real_data import COVID_CT
from s3_server import S3Server, running_s3_server

from ladnn.store import ObjectStore, open_store

pytest_plugins = ("trained_platform",)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server, for the whole session."""
    with running_s3_server() as server:
        yield server


@pytest.fixture
def file_store(tmp_path: Path) -> ObjectStore:
    """An empty store in a folder."""
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def s3_store(s3_server: S3Server) -> ObjectStore:
    """An empty store in a bucket of its own."""
    return open_store(f"s3://{s3_server.make_bucket()}/lab/one", s3_server.options)


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty store of either kind."""
    chosen: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return chosen


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The COVID-CT collection (`metadata.csv`, `images/`), which is never part of this repository."""
    if not (COVID_CT / "metadata.csv").is_file():
        pytest.skip(f"no COVID-CT collection at {COVID_CT}; name its folder in COVID_CT_DIR")
    return COVID_CT
