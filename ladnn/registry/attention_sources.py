"""Models that can be asked where they look, by the names that people give them on the command line."""

from collections.abc import Sequence

from ladnn.evaluation.attention import AttentionSource
from ladnn.registry.bundle import Bundle
from ladnn.registry.named_models import named_models
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore


def attention_sources(store: ObjectStore, models: Sequence[str], trusted: TrustedKeys) -> dict[str, AttentionSource]:
    """Load models by name, as `named_models` knows them.

    Raises:
        NoChampionError: the champion is asked for, but nothing has been promoted yet.
        BundleError: a bundle is missing or damaged, or no trusted key signed it.
        RetrainError: no such retrain or variant, or it is not trained yet.
    """
    return {
        name: model.attention() if isinstance(model, Bundle) else AttentionSource.of_trained(store, model.trained)
        for name, model in named_models(store, models, trusted).items()
    }
