"""Owns a platform on which one whole retrain has run, for tests that only read it."""

import shutil
from collections.abc import Iterator

import pytest
from ladnn_command import LENIENT, Home, fixed_home, write_config
from promoted_home import Promoted

SMALL = {"training": {"epochs": 5, "batch_size": 16, "learning_rate": 1e-3}, "gates": LENIENT}


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Promoted]:
    """Contribute 36 phantoms, damage one image in the inbox, and retrain, watched by strace where there is one."""
    folder = tmp_path_factory.mktemp("promoted")
    connections = folder / "connections" if shutil.which("strace") else None
    watch = ("strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "-qq", "-o", str(connections))
    home = fixed_home(folder / "home")
    assert home.run("phantoms", "--patients", 36, "--slices", 2, "--seed", 3).code == 0
    corrupted = sorted(home.store.glob("inbox/*/0001.png"))[0]
    corrupted.write_bytes(corrupted.read_bytes()[:2000])
    shutil.rmtree(home.store / ".sha256" / "inbox")  # as if a contributor had dropped the files by hand
    config = write_config(folder / "small.toml", **SMALL)
    first = Home(home.path, wrapper=watch if connections else ()).run("retrain", "--config", config, "--json")
    yield Promoted(home, config, first, corrupted.parent.name, connections)
    shutil.rmtree(folder)
