"""What the gates are judged by, gathered from a real platform: comparison, retention, data, service, budget."""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest
from factories import TODAY
from trained_platform import EXPERIMENT, VARIANT

from ladnn.config_gates import GateConfig
from ladnn.dataset.desk import open_desk
from ladnn.dataset.freezing import freeze
from ladnn.dataset.shortcuts.audit import audit_version
from ladnn.dataset.version import load_manifest, rows_of
from ladnn.errors import BudgetSpentError, BundleError, RetrainError
from ladnn.governance.decision import decide
from ladnn.governance.gates.evidence import Evidence
from ladnn.governance.ledger import allow_openings, count_openings, openings, record_opening, use_of
from ladnn.governance.shared_patients import SharedPatients
from ladnn.intake.inbox import contribute
from ladnn.intake.phantom_contributions import phantom_contributions
from ladnn.intake.process import take_in
from ladnn.labels import LESIONS
from ladnn.platform import Platform
from ladnn.registry import serving_check
from ladnn.registry.beforehand import failed_beforehand, gather_beforehand
from ladnn.registry.bundle import load_bundle
from ladnn.registry.champion_comparison import slice_differences
from ladnn.registry.data_facts import gather_data_facts, n_leaks
from ladnn.registry.decision_record import decision_record, record_page
from ladnn.registry.lesion_comparison import compare_lesions
from ladnn.registry.measured import measure
from ladnn.registry.promotion import champion
from ladnn.registry.serving_check import check_serving, try_bundle
from ladnn.registry.test_set import open_test_set, read_flips, read_test_result
from ladnn.serving.trial import quickest_s
from ladnn.signing import TrustedKeys
from ladnn.statistics import Bootstrap

SAMPLING = Bootstrap(n_replicates=50, confidence=0.95, seed=1)


def opened(platform, plan=None, version=None, bundle_id=None):
    return open_test_set(
        platform.store,
        plan or platform.plan,
        version or platform.version,
        bundle_id or platform.another_bundle(0.3),
        platform.trusted,
        platform.settings.cache,
    )


def grown(platform, n_patients=16):
    """A dataset version with more patients, and the plan of a retrain on it."""
    for study, files in phantom_contributions(2, n_patients, n_slices=1):
        contribute(platform.store, study, files, TODAY)
    take_in(open_desk(Platform(platform.settings, platform.store)), today=TODAY)
    version = freeze(platform.store, EXPERIMENT.data)
    plan = platform.plan.model_copy(update={"dataset_version": version.id, "retrain_id": "r-later-1"})
    return version, plan


def test_answers_that_change_are_listed_by_pseudonym_and_counted(champion_platform):
    evidence = opened(champion_platform).evidence
    listed = read_flips(champion_platform.store, champion_platform.retrain_id)

    shared = {part.sensitivity.confidence for part in evidence.slices if part.sensitivity}
    assert len(shared) <= 1
    assert all(level > EXPERIMENT.evaluation.confidence for level in shared)
    counts = evidence.flips
    rows = rows_of(load_manifest(champion_platform.store, champion_platform.plan.dataset_version), "test")
    assert counts.n_images == len(rows)
    assert counts.gained + counts.lost + counts.unknown == len(listed)
    assert len({item["patient"] for item in listed}) == counts.n_patients
    for item in listed:
        row = rows[rows["image"] == item["image"]].iloc[0]
        assert (item["patient"], item["label"]) == (row["group"], row["covid"])
        assert item["champion"] != item["candidate"]
    if champion_platform.validated.threshold > 0.3:
        assert {item["candidate"] for item in listed} <= {"positive"}


def test_a_slice_with_too_few_patients_has_no_difference_and_one_with_enough_has(champion_platform):
    config = EXPERIMENT.model_copy(
        update={"evaluation": EXPERIMENT.evaluation.model_copy(update={"min_slice_patients": 1})}
    )
    plan = champion_platform.plan.model_copy(update={"config": config, "retrain_id": "r-small-1"})
    few = opened(champion_platform).evidence.slices
    enough = opened(champion_platform, plan).evidence.slices

    assert [item.name for item in few] == [item.name for item in enough]
    assert {item.name.partition("=")[0] for item in few} == {"source", "site", "sex", "age"}
    assert all(item.auroc is None for item in few)
    assert any(item.auroc is not None and item.auroc.value == 0 for item in enough)


def test_a_required_slice_is_scored_and_compared_by_itself_however_many_larger_ones_there_are(champion_platform):
    gates = EXPERIMENT.gates.model_copy(update={"required_slices": ("site=small",)})
    evaluation = EXPERIMENT.evaluation.model_copy(update={"min_slice_patients": 1})
    config = EXPERIMENT.model_copy(update={"gates": gates, "evaluation": evaluation})
    plan = champion_platform.plan.model_copy(update={"config": config, "retrain_id": "r-small-1"})
    part = rows_of(load_manifest(champion_platform.store, plan.dataset_version), "test")
    two = pd.concat([part[part["covid"] == label].head(1) for label in (0, 1)])
    larger = [part.assign(site=f"hospital-{number}") for number in range(25)]
    rows = pd.concat([*larger, two.assign(site="small")], ignore_index=True)
    bundle = load_bundle(champion_platform.store, champion_platform.bundle_id, champion_platform.trusted)
    measured = measure(champion_platform.store, plan, rows, bundle, "of the test", champion_platform.settings.cache)

    scored = {item.value: item for item in measured.slices if item.by == "site"}
    compared = {item.name: item for item in slice_differences(config, rows, measured, measured)}

    assert {"small", "others"} < set(scored)
    assert scored["small"].n_images == compared["site=small"].n_images == 2
    assert compared["site=small"].sensitivity.value == compared["site=small"].specificity.value == 0


def test_on_an_unchanged_test_set_the_columns_of_retention_are_the_same(champion_platform):
    evidence = opened(champion_platform).evidence

    retention = evidence.retention
    assert retention.previous_version == retention.new_version == champion_platform.version.test_version
    assert retention.champion_previous.value == retention.champion_new.value
    assert retention.candidate_previous.value == retention.candidate_new.value
    assert count_openings(champion_platform.store, champion_platform.version.test_version) == 1


def test_a_grown_test_set_fills_the_table_of_retention_and_both_versions_count_an_opening(champion_platform):
    version, plan = grown(champion_platform)
    assert version.test_version != champion_platform.version.test_version

    retention = opened(champion_platform, plan, version).evidence.retention

    assert (retention.previous_version, retention.new_version) == (
        champion_platform.version.test_version,
        version.test_version,
    )
    assert retention.champion_previous.n < retention.champion_new.n
    assert retention.n_kept == retention.n_previous == champion_platform.version.splits["test"].n_images
    assert retention.brought_by_data == retention.champion_new.value - retention.champion_previous.value
    assert retention.brought_by_model == retention.brought_by_model_previous == 0
    assert retention.difference.value == 0  # the same weights
    for name in (retention.previous_version, retention.new_version):
        assert count_openings(champion_platform.store, name) == 1
    alone = opened(champion_platform).evidence
    assert alone.champion.auroc.value == pytest.approx(retention.champion_previous.value)


def test_a_previous_test_version_whose_budget_is_spent_is_not_opened(champion_platform, monkeypatch):
    version, plan = grown(champion_platform)
    previous = champion_platform.version.test_version
    budget = plan.config.gates.max_test_openings
    for number in range(budget):
        record_opening(champion_platform.store, previous, f"r-{number}", (), budget)
    # As another cut would have it, the new version holds none of the patients of the previous one.
    monkeypatch.setattr(SharedPatients, "share", lambda _, version, others: float(version in others))

    evidence = opened(champion_platform, plan, version).evidence

    assert "budget" in evidence.retention.problem
    assert evidence.retention.n_kept == evidence.retention.n_previous > 0
    assert evidence.candidate is not None
    assert count_openings(champion_platform.store, previous) == budget


def test_previous_test_patients_that_stand_in_the_new_version_are_looked_at_there_and_need_no_budget(champion_platform):
    version, plan = grown(champion_platform)
    previous = champion_platform.version.test_version
    budget = plan.config.gates.max_test_openings
    for number in range(budget - 1):
        record_opening(champion_platform.store, previous, f"r-{number}", (), budget)

    evidence = opened(champion_platform, plan, version).evidence

    assert evidence.retention.problem is None
    assert use_of(champion_platform.store, previous).used == budget
    assert 1 < evidence.openings < budget


def test_beyond_its_budget_nothing_is_scored_until_a_person_allows_it(champion_platform):
    store, plan = champion_platform.store, champion_platform.plan
    once = plan.config.model_copy(update={"gates": GateConfig(max_test_openings=1)})
    plan = plan.model_copy(update={"config": once})
    test_version = champion_platform.version.test_version
    record_opening(store, test_version, "r-earlier", (), 1)

    with pytest.raises(BudgetSpentError, match="ladnn test-set accept"):
        opened(champion_platform, plan)
    assert read_test_result(store, plan.retrain_id) is None
    assert not any("test_scores" in key for key in store.list("retrains/"))
    assert count_openings(store, test_version) == 1

    allow_openings(store, test_version, "Ada", "no new patients till May")
    evidence = opened(champion_platform, plan).evidence
    assert (evidence.openings, evidence.allowed) == (2, 1)
    assert evidence.allowed_by == "Ada: no new patients till May"


def test_where_a_gate_that_needs_no_test_set_fails_it_is_not_opened_and_the_record_is_complete(champion_platform):
    store, bundle_id = champion_platform.store, champion_platform.another_bundle(0.3)
    config = EXPERIMENT.model_copy(update={"gates": GateConfig(min_new_patients=1, max_test_openings=1)})
    plan = champion_platform.plan.model_copy(update={"config": config})
    test_version, trusted = champion_platform.version.test_version, champion_platform.trusted
    record_opening(store, test_version, "r-earlier", (), 1)
    audit = audit_version(store, plan.dataset_version, config.audit, SAMPLING, champion_platform.settings.cache)

    failed = failed_beforehand(store, plan, bundle_id, audit, trusted)
    result = open_test_set(
        store, plan, champion_platform.version, bundle_id, trusted, champion_platform.settings.cache, failed
    )
    beforehand = gather_beforehand(store, plan, bundle_id, audit, result.champion, trusted)
    evidence = Evidence(test=result.evidence, **dict(beforehand))
    decision = decide(store, plan.retrain_id, VARIANT, bundle_id, evidence, config.gates)

    assert [gate.name for gate in failed] == ["new_data"]
    assert [item.retrain_id for item in openings(store, test_version)] == ["r-earlier"]
    assert not any("test_scores" in key for key in store.list("retrains/"))
    assert (decision.outcome, result.evidence.openings, result.candidate_scores) == ("reject", 1, None)
    assert {"auroc_floor", "test_set_budget"} <= set(decision.unevaluated)
    assert any("not opened: new_data failed before" in reason for reason in decision.reasons)
    record = decision_record(store, plan)
    assert "The test set was not opened: new_data failed before." in record.summary
    assert "not run: auroc_floor" in record.summary
    assert "new_data failed before" in record_page(record)
    again = open_test_set(store, plan, champion_platform.version, bundle_id, trusted, champion_platform.settings.cache)
    assert again == result  # written once


def test_lesion_heads_and_attention_of_the_same_weights_do_not_differ(champion_platform):
    config = EXPERIMENT.model_copy(update={"gates": GateConfig(min_lesion_images=1, n_attention_phantoms=3)})
    plan = champion_platform.plan.model_copy(update={"config": config})

    sanity = opened(champion_platform, plan).evidence.sanity

    assert sanity.candidate_auroc == sanity.champion_auroc is not None
    assert 0 < sanity.candidate_energy == sanity.champion_energy < 1
    assert sanity.auroc_difference.value == sanity.energy_difference.value == 0


def test_a_lesion_whose_images_are_of_few_patients_is_not_compared(platform):
    gates = GateConfig(min_lesion_images=4, n_attention_phantoms=0)
    rows = rows_of(load_manifest(platform.store, platform.plan.dataset_version), "train").iloc[:8].copy()
    rows[list(LESIONS)] = np.nan
    rows["GGO"] = [0.0, 1.0] * 4
    bundle = load_bundle(platform.store, platform.bundle_id, platform.trusted)
    measured = measure(platform.store, platform.plan, rows, bundle, "scores_of_a_test", platform.settings.cache)

    def compared(groups):
        config = EXPERIMENT.model_copy(update={"gates": gates})
        return compare_lesions(config, rows.assign(group=groups), measured, measured).auroc_difference

    assert compared([*"abcdefgh"]).value == 0
    assert compared([*"abcbebgb"]) is None  # all four with the lesion are one patient's


def test_attention_can_be_left_out(champion_platform):
    config = EXPERIMENT.model_copy(update={"gates": GateConfig(n_attention_phantoms=0)})
    plan = champion_platform.plan.model_copy(update={"config": config})

    assert opened(champion_platform, plan).evidence.sanity.energy_difference is None


def test_data_facts_of_a_first_champion_count_all_training_patients(platform):
    facts = gather_data_facts(platform.store, platform.plan, None, platform.trusted)

    assert not facts.has_champion
    assert facts.n_new_patients == platform.version.splits["train"].n_groups
    assert (facts.n_candidate_leaks, facts.n_champion_leaks) == (0, 0)
    assert facts.n_images == platform.version.n_images
    assert gather_data_facts(platform.store, platform.plan, None, platform.trusted) == facts


def test_only_patients_that_the_champion_does_not_know_are_new(champion_platform):
    version, plan = grown(champion_platform)

    store, current, trusted = champion_platform.store, champion(champion_platform.store), champion_platform.trusted

    assert gather_data_facts(store, champion_platform.plan, current, trusted).n_new_patients == 0
    assert gather_data_facts(store, plan, None, trusted).n_new_patients == version.splits["train"].n_groups
    facts = gather_data_facts(store, plan, current, trusted)  # kept for each champion
    before = champion_platform.version.splits["train"].n_groups
    assert facts.n_new_patients == version.splits["train"].n_groups - before > 0


def test_where_the_champions_data_cannot_be_read_nobody_knows_which_patients_are_new_or_leaked(champion_platform):
    (champion_platform.home / "store" / "bundles" / champion_platform.bundle_id / "bundle.json").unlink()

    store = champion_platform.store

    facts = gather_data_facts(store, champion_platform.plan, champion(store), champion_platform.trusted)

    assert facts.n_new_patients is facts.n_champion_leaks is None
    assert facts.n_candidate_leaks == 0


@pytest.mark.parametrize("shared", ["group", "patient", "study", "image"])
def test_a_leak_is_found_by_group_patient_study_and_picture(shared):
    def manifest(prefix, splits):
        columns = ("group", "patient", "study", "image")
        return pd.DataFrame(
            {"split": splits} | {c: [f"{prefix}-{c}-{number}" for number in range(len(splits))] for c in columns}
        )

    tested, learned = manifest("a", ["test", "train", "test"]), manifest("b", ["train", "validation", "test"])
    assert n_leaks(tested, learned) == 0
    learned.loc[1, shared] = tested.loc[0, shared]
    assert n_leaks(tested, learned) == 1
    tested.loc[1, shared] = learned.loc[0, shared]  # a patient of both trainings is none
    assert n_leaks(tested, learned) == 1


def test_unknown_patients_are_no_leak():
    rows = pd.DataFrame({"split": ["test", "train"], "group": ["g1", "g2"], "patient": [None, None]})
    rows = rows.assign(study=["s1", "s2"], image=["i1", "i2"])

    assert n_leaks(rows, rows) == 0


def test_a_bundle_is_served_without_torch(platform):
    facts = check_serving(platform.store, platform.plan, platform.bundle_id, platform.trusted)

    assert facts.problem is None
    assert facts.latency_ms > 0
    assert facts.size_bytes == sum(
        len(platform.store.get(key)) for key in platform.store.list(f"bundles/{platform.bundle_id}/")
    )
    assert check_serving(platform.store, platform.plan, platform.bundle_id, platform.trusted) == facts


def test_the_time_of_a_picture_does_not_count_what_else_the_machine_does():
    """Of three calls each takes 0.2 s of a processor; others keep it waiting for 3, 2 and 4 s."""
    waits, now = iter([3.0, 2.0, 4.0]), {"passed": 10.0, "on processors": 1.0}

    def call():
        now["passed"] += 0.2 + next(waits)
        now["on processors"] += 0.2

    clocks = [lambda name=name: now[name] for name in now]
    assert quickest_s(call, 3, clocks) == pytest.approx(0.2)
    assert quickest_s(lambda: now.update(passed=now["passed"] + 0.1, **{"on processors": 9.0}), 1, clocks) == (
        pytest.approx(0.1)
    )  # two threads: the clock shows less than the processors


def test_a_damaged_bundle_cannot_be_served(platform):
    graph = platform.home / "store" / "bundles" / platform.bundle_id / "model.onnx"
    (platform.home / "store" / ".sha256" / "bundles" / platform.bundle_id / "model.onnx").unlink(missing_ok=True)
    graph.write_bytes(graph.read_bytes()[:-1])

    facts = try_bundle(platform.store, platform.bundle_id, platform.trusted)

    assert "model.onnx" in facts.problem
    assert facts.latency_ms is None


def program(tmp_path, line):
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("kill -KILL $$", "SIGKILL"),
        (f"echo 'MemoryError: none left' >&2; exit {os.EX_TEMPFAIL}", "MemoryError: none left"),
        ("exec sleep 60", "no answer within 1 s"),
    ],
)
def test_a_machine_that_cannot_try_a_bundle_is_no_verdict_on_it(platform, monkeypatch, tmp_path, line, why):
    monkeypatch.setattr(serving_check, "_LONGEST_S", 1)
    monkeypatch.setattr(sys, "executable", program(tmp_path, line))

    with pytest.raises(RetrainError, match=f"could not be tried on this machine.*{why}.*repeat the same command"):
        check_serving(platform.store, platform.plan, platform.bundle_id, platform.trusted)
    assert not any(key.endswith("serving.json") for key in platform.store.list("retrains/"))


def test_no_room_for_a_trial_is_no_verdict_on_the_bundle(platform, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with pytest.raises(RetrainError, match="could not be tried on this machine"):
        try_bundle(platform.store, platform.bundle_id, platform.trusted)


def test_a_trial_tells_what_the_machine_refuses_from_what_is_wrong_with_a_bundle(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")  # cannot be read, yet nothing is known to be missing
    codes = [
        subprocess.run([sys.executable, "-m", "ladnn.serving.trial", str(tmp_path / name)], check=False).returncode
        for name in ("loop", "missing")
    ]

    assert codes == [os.EX_TEMPFAIL, 1]


def test_a_bundle_whose_signer_is_not_trusted_here_is_no_verdict_either(platform):
    with pytest.raises(BundleError, match="not signed by a key that is trusted here"):
        try_bundle(platform.store, platform.bundle_id, TrustedKeys(()))


def test_evidence_is_plain_json(champion_platform):
    evidence = opened(champion_platform).evidence

    assert type(evidence).model_validate(json.loads(evidence.model_dump_json())) == evidence
