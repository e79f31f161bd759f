"""Training of one variant: files under their digests, done once, failures that name what to look at."""

import hashlib

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from trained_platform import EXPERIMENT, VARIANT

from ladnn.config import ExperimentConfig
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import ConfigError, DigestMismatchError, RetrainError, TrainingError
from ladnn.model.graph import InferenceGraph
from ladnn.retrain import plan_retrain
from ladnn.training.fit import Progress
from ladnn.training.result import read_file, read_trained
from ladnn.training.variant import train_variant


def planned(platform, **training):
    """Plan another retrain of the same data."""
    changed = EXPERIMENT.training.model_copy(update=training)
    config: ExperimentConfig = EXPERIMENT.model_copy(update={"training": changed})
    return plan_retrain(platform.store, platform.plan.dataset_version, config, "0.0.1", force=False).plan


def test_what_training_leaves_is_complete_and_addressed_by_digest(trained_platform):
    trained, store = trained_platform.trained, trained_platform.store

    for file in (trained.weights, trained.graph):
        data = store.get(file.key)
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.n_bytes)
        assert file.sha256[:16] in file.key
        assert read_file(store, file) == data
    assert trained.n_train_images == trained_platform.version.splits["train"].n_images
    assert [record.epoch for record in trained.epochs] == [1]
    assert trained.seconds > trained.epochs[0].seconds > 0
    assert InferenceGraph(read_file(store, trained.graph)).n_outputs == 6
    assert all(np.isfinite(tensor).all() for tensor in load_tensors(read_file(store, trained.weights)).values())


def test_a_trained_variant_is_not_trained_again(platform):
    steps = []

    again = train_variant(
        platform.store,
        platform.retrain_id,
        VARIANT,
        platform.home / "no-cache",
        progress=Progress(on_epoch=lambda _: steps.append("epoch"), on_step=lambda *_: steps.append("step")),
    )

    assert again == platform.trained
    assert steps == []
    assert not (platform.home / "no-cache").exists()


def test_a_retrain_or_variant_that_does_not_exist_is_named(trained_platform):
    store, cache = trained_platform.store, trained_platform.settings.cache

    with pytest.raises(RetrainError, match="r-unknown"):
        train_variant(store, "r-unknown", VARIANT, cache)
    with pytest.raises(RetrainError, match=r"resnet-ladnn.*efficientnet_lite0-ladnn, efficientnet_lite0-baseline"):
        train_variant(store, trained_platform.retrain_id, "resnet-ladnn", cache)
    assert read_trained(store, trained_platform.retrain_id, "efficientnet_lite0-baseline") is None


def test_an_unknown_backbone_is_a_config_error(platform):
    variant = EXPERIMENT.variants[0].model_copy(update={"backbone": "alexnet"})
    config = EXPERIMENT.model_copy(update={"variants": (variant,)})
    plan = plan_retrain(platform.store, platform.plan.dataset_version, config, "0.0.1", force=False).plan

    with pytest.raises(ConfigError, match="efficientnet_lite0"):
        train_variant(platform.store, plan.retrain_id, "alexnet-ladnn", platform.settings.cache)


def test_a_diverging_loss_names_the_images_and_leaves_the_variant_untrained(platform):
    plan = planned(platform, learning_rate=0.9, diagnosis_weight=1e39)

    with pytest.raises(TrainingError, match="learning_rate") as caught:
        train_variant(platform.store, plan.retrain_id, VARIANT, platform.settings.cache)

    images = set(rows_of(load_manifest(platform.store, plan.dataset_version), "train")["image"])
    named = {word.strip(",") for word in str(caught.value).split()} & images
    assert 0 < len(named) <= EXPERIMENT.training.batch_size
    assert read_trained(platform.store, plan.retrain_id, VARIANT) is None


def test_a_file_that_was_changed_after_training_is_not_read(platform):
    platform.store.put(platform.trained.weights.key, b"other weights")

    with pytest.raises(DigestMismatchError, match="restore"):
        read_file(platform.store, platform.trained.weights)
