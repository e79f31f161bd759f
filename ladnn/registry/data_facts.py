"""What the data are to candidate and champion: new patients, leaks, labels that wait for review."""

import pandas as pd

from ladnn.dataset.version import load_manifest
from ladnn.errors import BundleError, DigestMismatchError, ObjectNotFoundError
from ladnn.governance.gates.evidence import DataFacts
from ladnn.intake.label_review import review_items
from ladnn.registry.bundle import read_manifest
from ladnn.registry.promotion import Promotion
from ladnn.retrain import Plan, keep, read
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def gather_data_facts(store: ObjectStore, plan: Plan, current: Promotion | None, trusted: TrustedKeys) -> DataFacts:
    """Look at the retrain's data beside the champion's, or return what an earlier run found against the same champion."""
    document = f"data_facts/{current.number if current else 0}"
    if (done := read(store, plan.retrain_id, document)) is not None:
        return DataFacts.model_validate(done)
    manifest = load_manifest(store, plan.dataset_version)
    theirs = None if current is None else _champions_manifest(store, current, trusted)
    is_unknown = current is not None and theirs is None
    facts = DataFacts(
        has_champion=current is not None,
        n_new_patients=None if is_unknown else _n_new_patients(manifest, theirs),
        n_candidate_leaks=n_leaks(manifest, manifest),
        n_champion_leaks=None if is_unknown else 0 if theirs is None else n_leaks(manifest, theirs),
        n_images=len(manifest),
        n_in_review=len({item.record.image for item in review_items(store)} & set(manifest["image"])),
    )
    return DataFacts.model_validate(keep(store, plan.retrain_id, document, facts.model_dump(mode="json")))


def n_leaks(tested: pd.DataFrame, learned: pd.DataFrame) -> int:
    """Return how many test rows of one manifest share a group, patient, study or picture with another's training.

    Validation counts as training: operating point and choice of the candidate rest on it.
    """
    test, training = tested[tested["split"] == "test"], learned[learned["split"] != "test"]
    shared = pd.Series(False, index=test.index)
    for column in ("group", "patient", "study", "image"):
        shared |= test[column].isin(set(training[column].dropna()))
    return int(shared.sum())


def _champions_manifest(store: ObjectStore, current: Promotion, trusted: TrustedKeys) -> pd.DataFrame | None:
    """Return the manifest that the champion learned from; None where it cannot be read: the gates ask for a person."""
    try:
        return load_manifest(store, read_manifest(store, current.bundle_id, trusted).dataset_version)
    except (BundleError, ObjectNotFoundError, DigestMismatchError):
        return None


def _n_new_patients(manifest: pd.DataFrame, theirs: pd.DataFrame | None) -> int:
    """Count training patients that the champion does not know: all where there is none."""
    known = set() if theirs is None else set(theirs["group"]) | set(theirs["patient"].dropna())
    learned = manifest[manifest["split"] == "train"]
    new = learned[~learned["group"].isin(known) & ~learned["patient"].isin(known)]
    return int(new["group"].nunique())
