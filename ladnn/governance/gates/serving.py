"""The serving gate: what was measured can be served, where torch is not."""

import math

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.evidence import ServingFacts
from ladnn.governance.gates.verdicts import GateResult, Verdict, counted

_BYTES = 1e6


def serving(facts: ServingFacts | None, config: GateConfig) -> GateResult:
    """Reject a bundle that does not load, does not give its golden outputs, is too slow or too large; a limit passes."""
    latency = facts.latency_ms if facts and _is_measured(facts) else None
    verdict, reason = _judge(facts, config)
    return counted("serving", latency, config.max_latency_ms, verdict, reason, facts.n_timed if facts else 0)


def _judge(facts: ServingFacts | None, config: GateConfig) -> tuple[Verdict, str]:
    if facts is None:
        return Verdict.NOT_EVALUATED, "the bundle was not tried in a serving environment, so a person must decide"
    if facts.problem is not None:
        return Verdict.FAIL, f"the bundle cannot be served without torch: {facts.problem}"
    if facts.latency_ms is None or not _is_measured(facts):
        return Verdict.FAIL, "the time for one picture could not be measured"
    megabytes = facts.size_bytes / _BYTES
    told = (
        f"{facts.latency_ms:.0f} ms a picture, the quickest of {facts.n_timed} (gates.max_latency_ms is "
        f"{config.max_latency_ms:.0f}), {megabytes:.1f} MB (gates.max_bundle_megabytes is {config.max_bundle_megabytes:.0f})"
    )
    if facts.latency_ms > config.max_latency_ms or megabytes > config.max_bundle_megabytes:
        return Verdict.FAIL, f"too slow or too large to serve: {told}"
    return Verdict.PASS, f"loads without torch and gives its golden outputs: {told}"


def _is_measured(facts: ServingFacts) -> bool:
    return facts.latency_ms is not None and math.isfinite(facts.latency_ms) and facts.latency_ms > 0
