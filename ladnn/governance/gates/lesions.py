"""Lesion sanity: a diagnosis that rises while the lesion heads or the attention collapse learned something else."""

from ladnn.config_gates import GateConfig
from ladnn.governance.gates.champion import nothing_to_compare, told
from ladnn.governance.gates.evidence import LesionSanity, TestEvidence
from ladnn.governance.gates.verdicts import GateResult, Verdict, result_of


def lesion_sanity(evidence: TestEvidence, config: GateConfig) -> GateResult:
    """Reject a collapse against the champion, whatever the diagnosis does.

    A collapse is shown by an interval below 0 and is large: the lesions' mean AUROC falls by `max_lesion_loss`, or the
    share of attention inside lesions by `max_attention_loss` of the champion's.
    """
    name, limit = "lesion_sanity", -config.max_lesion_loss
    excused = nothing_to_compare(evidence)
    if excused is not None:
        return result_of(name, None, limit, *excused)
    sanity = evidence.sanity
    if sanity is None or (sanity.auroc_difference is None and sanity.energy_difference is None):
        why = "neither the lesion heads (not enough known labels) nor the attention could be compared"
        return result_of(name, None, limit, Verdict.NOT_EVALUATED, why, "not enough known labels")
    collapsed = [*_heads(sanity, config), *_attention(sanity, config)]
    if collapsed:
        rises = evidence.difference is not None and (evidence.difference.value or 0.0) > 0
        aside = " while the diagnosis rises: it is learned from something else" if rises else ""
        why = f"{' and '.join(collapsed)}{aside}"
        return result_of(name, sanity.auroc_difference, limit, Verdict.FAIL, why, "collapse")
    return result_of(name, sanity.auroc_difference, limit, Verdict.PASS, f"no collapse: {_said(sanity)}")


def _heads(sanity: LesionSanity, config: GateConfig) -> list[str]:
    difference = sanity.auroc_difference
    if difference is None or difference.value is None or difference.high is None:
        return []
    if difference.high < 0 and difference.value <= -config.max_lesion_loss:
        return [f"the lesion heads collapse: mean AUROC {told(difference)}"]
    return []


def _attention(sanity: LesionSanity, config: GateConfig) -> list[str]:
    difference, before = sanity.energy_difference, sanity.champion_energy
    if difference is None or difference.value is None or difference.high is None or not before:
        return []
    if difference.high < 0 and -difference.value >= config.max_attention_loss * before:
        return [f"the attention collapses: energy inside lesions {told(difference)}, from {before:.3f}"]
    return []


def _said(sanity: LesionSanity) -> str:
    heads, energy = sanity.auroc_difference, sanity.energy_difference
    of_heads = "lesion heads not compared" if heads is None else f"lesions' mean AUROC {told(heads)}"
    return f"{of_heads}; " + ("attention not measured" if energy is None else f"attention in lesions {told(energy)}")
