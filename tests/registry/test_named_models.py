"""Models by name: what a name stands for, and that no two share one."""

import pytest
from trained_platform import VARIANT

from ladnn.errors import BundleError, NoChampionError, RetrainError
from ladnn.registry.bundle import Bundle
from ladnn.registry.named_models import TrainedVariant, bundle_named, named_models
from ladnn.retrain import keep, plan_retrain
from ladnn.training.result import trained_document


def test_champion_bundle_retrain_and_variant(champion_platform):
    platform = champion_platform
    for name in ("champion", platform.bundle_id):
        (model,) = named_models(platform.store, [name], platform.trusted).values()
        assert isinstance(model, Bundle)
        assert model.id == platform.bundle_id
    for name in ("last", platform.retrain_id, f"{platform.retrain_id}/{VARIANT}", f"last/{VARIANT}"):
        found = named_models(platform.store, [name], platform.trusted)
        assert list(found) == [VARIANT]  # the baseline of this retrain is not trained
        assert isinstance(found[VARIANT], TrainedVariant)
        assert found[VARIANT].trained == platform.trained


@pytest.mark.parametrize(
    ("name", "problem"),
    [("r-none", "no retrain r-none"), ("last", "no test result"), ("lite0", "lite0 names no model")],
)
def test_what_has_no_bundle_is_named(platform, name, problem):
    with pytest.raises((BundleError, RetrainError), match=problem):
        bundle_named(platform.store, name)


def test_variants_of_several_retrains_keep_apart(platform):
    config = platform.plan.config.model_copy(update={"seed": 4})
    other = plan_retrain(platform.store, platform.plan.dataset_version, config, "0.0.1", force=False).plan
    keep(platform.store, other.retrain_id, trained_document(VARIANT), platform.trained.model_dump(mode="json"))

    found = named_models(platform.store, [platform.retrain_id, "last"], platform.trusted)

    assert list(found) == [f"{platform.retrain_id}/{VARIANT}", f"{other.retrain_id}/{VARIANT}"]


def test_what_is_not_there_is_named(platform):
    with pytest.raises(NoChampionError):
        named_models(platform.store, ["champion"], platform.trusted)
    with pytest.raises(RetrainError, match="no retrain r-none"):
        named_models(platform.store, ["r-none"], platform.trusted)
    with pytest.raises(RetrainError, match=r"efficientnet_lite0-baseline .* is not trained yet"):
        named_models(platform.store, ["last/efficientnet_lite0-baseline"], platform.trusted)
