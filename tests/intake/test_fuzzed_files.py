"""No file, however damaged or lying, does more than be refused: no crash, no hang, no flood of memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzed_files import examine, files, lying_files
from hypothesis import HealthCheck, given, settings

FOLDER = Path(__file__).parent
MAX_SECONDS = 20
"""Four times what is allowed on a quiet machine, since tests share theirs."""


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(files())
def test_a_damaged_file_is_decoded_or_refused(data: bytes) -> None:
    assert examine(data) < MAX_SECONDS


@pytest.mark.parametrize("number", range(len(lying_files())))
def test_a_lying_file_is_refused_quickly(number: int) -> None:
    assert examine(lying_files()[number]) < MAX_SECONDS


@pytest.mark.slow
def test_ten_thousand_files_neither_crash_nor_hang_nor_fill_memory() -> None:
    outcome = json.loads(_output(str(FOLDER / "fuzzed_files.py"), "10000").splitlines()[-1])
    assert outcome["n_files"] >= 10_000
    assert outcome["slowest_s"] < MAX_SECONDS
    assert outcome["grown_mib"] < 1024


@pytest.mark.slow
def test_four_threads_decode_the_largest_frames_in_a_gibibyte() -> None:
    program = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from dicom_files import ct_file
from factories import encoded
from ladnn.intake.decode import decode
levels = np.random.default_rng(0).integers(0, 16, (4096, 4096), dtype=np.uint8)
files = [encoded(np.dstack([levels] * 3 + [levels * 16]), compress_level=1), ct_file(levels.astype(np.int16) * 50)]
with ThreadPoolExecutor(4) as threads:
    list(threads.map(lambda number: decode(files[number % 2]).digest, range(8)))
# Not ru_maxrss, which counts what this process's parent had before it.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""
    assert int(_output("-c", program)) < 1024


@pytest.mark.parametrize("module", ["ladnn.intake.decode", "ladnn.intake.deidentify"])
def test_pydicom_is_not_imported_before_a_dicom_file_comes(module: str) -> None:
    assert _output("-c", f"import sys, {module}; print('pydicom' in sys.modules)") == "False"


def _output(*arguments: str) -> str:
    paths = os.pathsep.join(map(str, (FOLDER.parents[1], FOLDER.parent, FOLDER)))
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()
