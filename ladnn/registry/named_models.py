"""Models by the names that people give them on the command line: promoted, bundled, or trained in a retrain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ladnn.errors import BundleError, RetrainError
from ladnn.registry.bundle import Bundle, is_bundle_id, load_bundle, open_bundle
from ladnn.registry.promotion import promotions, required_champion
from ladnn.registry.test_set import required_test_result
from ladnn.retrain import Plan, chosen_plan, is_retrain_id
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore
from ladnn.training.result import Trained, read_trained, required_trained

CHAMPION, LAST = "champion", "last"


@dataclass(frozen=True, slots=True)
class TrainedVariant:
    """A variant of a retrain, promoted or not."""

    plan: Plan
    trained: Trained


def named_models(store: ObjectStore, names: Sequence[str], trusted: TrustedKeys) -> dict[str, Bundle | TrainedVariant]:
    """Load models by name, in the order they are named.

    Args:
        store: holds them.
        names: `champion`, the id of a bundle (`b-…`), a retrain (`r-…`, or `last`, the one planned last: all its trained
            variants), or one variant of a retrain (`r-…/efficientnet_lite0-baseline`).
        trusted: keys that must have signed the bundles.

    Returns:
        By name; variants by their own, and where several retrains are named with the retrain's before it.

    Raises:
        NoChampionError: the champion is asked for, but nothing has been promoted yet.
        BundleError: a bundle is missing or damaged, or no trusted key signed it.
        RetrainError: no such retrain or variant, or it is not trained yet.
    """
    found = [item for name in names for item in _named(store, name, trusted)]
    plans = {model.plan.retrain_id for _, model in found if isinstance(model, TrainedVariant)}

    def shown(name: str, model: Bundle | TrainedVariant) -> str:
        return f"{model.plan.retrain_id}/{name}" if isinstance(model, TrainedVariant) and len(plans) > 1 else name

    return {shown(name, model): model for name, model in found}


def bundle_named(store: ObjectStore, name: str) -> str:
    """Return the id of a bundle by its name: `champion`, a promoted model version, a retrain's candidate (`r-…`, `last`), or the id itself.

    Raises:
        NoChampionError: the champion is asked for, but nothing has been promoted yet.
        BundleError: no model version of this number was ever promoted, or nothing is named so.
        RetrainError: there is no such retrain, or its candidate is not bundled and measured yet.
    """
    if name == CHAMPION:
        return required_champion(store).bundle_id
    if name == LAST or is_retrain_id(name):
        plan = chosen_plan(store, None if name == LAST else name)
        return required_test_result(store, plan.retrain_id).candidate_bundle
    if is_bundle_id(name):
        return name
    if not name.isdigit():
        raise BundleError(
            f"{name} names no model; name champion, a model version, last, a retrain (r-…) or a bundle (b-…)"
        )
    for record in promotions(store):
        if record.model_version == name:
            return record.bundle_id
    raise BundleError(f"no model version {name} was ever promoted; see `ladnn history`")


def open_download(folder: Path, trusted: TrustedKeys) -> Bundle:
    """Load a bundle from its folder, or from what MLflow downloads of a model, whose `data/` holds that folder.

    Raises:
        BundleError: neither is there, or the bundle is incomplete, changed, not signed by a trusted key, or does not
            reproduce its golden outputs.
    """
    if not (folder / "MLmodel").exists():
        return open_bundle(folder, trusted)
    found = sorted((folder / "data").glob("b-*"))
    if len(found) != 1:
        raise BundleError(
            f"MLflow's folder {folder} holds {len(found)} bundles in data/", "name one that `ladnn` uploaded"
        )
    return open_bundle(found[0], trusted)


def _named(store: ObjectStore, name: str, trusted: TrustedKeys) -> Iterator[tuple[str, Bundle | TrainedVariant]]:
    if name == CHAMPION or is_bundle_id(name):
        yield name, load_bundle(store, bundle_named(store, name), trusted)
    else:
        retrain_id, _, variant = name.partition("/")
        plan = chosen_plan(store, None if retrain_id == LAST else retrain_id)
        for wanted in [plan.variant(variant).name] if variant else _trained_variants(store, plan):
            yield wanted, TrainedVariant(plan, required_trained(store, plan.retrain_id, wanted))


def _trained_variants(store: ObjectStore, plan: Plan) -> list[str]:
    names = [variant.name for variant in plan.config.variants]
    trained = [name for name in names if read_trained(store, plan.retrain_id, name) is not None]
    if not trained:
        raise RetrainError(f"no variant of retrain {plan.retrain_id} is trained yet; run the retrain again")
    return trained
