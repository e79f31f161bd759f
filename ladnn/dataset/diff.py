"""What changed from one dataset version to another: records, labels, splits and groups."""

from collections.abc import Iterator
from itertools import permutations
from typing import Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.dataset.split import Split
from ladnn.dataset.version import load_manifest
from ladnn.labels import LABELS
from ladnn.store import ObjectStore

Value = Literal["present", "absent", "unknown"]


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True)


class LabelChange(_Change):
    """Images whose label changed from one value to another."""

    label: str
    before: Value
    after: Value
    images: tuple[str, ...]


class SplitMove(_Change):
    """An image that changed its split, which must never be."""

    image: str
    before: Split
    after: Split


class Join(_Change):
    """Groups that became one, since a picture links them."""

    group: str
    """Name of the group they are now."""
    joined: tuple[str, ...]
    """Names of the groups they were."""


class VersionDiff(_Change):
    """What changed from version `before` to version `after`."""

    before: str
    after: str
    added: tuple[str, ...]
    """Images that only `after` has."""
    removed: tuple[str, ...]
    """Images that only `before` has."""
    n_patients_added: int
    """Patients, or studies of unknown patients, that only `after` has."""
    n_patients_removed: int
    labels: tuple[LabelChange, ...]
    moves: tuple[SplitMove, ...]
    joins: tuple[Join, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing that is compared changed."""
        return not (self.added or self.removed or self.labels or self.moves or self.joins)


def compare_versions(store: ObjectStore, before: str, after: str) -> VersionDiff:
    """Compare two versions by their ids."""
    old, new = (load_manifest(store, name).set_index("image", drop=False) for name in (before, after))
    common = old.index.intersection(new.index)
    old_groups, new_groups = set(old["group"]), set(new["group"])
    was, now = old.loc[common], new.loc[common]
    joins = _joins(was["group"], now["group"])
    merged = {name for join in joins for name in join.joined}
    return VersionDiff(
        before=before,
        after=after,
        added=tuple(sorted(set(new.index) - set(old.index))),
        removed=tuple(sorted(set(old.index) - set(new.index))),
        n_patients_added=len(new_groups - old_groups - merged),
        n_patients_removed=len(old_groups - new_groups - merged),
        labels=tuple(change for code in LABELS for change in _label_changes(code, was[code], now[code])),
        moves=tuple(
            SplitMove(image=image, before=was["split"][image], after=now["split"][image])
            for image in sorted(common[(was["split"] != now["split"]).to_numpy()])
        ),
        joins=joins,
    )


def _label_changes(code: str, was: "pd.Series[float]", now: "pd.Series[float]") -> Iterator[LabelChange]:
    before, after = _values(was), _values(now)
    for one, other in permutations(get_args(Value), 2):
        images = was.index[(before == one) & (after == other)]
        if len(images):
            yield LabelChange(label=code, before=one, after=other, images=tuple(sorted(images)))


def _values(labels: "pd.Series[float]") -> "pd.Series[str]":
    return labels.map({1.0: "present", 0.0: "absent"}).fillna("unknown")


def _joins(was: "pd.Series[str]", now: "pd.Series[str]") -> tuple[Join, ...]:
    names: dict[str, set[str]] = {}
    for before, after in zip(was, now, strict=True):
        names.setdefault(after, set()).add(before)
    return tuple(
        Join(group=group, joined=tuple(sorted(joined))) for group, joined in sorted(names.items()) if joined != {group}
    )
