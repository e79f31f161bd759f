"""One check for drift: the champion's data against what came since, judged, drawn, kept and shown in MLflow.

`drift/checks/<id>/record.json` is written last and makes a check whole; the same question is answered once.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ladnn.config_monitoring import DriftConfig
from ladnn.dataset.split import Split
from ladnn.dataset.version import load_manifest, load_version, rows_of
from ladnn.errors import BundleError, DriftError, NoChampionError, StoreError
from ladnn.governance.drift.comparison import Sides, Stream
from ladnn.governance.drift.sample import FAMILIES, QUARANTINED, family_of, joined
from ladnn.governance.drift.verdict import DriftRecord, StreamFacts, judge
from ladnn.intake.catalogue import read_outcomes
from ladnn.platform import Platform
from ladnn.progress import Steps, no_steps
from ladnn.registry.bundle import Bundle, load_bundle
from ladnn.registry.drift_intake import quarantine_sides
from ladnn.registry.drift_samples import Images, images_of_manifest, new_images, served_sample
from ladnn.registry.looks import fit_reducer, look_at_stored
from ladnn.registry.promotion import required_champion
from ladnn.registry.served import ServedPrediction, read_served, served_keys
from ladnn.registry.tracking import Tracking
from ladnn.store import ObjectStore, canonical_json, read_json, write_json_if_absent

PREFIX = "drift/checks/"
_REVISION = 2
"""Raised when the same data and limits would give another verdict."""
_DEVELOPED_ON: tuple[Split, Split] = ("train", "validation")
_SEED = 2020
_WORKSPACE = "evidently"


def check_drift(platform: Platform, config: DriftConfig, on_step: Steps = no_steps) -> DriftRecord:
    """Compare what came since the champion was trained with what it was trained on.

    The same champion, images, labels and limits give the check that was kept. A page of it is kept, too, and added to
    Evidently's workspace under LADNN_HOME.

    Args:
        platform: the installation.
        config: limits.
        on_step: told how many images are looked at.

    Raises:
        NoChampionError: nothing has been promoted yet.
        BundleError: the champion is damaged, or no trusted key signed it.
        DigestMismatchError: an image or the champion's dataset version is damaged.
    """
    store = platform.store
    promoted = required_champion(store)
    bundle = load_bundle(store, promoted.bundle_id, platform.settings.trusted_keys())
    version = load_version(store, bundle.manifest.dataset_version)
    manifest = load_manifest(store, version.id)
    outcomes = list(read_outcomes(store))
    new = new_images(store, version, outcomes, list(manifest["image"]))
    sent = quarantine_sides(outcomes, version.n_outcomes, config, _SEED, synthetic=version.synthetic)
    served = list(read_served(store, served_keys(store, config.served_days), bundle.id))
    check_id = _id(bundle, new, served, sent, config)
    if store.exists(_record_key(check_id)):
        return DriftRecord.model_validate(read_json(store, _record_key(check_id)))
    n_of: dict[Stream, int] = {
        "contributions": len(new.digests),
        "service": len(served),
        "intake": sent.current.n_images,
    }
    new = new.sampled(config.max_images, _SEED)
    streams = _streams(platform, bundle, manifest, (new, served), config, on_step)
    if sent.current.n_images:
        streams["intake"] = sent
    developed_on = manifest["split"].isin(_DEVELOPED_ON)
    verdict, comparisons = judge(streams, config, _SEED)
    record = DriftRecord(
        id=check_id,
        checked_at=datetime.now(UTC),
        model_version=promoted.model_version,
        bundle_id=bundle.id,
        dataset_version=version.id,
        n_reference_images=int(developed_on.sum()),
        n_reference_patients=int(manifest.loc[developed_on, "group"].nunique()),
        config=config,
        streams=tuple(_facts(stream, sides, n_of[stream]) for stream, sides in streams.items()),
        verdict=verdict,
        comparisons=comparisons,
        properties=(),
    )
    return _describe_and_keep(platform, record, streams)


class Watch(BaseModel):
    """What looking for drift came to: a check, or why there is none."""

    model_config = ConfigDict(frozen=True)

    check: DriftRecord | None
    problem: str | None


def watch_drift(platform: Platform, config: DriftConfig, on_step: Steps = no_steps) -> Watch:
    """Check for drift where there is a champion whose bundle and data can be read, else tell why there is no check.

    Retrains are set off by other things than drift, too, and mend a damaged champion; arguments as of `check_drift`.
    """
    try:
        return Watch(check=check_drift(platform, config, on_step), problem=None)
    except NoChampionError:
        return Watch(check=None, problem="no champion to compare with")
    except (BundleError, StoreError) as error:
        return Watch(check=None, problem=f"no check for drift: {error}")


def read_page(store: ObjectStore, record: DriftRecord) -> bytes | None:
    """Return the page of a check; None where it had nothing to draw."""
    return store.get(_page_key(record.id)) if record.page else None


def checks(store: ObjectStore) -> list[DriftRecord]:
    """Return all checks, of whatever champion."""
    keys = (key for key in store.list(PREFIX) if key.endswith("/record.json"))
    return [DriftRecord.model_validate(read_json(store, key)) for key in keys]


def latest_check(store: ObjectStore) -> DriftRecord | None:
    """Return the check that was made last, if there is any."""
    return _latest(checks(store))


def check_that_asks(store: ObjectStore, name: str) -> tuple[DriftRecord, str | None]:
    """Find the check of the present champion that a person names: by its id, or by a site that the latest one asks.

    Returns:
        the check, and the site where one was named.

    Raises:
        NoChampionError: nothing has been promoted yet.
        DriftError: there is none such, or it looked at another model.
    """
    current = required_champion(store)
    made = checks(store)
    named = next((record for record in made if record.id == name), None)
    record = named or _latest(made)
    if record is None:
        raise DriftError(f"there was no check for drift in {store.url} yet; run `ladnn drift`")
    if record.bundle_id != current.bundle_id:
        raise DriftError(
            f"check {record.id} looked at model version {record.model_version}, and version {current.model_version} is "
            "champion now; run `ladnn drift`, which looks anew"
        )
    return record, None if named else name


def log_check(store: ObjectStore, tracking: Tracking, record: DriftRecord) -> None:
    """Show a check in MLflow, once: its record, its page, and how far each family moved."""
    run_id = tracking.check_run(record.id, f"drift {record.checked_at:%Y-%m-%d %H:%M}")
    farthest: dict[str, float | None] = {}
    for item in record.properties:
        name = f"distance.{item.stream}.{family_of(item.name)}"
        farthest[name] = max(farthest.get(name) or 0.0, item.distance)
    counts: dict[str, float | None] = {f"n_patients.{item.stream}": float(item.n_patients) for item in record.streams}
    tags = {
        "ladnn.drift": record.verdict.action.value,
        "ladnn.drift_reason": record.verdict.reason,
        "ladnn.bundle_id": record.bundle_id,
        "ladnn.dataset_version": record.dataset_version,
    }
    tracking.log_summary(run_id, farthest | counts, tags)
    tracking.log_document(run_id, record.model_dump(mode="json"), "drift.json")
    page = read_page(store, record)
    if page is not None:
        tracking.log_files(run_id, {"drift.html": page}, "pages")
    tracking.finish(run_id)


def _latest(made: Sequence[DriftRecord]) -> DriftRecord | None:
    return max(made, key=lambda record: record.checked_at, default=None)


def _streams(
    platform: Platform,
    bundle: Bundle,
    manifest: pd.DataFrame,
    current: tuple[Images, Sequence[ServedPrediction]],
    config: DriftConfig,
    on_step: Steps,
) -> dict[Stream, Sides]:
    """Look at the pictures of all sides: the components are fitted to train, and held against validation."""
    store, cache = platform.store, platform.settings.cache
    new, served = current
    if not new.digests and not served:
        return {}
    parts = [images_of_manifest(rows_of(manifest, split)).sampled(config.max_images, _SEED) for split in _DEVELOPED_ON]
    n_all = sum(len(part.digests) for part in (*parts, new))
    done = np.cumsum([0, *(len(part.digests) for part in (*parts, new))])
    train, validation, now = (
        look_at_stored(store, bundle, part.digests, cache, lambda n, _, before=before: on_step(int(before) + n, n_all))
        if part.digests
        else None
        for part, before in zip((*parts, new), done[:-1], strict=True)
    )
    if train is None or validation is None:  # a trained champion has both
        return {}
    reducer = fit_reducer(store, bundle, train.features)
    before = joined(parts[0].seen(train, None), parts[1].seen(validation, reducer))
    streams: dict[Stream, Sides] = {}
    if now is not None:
        streams["contributions"] = Sides(before, new.seen(now, reducer), frozenset(map(str, manifest["site"])))
    if served:
        unlabelled = before.of_families(frozenset(FAMILIES) - {"label"})
        streams["service"] = Sides(unlabelled, served_sample(served, config.max_images, _SEED), frozenset())
    return streams


def _describe_and_keep(platform: Platform, record: DriftRecord, streams: dict[Stream, Sides]) -> DriftRecord:
    from ladnn.governance.drift.evidently_report import describe, draw

    store = platform.store
    facts = [fact for stream, sides in streams.items() for fact in describe(stream, sides, record.config)]
    record = record.model_copy(update={"properties": tuple(facts)})
    if streams:
        page, told = draw(record, streams, platform.settings.home / _WORKSPACE)
        store.put_if_absent(_page_key(record.id), page)
        record = record.model_copy(update={"page": told})
    write_json_if_absent(store, _record_key(record.id), record.model_dump(mode="json"))
    return DriftRecord.model_validate(read_json(store, _record_key(record.id)))


def _facts(stream: Stream, sides: Sides, n_images: int) -> StreamFacts:
    return StreamFacts(
        stream=stream,
        n_images=sides.current.n_images,
        n_patients=sides.current.n_patients,
        n_not_sampled=n_images - sides.current.n_images,
    )


def _id(bundle: Bundle, new: Images, served: Sequence[ServedPrediction], sent: Sides, config: DriftConfig) -> str:
    asked = {
        "revision": _REVISION,
        "bundle": bundle.id,
        "config": config.model_dump(mode="json"),
        "images": [new.digests, new.table.to_json(orient="values", double_precision=15)],
        "intake": [
            (side.patients.tolist(), side.table[QUARANTINED].tolist()) for side in (sent.reference, sent.current)
        ],
        "served": [(item.at.isoformat(), item.request) for item in served],
    }
    return "k-" + hashlib.sha256(canonical_json(asked)).hexdigest()[:16]


def _record_key(check_id: str) -> str:
    return f"{PREFIX}{check_id}/record.json"


def _page_key(check_id: str) -> str:
    return f"{PREFIX}{check_id}/page.html"
