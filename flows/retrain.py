"""The weekly retrain: intake, dataset version, variants, evaluation, gates, decision, promotion.

Each stage leaves its document in the object store, so a run that was killed is finished by the next one.
"""

import os
from contextlib import suppress
from typing import Any

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE

from flows.abandoned import end_abandoned_runs
from flows.approval import suspended_for
from flows.embedded import owns_server
from flows.held import await_person, go_on, hold, settle_held
from flows.intake import take_in_contributions
from flows.stages import StageClock
from flows.train_variant import train_variant
from ladnn import __version__
from ladnn.config import ExperimentConfig
from ladnn.config_file import parse_config
from ladnn.dataset.card.keeping import keep_page
from ladnn.dataset.freezing import check_trainable_parts, freeze
from ladnn.dataset.shortcuts.audit import ShortcutAudit, audit_version
from ladnn.dataset.split import SPLITS
from ladnn.dataset.version import DatasetVersion
from ladnn.errors import PromotionConflictError
from ladnn.evaluation.comparison import compare_validated
from ladnn.evaluation.selection import select_candidate
from ladnn.evaluation.validation import Validated, sampling_of, validate_variant
from ladnn.governance.decision import Decision, decide
from ladnn.governance.gates.evidence import Evidence
from ladnn.governance.gates.verdicts import GateResult
from ladnn.governance.ledger import check_budget
from ladnn.model.network import check_trainable
from ladnn.model.weights import WeightsSource
from ladnn.platform import check_free_space, only_one_retrain, open_platform
from ladnn.progress import say
from ladnn.registry import retrain_runs
from ladnn.registry.beforehand import failed_beforehand, gather_beforehand
from ladnn.registry.bundle_assembly import assemble_bundle
from ladnn.registry.challenger import challenge, check_replaceable, promote_challenger
from ladnn.registry.leftovers import supersede_unfinished
from ladnn.registry.metric_rows import metric_rows
from ladnn.registry.model_versions import follow_log
from ladnn.registry.promotion import champion
from ladnn.registry.publication import end_retrain
from ladnn.registry.retrain_figures import draw_figures
from ladnn.registry.retrain_panels import draw_panels
from ladnn.registry.summary import RetrainSummary, Status, summarise
from ladnn.registry.test_set import TestResult, open_test_set, read_flips, read_test_result
from ladnn.registry.tracking import Tracking, open_tracking
from ladnn.retrain import BY_HAND, Found, Plan, plan_retrain
from ladnn.training.result import required_trained


@flow(name="retrain")
def retrain(experiment: dict[str, Any], force: bool = False, reason: str = BY_HAND) -> RetrainSummary:
    """Retrain on all that was contributed, and promote the result if it is good enough.

    Args:
        experiment: values of an experiment configuration.
        force: retrain although neither data nor experiment changed.
        reason: what set it off; kept with its plan.
    """
    config = parse_config(experiment, "of the retrain flow")
    if (waited_for := suspended_for()) is not None:
        return go_on(waited_for)
    with only_one_retrain(open_platform().settings):
        if owns_server(os.environ):
            end_abandoned_runs(runtime.flow_run.id)
        settle_held()
        return run_stages(config, force, reason)


def run_stages(config: ExperimentConfig, force: bool, reason: str = BY_HAND) -> RetrainSummary:
    """Run the stages in order; what an earlier run finished is not done again."""
    clock = StageClock()
    with clock.stage("intake"):
        take_in_contributions(sweep=True)
    with clock.stage("dataset"):
        version = freeze_dataset(config)
        found = plan(version, config, force, reason)
    if found.state == "ended":
        return nothing_new(found.plan)
    if found.state == "waiting":
        return await_person(found.plan.retrain_id)
    try:
        return run_planned(found.plan, version, clock)
    except Exception:
        retrain_runs.fail(open_platform().settings, found.plan.retrain_id)
        raise


def run_planned(current: Plan, version: DatasetVersion, clock: StageClock) -> RetrainSummary:
    """Bring a planned retrain to its verdict."""
    with clock.stage("audit"):
        audit = audit_dataset(current)
    with clock.stage("tracking"):
        open_runs(current, version, audit)
    for variant in current.config.variants:
        with clock.stage(f"train {variant.name}"):
            train_variant(current.retrain_id, variant.name)
    with clock.stage("evaluate"):
        candidate = validate_and_select(current)
        bundle_id = bundle_candidate(current, candidate, version)
        failed = check_beforehand(current, bundle_id, audit)
        test = test_candidate(current, version, bundle_id, failed)
    with clock.stage("decide"):
        decision = decide_on(current, candidate, test, audit)
    if decision.outcome == "hold":
        make_challenger(decision, test)
        hold(current, clock)
        return await_person(current.retrain_id)
    with clock.stage("promote"):
        promote_if_decided(current, decision, test)
    return conclude(current, decision, clock)


@task(cache_policy=NO_CACHE)
def freeze_dataset(config: ExperimentConfig) -> DatasetVersion:
    """Freeze what intake accepted of the asked cut, and keep the data card with the version."""
    platform = open_platform()
    check_free_space(platform.settings)
    check_replaceable(platform.store, synthetic=config.data.synthetic)
    version = freeze(platform.store, config.data)
    check_trainable_parts(version)
    keep_page(platform.store, version)
    counts = ((split, version.splits[split]) for split in SPLITS)
    parts = ", ".join(f"{split} {count.n_images} of {count.n_groups} patients" for split, count in counts)
    say(f"  dataset version {version.id}: {version.n_images} images ({parts})")
    return version


@task(cache_policy=NO_CACHE)
def plan(version: DatasetVersion, config: ExperimentConfig, force: bool, reason: str) -> Found:
    """Find out whether there is anything to do, and refuse early what could not be trained, measured or signed."""
    platform = open_platform()
    for variant in config.variants:
        check_trainable(variant, config.training, WeightsSource(platform.weights))
    found = plan_retrain(platform.store, version.id, config, __version__, force=force, reason=reason)
    say(f"  retrain {found.plan.retrain_id}: {found.state} ({found.plan.reason})")
    if found.state in {"new", "broken off"}:
        platform.settings.signing_key()
        if version.splits["test"].n_images:
            budget = config.gates.max_test_openings
            check_budget(platform.store, [(version.test_version, found.plan.retrain_id)], budget)
    return found


@task(cache_policy=NO_CACHE)
def nothing_new(ended: Plan) -> RetrainSummary:
    """Report the retrain that ended before; repair what a crash may have left behind it."""
    platform = open_platform()
    if champion(platform.store) is not None:
        follow_log(_tracking(), platform.store)
    return summarise(platform.store, ended, "nothing new")


@task(cache_policy=NO_CACHE)
def audit_dataset(current: Plan) -> ShortcutAudit:
    """Find out how well the diagnosis can be predicted without the disease."""
    platform, config = open_platform(), current.config
    sampling = sampling_of(config.evaluation, config.seed)
    audit = audit_version(platform.store, current.dataset_version, config.audit, sampling, platform.settings.cache)
    for result in audit.results:
        say(f"  audit: {result}")
    say(f"  audit: {audit.verdict}")
    return audit


@task(cache_policy=NO_CACHE)
def open_runs(current: Plan, version: DatasetVersion, audit: ShortcutAudit) -> None:
    """Open the retrain's run in MLflow and end those of retrains that newer data overtook."""
    tracking, platform = _tracking(), open_platform()
    store = platform.store
    supersede_unfinished(store, tracking, platform.settings.trusted_keys(), current)
    run_id = retrain_runs.begin(tracking, current, version)
    retrain_runs.log_audit(tracking, run_id, audit)
    if champion(store) is not None:
        follow_log(tracking, store)


@task(cache_policy=NO_CACHE)
def validate_and_select(current: Plan) -> Validated:
    """Measure every variant on validation and choose the candidate."""
    platform, tracking = open_platform(), _tracking()
    results = []
    for variant in current.config.variants:
        validated = validate_variant(platform.store, current, variant.name, platform.settings.cache)
        run_id = retrain_runs.begin_variant(tracking, current, variant.name)
        retrain_runs.log_validation(tracking, run_id, validated)
        results.append(validated)
    parent_id = tracking.parent_run(current.retrain_id, {})
    retrain_runs.log_comparisons(tracking, parent_id, compare_validated(platform.store, current))
    candidate, selection = select_candidate(platform.store, current, results)
    retrain_runs.log_selection(tracking, parent_id, selection)
    say(f"  candidate: {selection.reason}")
    return candidate


@task(cache_policy=NO_CACHE)
def bundle_candidate(current: Plan, candidate: Validated, version: DatasetVersion) -> str:
    """Write the candidate's bundle: from here on, what is measured is what would be served."""
    platform = open_platform()
    trained = required_trained(platform.store, current.retrain_id, candidate.variant.name)
    key = platform.settings.signing_key()
    return assemble_bundle(platform.store, current, trained, candidate, key, synthetic=version.synthetic)


@task(cache_policy=NO_CACHE)
def check_beforehand(current: Plan, bundle_id: str, audit: ShortcutAudit) -> tuple[GateResult, ...]:
    """Run the gates that need no test set; where one fails, the test set is not worn out for nothing."""
    platform = open_platform()
    if read_test_result(platform.store, current.retrain_id) is not None:
        return ()
    failed = failed_beforehand(platform.store, current, bundle_id, audit, platform.settings.trusted_keys())
    for gate in failed:
        say(f"  {gate.name} failed, so the test set is not opened: {gate.reason}")
    return failed


@task(cache_policy=NO_CACHE)
def test_candidate(
    current: Plan, version: DatasetVersion, bundle_id: str, failed: tuple[GateResult, ...]
) -> TestResult:
    """Open the test set, once, for candidate and champion; log all that was measured, with figures."""
    platform, tracking = open_platform(), _tracking()
    store, run_id = platform.store, tracking.parent_run(current.retrain_id, {})
    trusted = platform.settings.trusted_keys()
    result = open_test_set(store, current, version, bundle_id, trusted, platform.settings.cache, failed)
    figures = draw_figures(store, current) | draw_panels(store, current)
    retrain_runs.log_evaluation(tracking, run_id, metric_rows(store, current), figures)
    return result


@task(cache_policy=NO_CACHE)
def decide_on(current: Plan, candidate: Validated, test: TestResult, audit: ShortcutAudit) -> Decision:
    """Run the gates and record the decision."""
    tracking, platform = _tracking(), open_platform()
    store, trusted = platform.store, platform.settings.trusted_keys()
    beforehand = gather_beforehand(store, current, test.candidate_bundle, audit, test.champion, trusted)
    evidence = Evidence(test=test.evidence, **dict(beforehand))
    config = current.config
    decision = decide(
        store,
        current.retrain_id,
        candidate.variant.name,
        test.candidate_bundle,
        evidence,
        config.gates,
        config.promotion,
    )
    run_id = tracking.parent_run(current.retrain_id, {})
    retrain_runs.log_decision(tracking, run_id, test, decision)
    retrain_runs.log_gate_evidence(tracking, run_id, evidence, read_flips(store, current.retrain_id))
    return decision


@task(cache_policy=NO_CACHE)
def make_challenger(decision: Decision, test: TestResult) -> None:
    """Register a candidate that waits for a person, so that it can be looked at; one that was overtaken ends anyway."""
    with suppress(PromotionConflictError):
        platform = open_platform()
        challenge(platform.store, _tracking(), platform.settings.trusted_keys(), decision, test)


@task(cache_policy=NO_CACHE)
def promote_if_decided(current: Plan, decision: Decision, test: TestResult) -> None:
    """Register and promote a candidate that passed.

    Where the champion changed meanwhile, the retrain ends without a verdict and the next one measures anew.
    """
    if decision.outcome == "reject":
        return
    platform, tracking = open_platform(), _tracking()
    store, trusted = platform.store, platform.settings.trusted_keys()
    try:
        promote_challenger(store, tracking, trusted, decision, test, by="gates", reason="all gates passed")
    except PromotionConflictError:
        end_retrain(store, tracking, trusted, current, "superseded")
        raise


@task(cache_policy=NO_CACHE)
def conclude(current: Plan, decision: Decision, clock: StageClock) -> RetrainSummary:
    """End the retrain, in the store last of all."""
    platform, tracking = open_platform(), _tracking()
    store = platform.store
    status: Status = "rejected" if decision.outcome == "reject" else "promoted"
    end_retrain(store, tracking, platform.settings.trusted_keys(), current, status, clock.times())
    say(f"retrain {current.retrain_id}: {status}")
    return summarise(store, current)


def _tracking() -> Tracking:
    return open_tracking(open_platform().settings)
