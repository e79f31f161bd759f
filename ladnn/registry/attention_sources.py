"""Models that can be asked where they look, by the names that people give them on the command line."""

from collections.abc import Iterator, Sequence

from ladnn.errors import RetrainError
from ladnn.evaluation.attention import AttentionSource
from ladnn.registry.bundle import load_bundle
from ladnn.registry.promotion import required_champion
from ladnn.retrain import required_plan
from ladnn.store import ObjectStore
from ladnn.training.result import read_trained, required_trained

CHAMPION = "champion"


def attention_sources(store: ObjectStore, models: Sequence[str]) -> dict[str, AttentionSource]:
    """Load models by name, in the order they are named.

    Args:
        store: holds them.
        models: `champion`, the id of a bundle (`b-…`), a retrain (`r-…`: all its trained variants), or one variant
            of a retrain (`r-…/efficientnet_lite0-baseline`).

    Raises:
        NoChampionError: the champion is asked for, but nothing has been promoted yet.
        BundleError: a bundle is missing or damaged.
        RetrainError: no such retrain or variant, or it is not trained yet.
    """
    return {name: source for model in models for name, source in _named(store, model)}


def _named(store: ObjectStore, model: str) -> Iterator[tuple[str, AttentionSource]]:
    if model == CHAMPION:
        yield model, load_bundle(store, required_champion(store).bundle_id).attention()
    elif model.startswith("b-"):
        yield model, load_bundle(store, model).attention()
    else:
        retrain_id, _, variant = model.partition("/")
        for name in [variant] if variant else _trained_variants(store, retrain_id):
            yield name, AttentionSource.of_trained(store, required_trained(store, retrain_id, name))


def _trained_variants(store: ObjectStore, retrain_id: str) -> list[str]:
    names = [variant.name for variant in required_plan(store, retrain_id).config.variants]
    trained = [name for name in names if read_trained(store, retrain_id, name) is not None]
    if not trained:
        raise RetrainError(f"no variant of retrain {retrain_id} is trained yet; run the retrain again")
    return trained
