"""Owns one small trained platform for the tests of everything that comes after training: made once, copied to change."""

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories import TODAY

from ladnn.config import DataConfig, EvaluationConfig, ExperimentConfig, Variant
from ladnn.config_gates import GateConfig
from ladnn.config_training import TrainingConfig
from ladnn.dataset.desk import open_desk
from ladnn.dataset.freezing import freeze
from ladnn.dataset.version import DatasetVersion, load_version
from ladnn.evaluation.validation import Validated, validate_variant
from ladnn.intake.inbox import contribute
from ladnn.intake.phantom_contributions import phantom_contributions
from ladnn.intake.process import take_in
from ladnn.platform import Platform
from ladnn.registry.bundle_assembly import assemble_bundle
from ladnn.registry.promotion import Promotion, Proposal, champion, promote
from ladnn.retrain import Plan, keep_plan, plan_retrain, read_plan
from ladnn.settings import Settings, read_settings
from ladnn.signing import TrustedKeys
from ladnn.store import ObjectStore, open_store
from ladnn.training.result import Trained, read_trained

VARIANT = "efficientnet_lite0-ladnn"
N_PATIENTS = 16
EXPERIMENT = ExperimentConfig(
    seed=3,
    variants=(
        Variant(backbone="efficientnet_lite0", task="ladnn"),
        Variant(backbone="efficientnet_lite0", task="baseline"),
    ),
    data=DataConfig(synthetic=True),
    # Pretrained, because the outputs of random weights hardly differ between images.
    training=TrainingConfig(epochs=1, batch_size=5),
    evaluation=EvaluationConfig(n_bootstrap=100),
    gates=GateConfig(n_attention_phantoms=2),
)


@dataclass(frozen=True)
class TrainedPlatform:
    """A LADNN_HOME with phantoms, a dataset version, and a retrain whose `ladnn` variant is trained and bundled."""

    home: Path
    retrain_id: str
    bundle_id: str

    @property
    def settings(self) -> Settings:
        return read_settings({"LADNN_HOME": str(self.home)})

    @property
    def store(self) -> ObjectStore:
        return open_store(self.settings.store_url)

    @property
    def trusted(self) -> TrustedKeys:
        return self.settings.trusted_keys()

    @property
    def plan(self) -> Plan:
        plan = read_plan(self.store, self.retrain_id)
        assert plan is not None
        return plan

    @property
    def version(self) -> DatasetVersion:
        return load_version(self.store, self.plan.dataset_version)

    @property
    def trained(self) -> Trained:
        trained = read_trained(self.store, self.retrain_id, VARIANT)
        assert trained is not None
        return trained

    @property
    def validated(self) -> Validated:
        return validate_variant(self.store, self.plan, VARIANT, self.settings.cache)

    def contributed_images(self) -> list[bytes]:
        """Return the contributed image files, as a hospital sent them."""
        return [self.store.get(key) for key in self.store.list("inbox/") if key.endswith(".png")]

    def another_bundle(self, threshold: float) -> str:
        """Bundle the same weights at another operating point."""
        validated = self.validated.model_copy(update={"threshold": threshold})
        return assemble_bundle(
            self.store, self.plan, self.trained, validated, self.settings.signing_key(), synthetic=True
        )

    def same_model(self, retrain_id: str, threshold: float | None = None, **planned: object) -> str:
        """Bundle the same weights as another retrain, planned otherwise or not, would that trained them again."""
        plan = keep_plan(self.store, self.plan.model_copy(update={"retrain_id": retrain_id, **planned}))
        validated = self.validated if threshold is None else self.validated.model_copy(update={"threshold": threshold})
        return assemble_bundle(self.store, plan, self.trained, validated, self.settings.signing_key(), synthetic=True)

    def promote(self, bundle_id: str, model_version: str, *, synthetic: bool = True) -> Promotion:
        """Append a record to the promotion log, without MLflow."""
        current = champion(self.store)
        proposal = Proposal(
            bundle_id=bundle_id,
            model_version=model_version,
            retrain_id=f"retrain-of-{model_version}",
            synthetic=synthetic,
            by="tests",
            reason="needed",
        )
        return promote(self.store, proposal, expected=current.number if current else 0)


@pytest.fixture(scope="session")
def trained_platform(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> TrainedPlatform:
    """The platform, to be read only; parallel test processes share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    home = shared / "home, with a space and ü"
    with (shared / "trained_platform.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = shared / "trained_platform.json"
        if not note.exists():
            note.write_text(json.dumps(_build(home)))
        return TrainedPlatform(home, **json.loads(note.read_text()))


@pytest.fixture
def platform(trained_platform: TrainedPlatform, tmp_path: Path) -> TrainedPlatform:
    """A copy of the platform that a test may change."""
    home = tmp_path / trained_platform.home.name
    shutil.copytree(trained_platform.home, home)
    return TrainedPlatform(home, trained_platform.retrain_id, trained_platform.bundle_id)


@pytest.fixture
def champion_platform(platform: TrainedPlatform) -> TrainedPlatform:
    """A copy of the platform whose bundle is champion, as model version 1."""
    platform.promote(platform.bundle_id, "1")
    return platform


def _build(home: Path) -> dict[str, str]:
    import torch

    from ladnn.training.variant import train_variant

    settings = read_settings({"LADNN_HOME": str(home)})
    store = open_store(settings.store_url)
    home.mkdir()
    # A key of its own would deal the patients to the splits differently in every run.
    (home / "pseudonym.key").write_text("the key of the tests")
    for study, files in phantom_contributions(1, N_PATIENTS, n_slices=1):
        contribute(store, study, files, TODAY)
    take_in(open_desk(Platform(settings, store)), today=TODAY)
    version = freeze(store, EXPERIMENT.data)
    plan = plan_retrain(store, version.id, EXPERIMENT, "0.0.1", force=False).plan
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the images are few and the cores shared
    try:
        trained = train_variant(store, plan.retrain_id, VARIANT, settings.cache)
    finally:
        torch.set_num_threads(n_threads)
    validated = validate_variant(store, plan, VARIANT, settings.cache)
    bundle_id = assemble_bundle(store, plan, trained, validated, settings.signing_key(), synthetic=True)
    return {"retrain_id": plan.retrain_id, "bundle_id": bundle_id}
