"""The declared envelope: what a retrain may change against the champion without a person, stated beforehand.

What is not declared may not change. `ladnn.governance.change_control` holds a retrain against it.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field, field_validator

from ladnn.config_section import Section

Range = Annotated[tuple[float, float], Field(strict=False)]
"""Lowest and highest value, both allowed."""

SOFTWARE = (
    "ladnn",
    "commit",
    "report_extractor",
    "python",
    "torch",
    "torchvision",
    "accelerate",
    "numpy",
    "onnxruntime",
    "mlflow",
)
"""What is compared of the software: this release and its commit, what read the reports, and the libraries that train."""


class Envelope(Section):
    """Section `[envelope]` of an experiment."""

    backbones: tuple[str, ...] = Field(default=(), strict=False)
    """Backbones of a candidate; an empty list allows that of the champion only."""
    sites: tuple[str, ...] = Field(default=(), strict=False)
    """Contributors of training data besides those of the champion, `hospital-*` for several; an empty list allows no new one."""
    ranges: dict[str, Range] = Field(default={})
    """Ranges of values by dotted name, such as `"training.epochs" = [4, 20]`; every other value stays what the champion has."""

    software: bool | Annotated[tuple[str, ...], Field(strict=False)] = False
    """Components of `SOFTWARE` that may have another version than at the champion, `torch*` for several; true allows all."""

    def allows_software(self, component: str) -> bool:
        """Tell whether a component may have another version than at the champion."""
        named = self.software if isinstance(self.software, tuple) else ()
        return self.software is True or any(fnmatchcase(component, name) for name in named)

    @field_validator("software")
    @classmethod
    def _check_components(cls, software: bool | tuple[str, ...]) -> bool | tuple[str, ...]:
        named = software if isinstance(software, tuple) else ()
        unknown = [name for name in named if not any(fnmatchcase(component, name) for component in SOFTWARE)]
        if unknown:
            raise ValueError(f"no component is named {', '.join(unknown)}; there are {', '.join(SOFTWARE)}")
        return software

    @field_validator("ranges")
    @classmethod
    def _check_order(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        wrong = [name for name, (low, high) in ranges.items() if low > high]
        if wrong:
            raise ValueError(f"the lowest value stands after the highest: {', '.join(wrong)}")
        return dict(sorted(ranges.items()))


def flat_values(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all values of nested tables by dotted name."""
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from flat_values(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
