"""The slices that benchmarks send: real ones where they are at hand, else made-up ones."""

from factories import encoded, picture
from real_data import COVID_CT

N_SLICES = 10
"""A study."""
_REAL = COVID_CT / "images"
KIND = "real" if _REAL.is_dir() else "made-up"


def study_files(number: int) -> dict[str, bytes]:
    """Return the files of a study; each number has others, as far as the real ones go round."""
    first = number * N_SLICES
    found = sorted(_REAL.iterdir())[first : first + N_SLICES] if _REAL.is_dir() else []
    if len(found) == N_SLICES:
        return {f"{position:04d}{path.suffix}": path.read_bytes() for position, path in enumerate(found)}
    return {f"{n:04d}.png": encoded(picture(n, (512, 512))) for n in range(first, first + N_SLICES)}
