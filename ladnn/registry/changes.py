"""Gathers what a candidate changes against the champion: from their signed bundles and the data they were trained on."""

import json

from ladnn.dataset.version import load_manifest
from ladnn.errors import BundleError, DigestMismatchError, ObjectNotFoundError
from ladnn.governance.change_control import ChangeItem, ChangeSheet, Model, change_sheet
from ladnn.registry.bundle import read_manifest
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def changes_of(store: ObjectStore, bundle_id: str, champion_id: str | None, trusted: TrustedKeys) -> ChangeSheet:
    """Return the change-control sheet of a candidate; a champion that cannot be read, or its data, leaves it to a person.

    Raises:
        BundleError: the candidate's bundle is damaged, or no trusted key signed it.
    """
    candidate = _model(store, bundle_id, trusted)
    if champion_id is None:
        return change_sheet(candidate, None)
    try:
        return change_sheet(candidate, _model(store, champion_id, trusted))
    except (BundleError, ObjectNotFoundError, DigestMismatchError) as error:
        item = ChangeItem(
            what="champion", before=None, now=str(error), allowed="a champion that can be compared with", inside=False
        )
        return ChangeSheet(champion=champion_id, items=(item,))


def _model(store: ObjectStore, bundle_id: str, trusted: TrustedKeys) -> Model:
    manifest = read_manifest(store, bundle_id, trusted)
    records = load_manifest(store, manifest.dataset_version)
    learnt_from = records[records["split"] != "test"]
    labels = (label for known in learnt_from["label_provenance"] for label in json.loads(known).values())
    provenance = manifest.lineage.provenance
    return Model(
        bundle_id=bundle_id,
        backbone=manifest.variant.backbone,
        config=manifest.config,
        sites=frozenset(learnt_from["site"]),
        extractors=frozenset(label["by"] for label in labels if label["source"] == "report"),
        software=provenance.versions if provenance else {},
    )
