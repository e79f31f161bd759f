"""Where a fit computes: the GPU or the CPU of each process of a job, and the arithmetic that suits it.

accelerate joins the processes that `torchrun` starts; without it there is one.
"""

import ctypes
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils.memory import should_reduce_batch_size

from ladnn.config_training import TrainingConfig

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # mallopt(3)
_NEVER, _DEFAULT_TRIM_BYTES, _DEFAULT_MMAP_MAX = -1, 128 * 1024, 65536


def open_devices() -> Accelerator:
    """Join the job's processes, on their GPUs if there are any, and choose the precision.

    On a GPU convolutions run in bfloat16, or where it has none in float16 with a scaled loss; on the CPU in float32.
    """
    has_cuda = torch.cuda.is_available()
    half = "bf16" if has_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    sharing = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    return Accelerator(cpu=not has_cuda, mixed_precision=half if has_cuda else "no", kwargs_handlers=[sharing])


def n_processes(training: TrainingConfig) -> int:
    """Return how many processes share the training of a variant."""
    return training.processes or max(1, torch.cuda.device_count())


def device_name() -> str:
    """Describe what a training runs on, such as `cuda: NVIDIA L4` or `cpu: x86_64, 8 threads`."""
    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu: {platform.machine()}, {torch.get_num_threads()} threads"


def ran_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory, of GPU or CPU, did not suffice."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or should_reduce_batch_size(error)


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory that this process has used so far: the GPU's, else resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would begin with what the parent used
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def freed_memory_kept(device: torch.device) -> Iterator[None]:
    """Let the C library keep what a fit on the CPU frees for its next step; afterwards it goes back to the system.

    glibc maps each large tensor anew, and the system then clears its pages one by one: on the CPU a third of a step.
    Without glibc nothing changes. What glibc had adapted by itself is set to its defaults afterwards (mallopt(3)).
    """
    if device.type != "cpu" or platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_MAX, _DEFAULT_MMAP_MAX)
        libc.mallopt(_M_TRIM_THRESHOLD, _DEFAULT_TRIM_BYTES)
        libc.malloc_trim(0)
