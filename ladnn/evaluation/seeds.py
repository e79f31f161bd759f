"""What training by several seeds shows: mean and spread over networks that differ by chance alone."""

import statistics
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class SeedSpread(BaseModel):
    """A number over the seeds of a group of variants.

    Attributes:
        group: backbone and task, such as `efficientnet_lite0-ladnn`.
        n: seeds with a number.
        mean: of these; None where there is none.
        sd: standard deviation of a sample (n - 1); None for fewer than two.
    """

    model_config = ConfigDict(frozen=True)

    group: str
    n: int
    mean: float | None
    sd: float | None

    def __str__(self) -> str:
        """Return such as `0.912 ± 0.013 (3 seeds)`; n/a where there is no number."""
        if self.mean is None:
            return "n/a"
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        return f"{self.mean:.3f}{spread} ({self.n} {'seed' if self.n == 1 else 'seeds'})"


def spread_by_group(values: Iterable[tuple[str, float | None]]) -> dict[str, SeedSpread]:
    """Summarise (group, number) pairs, one a seed, by group, in the order in which groups appear."""
    numbers: dict[str, list[float]] = {}
    for group, value in values:
        numbers.setdefault(group, []).extend([] if value is None else [value])
    return {
        group: SeedSpread(
            group=group,
            n=len(found),
            mean=statistics.fmean(found) if found else None,
            sd=statistics.stdev(found) if len(found) > 1 else None,
        )
        for group, found in numbers.items()
    }
