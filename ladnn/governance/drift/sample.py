"""What is compared: images of one side, described by properties of six families, each image with its patient and site."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ladnn.errors import DatasetError

Family = Literal["acquisition", "intensity", "label", "embedding", "prediction", "intake"]
FAMILIES: tuple[Family, ...] = get_args(Family)
MODEL_FAMILIES: frozenset[Family] = frozenset(("embedding", "prediction"))
"""Families that a model computes: held against patients whom it was not fitted to, since on those it is too sure."""
QUARANTINED = "intake.quarantined"
"""Whether an image that was sent stands in quarantine, 1 or 0."""
UNKNOWN = "unknown"
"""Value of a categorical property where it is missing."""
_KNOWN = " stated"


@dataclass(frozen=True, slots=True)
class Sample:
    """Images of one side.

    Attributes:
        table: one row an image; columns are named `family.property`. Numeric columns are floating-point numbers with NaN
            where nothing is stated, all others are categories.
        patients: of each image; images of one patient are not independent.
        sites: of each image.
    """

    table: pd.DataFrame
    patients: NDArray[np.str_]
    sites: NDArray[np.str_]

    def __post_init__(self) -> None:
        """Check that every row has its patient and its site.

        Raises:
            DatasetError: lengths differ, or a column belongs to no family.
        """
        if not len(self.table) == len(self.patients) == len(self.sites):
            raise DatasetError(
                f"{len(self.table)} rows with {len(self.patients)} patients and {len(self.sites)} sites; give one of each"
            )
        strange = [name for name in self.table.columns if family_of(name) not in FAMILIES]
        if strange:
            raise DatasetError(f"property {strange[0]!r} belongs to no family; begin its name with one and a dot")

    @property
    def n_images(self) -> int:
        """How many images there are."""
        return len(self.table)

    @property
    def n_patients(self) -> int:
        """How many patients they are of."""
        return int(np.unique(self.patients).size)

    def where(self, chosen: NDArray[np.bool_]) -> "Sample":
        """Return the chosen images."""
        return Sample(self.table[chosen].reset_index(drop=True), self.patients[chosen], self.sites[chosen])

    def of_families(self, families: frozenset[Family]) -> "Sample":
        """Return the same images with the properties of some families."""
        names = [name for name in self.table.columns if family_of(name) in families]
        return Sample(self.table[names], self.patients, self.sites)


def family_of(name: str) -> Family:
    """Return the family that a property's name begins with."""
    return name.partition(".")[0]  # type: ignore[return-value]


def joined(one: Sample, other: Sample) -> Sample:
    """Return the images of both; a property that one lacks is not stated there."""
    return Sample(
        pd.concat([one.table, other.table], ignore_index=True),
        np.concatenate([one.patients, other.patients]),
        np.concatenate([one.sites, other.sites]),
    )


def on_common_terms(reference: Sample, current: Sample) -> tuple[Sample, Sample]:
    """Give both sides the same columns, of the same kind.

    A property that one side lacks is unknown there. Where a number is missing for some images, whether it is stated
    becomes a property of its own, so that a contributor who leaves it out is noticed.
    """
    n = reference.n_images
    both = pd.concat([reference.table, current.table], ignore_index=True)
    columns: dict[str, pd.Series] = {}
    for name in both.columns:
        column = both[name]
        if not _numeric(column):
            columns[name] = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
            continue
        stated = column.notna()
        if stated.any():
            columns[name] = column.astype(np.float64)
        if not stated.all() and family_of(str(name)) not in MODEL_FAMILIES:
            columns[name + _KNOWN] = stated.map({True: "yes", False: "no"}).astype(str)
    table = pd.DataFrame(columns, index=both.index)
    return (
        Sample(table.iloc[:n].reset_index(drop=True), reference.patients, reference.sites),
        Sample(table.iloc[n:].reset_index(drop=True), current.patients, current.sites),
    )


def is_numeric(table: pd.DataFrame, name: str) -> bool:
    """Tell whether a property is a number, or a category."""
    return bool(pd.api.types.is_float_dtype(table[name]))


def _numeric(column: pd.Series) -> bool:
    """Tell whether all that is stated is a number; the columns of the two sides may have different types."""
    stated = column.dropna()
    return bool(
        stated.map(lambda value: isinstance(value, (int, float, np.number)) and not isinstance(value, bool)).all()
    )
