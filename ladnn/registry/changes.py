"""Gathers what a candidate changes against the champion: from their signed bundles and the data they were trained on."""

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
    return Model(bundle_id, manifest.variant.backbone, manifest.config, frozenset(learnt_from["site"]))
