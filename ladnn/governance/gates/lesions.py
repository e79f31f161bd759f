"""Lesion sanity: a diagnosis that rises while the lesion heads or the attention collapse learned something else."""

import math
from collections.abc import Iterator

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.champion import nothing_to_compare, told
from ladnn.governance.gates.evidence import LesionSanity, TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict, result_of
from ladnn.statistics import NOT_FINITE, Interval

_FEW = "not enough known labels"


def lesion_sanity(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a collapse against the champion, whatever the diagnosis does.

    A collapse is shown by an interval below 0 and is large: the lesions' mean AUROC falls by `max_lesion_loss`, that of one
    lesion by `max_single_lesion_loss`, or the share of attention inside lesions by `max_attention_loss` of the champion's. A
    loss as large that is not shown, and heads and attention that both have no interval, are left to a person.
    """
    name, limit = "lesion_sanity", -config.max_lesion_loss
    excused = nothing_to_compare(evidence)
    if excused is not None:
        return result_of(name, None, limit, *excused)
    sanity = evidence.sanity
    if sanity is None:
        why = "neither the lesion heads nor the attention were compared"
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, why, _FEW)
    heads, before = sanity.auroc_difference, sanity.champion_energy
    if before is not None and not math.isfinite(before):
        why = "the champion's attention inside lesions is not finite"
        return result_of(name, heads, limit, Verdict.FAIL, why, "not finite")
    if any(item.note == NOT_FINITE for item in (heads, sanity.energy_difference) if item is not None):
        return result_of(name, heads, limit, Verdict.FAIL, f"not finite: {_said(sanity)}", "not finite")
    losses = list(_losses(sanity, config))
    shown = [said for difference, said in losses if difference.high is not None and difference.high < 0]
    if shown:
        rises = evidence.difference is not None and (evidence.difference.value or 0.0) > 0
        aside = " while the diagnosis rises: it is learned from something else" if rises else ""
        return result_of(name, heads, limit, Verdict.FAIL, f"collapse: {' and '.join(shown)}{aside}", "collapse")
    if losses:
        why = f"a collapse that is not shown: {' and '.join(said for _, said in losses)}"
        return result_of(name, heads, limit, Verdict.NOT_EVALUATED, why, "not enough cases")
    if not any(item is not None and item.low is not None for item in (heads, sanity.energy_difference)):
        why = f"neither the lesion heads nor the attention could be judged: {_said(sanity)}"
        return result_of(name, heads, limit, Verdict.NOT_EVALUATED, why, _FEW)
    return result_of(name, heads, limit, Verdict.PASS, f"no collapse: {_said(sanity)}")


def _losses(sanity: LesionSanity, config: GateConfig) -> Iterator[tuple[Interval, str]]:
    """Yield what is lost beyond its limit, shown or not, with its words."""
    heads, attention, before = sanity.auroc_difference, sanity.energy_difference, sanity.champion_energy
    if heads is not None and _is_large(heads, config.max_lesion_loss):
        yield heads, f"the lesion heads lose: mean AUROC {told(heads)}"
    for lesion, difference in sanity.lesion_differences.items():
        if _is_large(difference, config.max_single_lesion_loss):
            yield difference, f"the head of {lesion} loses: AUROC {told(difference)}"
    if attention is not None and before and _is_large(attention, config.max_attention_loss * before):
        yield attention, f"the attention loses: energy inside lesions {told(attention)}, from {before:.3f}"


def _is_large(difference: Interval, limit: float) -> bool:
    return difference.value is not None and -difference.value >= limit


def _said(sanity: LesionSanity) -> str:
    heads, energy = sanity.auroc_difference, sanity.energy_difference
    of_heads = (
        "lesion heads not compared, too few known labels" if heads is None else f"lesions' mean AUROC {told(heads)}"
    )
    return f"{of_heads}; " + ("attention not measured" if energy is None else f"attention in lesions {told(energy)}")
