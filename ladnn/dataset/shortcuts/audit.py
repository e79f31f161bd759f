"""The shortcut audit of a dataset version: how well the diagnosis can be predicted without the disease.

Each probe is asked at up to three stages: of the files as contributed, of the pictures as stored, and of the pictures in
the canonical form that the network sees. The verdict counts the first two: it is one on the data. The third tells what
a network could still use. `datasets/<id>/audit-<digest>.json` is written once for each way of asking.
"""

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.config import AuditConfig, ProbeLimits
from ladnn.dataset.canonical_form import CanonicalForm, Framing
from ladnn.dataset.pixels import load_pixels
from ladnn.dataset.shortcuts.prediction import held_out_auroc
from ladnn.dataset.shortcuts.probes import PixelProbe, Probe, contributed_file, describe, framed_file, stored_file
from ladnn.dataset.version import document_key, load_manifest
from ladnn.labels import DIAGNOSIS
from ladnn.progress import Steps, no_steps
from ladnn.statistics import Bootstrap, Interval
from ladnn.store import ObjectStore, canonical_json, read_json, write_json_if_absent

Stage = Literal["contributed", "stored", "canonical"]

_REVISION = 1
"""Raised when the same data and settings would give another audit."""
_SIZE_PX = 224
_STORED = Framing(size_px=_SIZE_PX, interpolation="bicubic")
_CANONICAL = Framing(size_px=_SIZE_PX, interpolation="bicubic", form=CanonicalForm())
_PIXEL_PROBES: tuple[PixelProbe, ...] = ("borders", "outside_lungs", "intensity")


class AuditVerdict(StrEnum):
    """What a probe says, from best to worst."""

    GREEN = "green"
    NOT_ENOUGH_CASES = "not enough cases"
    AMBER = "amber"
    RED = "red"


class ProbeResult(BaseModel):
    """How well one probe predicts the diagnosis of patients it has not seen.

    Attributes:
        auroc: of held-out scores, with its interval over patients.
        n_patients: patients behind it, positive or negative.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probe: Probe
    stage: Stage
    auroc: Interval
    n_patients: int
    limits: ProbeLimits
    verdict: AuditVerdict

    def __str__(self) -> str:
        measured = self.auroc
        bounds = "" if measured.low is None or measured.high is None else f" [{measured.low:.2f}, {measured.high:.2f}]"
        value = "not computable" if measured.value is None else f"AUROC {measured.value:.2f}{bounds}"
        return f"{self.probe}, {self.stage}: {value} of {measured.n} images: {self.verdict}"


class ShortcutAudit(BaseModel):
    """What an audit found; `verdict` is the worst of the probes on the files as contributed and as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_version: str
    n_images: int
    n_patients: int
    n_unknown: int
    """Images without a known diagnosis, which were left out."""
    n_not_sampled: int
    """Images with a known diagnosis that were left out because there are too many."""
    form: CanonicalForm
    results: tuple[ProbeResult, ...]
    verdict: AuditVerdict

    @property
    def counted(self) -> tuple[ProbeResult, ...]:
        """The results that make the verdict."""
        return tuple(result for result in self.results if result.stage != "canonical")

    @property
    def red(self) -> tuple[ProbeResult, ...]:
        """The results that made it red."""
        return tuple(result for result in self.counted if result.verdict is AuditVerdict.RED)


def audit_version(
    store: ObjectStore,
    version_id: str,
    config: AuditConfig,
    sampling: Bootstrap,
    cache: Path,
    on_decoded: Steps = no_steps,
) -> ShortcutAudit:
    """Audit a dataset version, or return what an earlier audit with the same settings found.

    Args:
        store: holds the version.
        version_id: its id.
        config: folds and limits.
        sampling: of the intervals; its seed draws folds and trees, too.
        cache: folder of the pixel cache.
        on_decoded: told how many images are decoded.

    Raises:
        ObjectNotFoundError: the version was never frozen.
        DigestMismatchError: its records or images are damaged.
    """
    key = _key(version_id, config, sampling)
    if not store.exists(key):
        found = _audit(store, version_id, config, sampling, (cache, on_decoded))
        write_json_if_absent(store, key, found.model_dump(mode="json"))
    return ShortcutAudit.model_validate(read_json(store, key))


def read_audit(store: ObjectStore, version_id: str, config: AuditConfig, sampling: Bootstrap) -> ShortcutAudit | None:
    """Return what an earlier audit with these settings found; None where there was none."""
    key = _key(version_id, config, sampling)
    return ShortcutAudit.model_validate(read_json(store, key)) if store.exists(key) else None


def read_audits(store: ObjectStore, version_id: str) -> list[ShortcutAudit]:
    """Return all audits of a version that were kept."""
    keys = store.list(document_key(version_id, "audit-"))
    return [ShortcutAudit.model_validate(read_json(store, key)) for key in keys]


def judge(auroc: Interval, limits: ProbeLimits) -> AuditVerdict:
    """Hold the bounds of an AUROC against limits, so that few cases are neither red nor green by chance.

    Red and amber need the lower bound to reach the limit, green the upper bound to stay below red.
    """
    if auroc.low is None or auroc.high is None:
        return AuditVerdict.NOT_ENOUGH_CASES
    if auroc.low >= limits.red:
        return AuditVerdict.RED
    if auroc.low >= limits.amber:
        return AuditVerdict.AMBER
    return AuditVerdict.GREEN if auroc.high < limits.red else AuditVerdict.NOT_ENOUGH_CASES


def _audit(
    store: ObjectStore, version_id: str, config: AuditConfig, sampling: Bootstrap, decoding: tuple[Path, Steps]
) -> ShortcutAudit:
    manifest = load_manifest(store, version_id)
    known = manifest[manifest[DIAGNOSIS].notna()].reset_index(drop=True)
    rows = _sample(known, config.max_images, sampling.seed)
    results = tuple(
        _result(rows, (probe, stage), features, config, sampling)
        for probe, stage, features in _features(store, rows, *decoding)
    )
    audit = ShortcutAudit(
        dataset_version=version_id,
        n_images=len(rows),
        n_patients=rows["group"].nunique(),
        n_unknown=len(manifest) - len(known),
        n_not_sampled=len(known) - len(rows),
        form=CanonicalForm(),
        results=results,
        verdict=AuditVerdict.NOT_ENOUGH_CASES,
    )
    return audit.model_copy(update={"verdict": _worst(audit.counted)})


def _features(
    store: ObjectStore, rows: pd.DataFrame, cache: Path, on_decoded: Steps
) -> Iterator[tuple[Probe, Stage, np.ndarray]]:
    """Yield the features of each probe at each stage, one at a time so that memory holds only one."""
    images = list(rows["image"])
    stored = load_pixels(store, images, _STORED, cache, on_decoded)
    canonical = load_pixels(store, images, _CANONICAL, cache, on_decoded)
    yield "file_properties", "contributed", contributed_file(rows)
    yield "file_properties", "stored", stored_file(rows, stored)
    for probe in _PIXEL_PROBES:
        yield probe, "stored", describe(stored, probe)
    yield "file_properties", "canonical", framed_file(canonical)
    # The rim of the lung field shows lung, so that a probe of its borders would find disease.
    yield "outside_lungs", "canonical", describe(canonical, "outside_lungs")
    yield "intensity", "canonical", describe(canonical, "intensity")


def _result(
    rows: pd.DataFrame, asked: tuple[Probe, Stage], features: np.ndarray, config: AuditConfig, sampling: Bootstrap
) -> ProbeResult:
    probe, stage = asked
    positive = (rows[DIAGNOSIS] == 1).to_numpy()
    auroc = held_out_auroc(features, positive, list(rows["group"]), config.n_folds, sampling)
    limits: ProbeLimits = getattr(config, probe)
    return ProbeResult(
        probe=probe,
        stage=stage,
        auroc=auroc,
        n_patients=rows["group"].nunique(),
        limits=limits,
        verdict=judge(auroc, limits),
    )


def _sample(rows: pd.DataFrame, max_images: int, seed: int) -> pd.DataFrame:
    """Draw whole groups until the next one would go past the limit."""
    if len(rows) <= max_images:
        return rows
    sizes = rows.groupby("group", sort=True).size()
    drawn = sizes.iloc[np.random.default_rng(seed).permutation(len(sizes))]
    kept = drawn.index[drawn.cumsum() <= max_images]
    return rows[rows["group"].isin(kept)].reset_index(drop=True)


def _worst(results: tuple[ProbeResult, ...]) -> AuditVerdict:
    order = list(AuditVerdict)
    return max((result.verdict for result in results), key=order.index)


def _key(version_id: str, config: AuditConfig, sampling: Bootstrap) -> str:
    asked = {
        "config": config.model_dump(mode="json"),
        "sampling": sampling.model_dump(mode="json"),
        "form": _CANONICAL.model_dump(mode="json"),
        "revision": _REVISION,
    }
    return document_key(version_id, f"audit-{hashlib.sha256(canonical_json(asked)).hexdigest()[:16]}.json")
