"""Owns the word lists that the phrases of `triggers` name, as regular expressions."""

from ladnn.intake.reports.effects import FINDING

WORDS = {
    "<it>": FINDING,
    "<not>": r"(?:not|nt|never|hardly|nowhere|cannot)",
    "<be>": r"(?:is|are|was|were|be|been|being|has|have|had|can|ca|could|may|might|will|would|should|did|do|does|now|still"
    r"|remain\w*|returned|came back|turned out|proved)",
    "<adverb>": r"(?:\w+ly|yet|been|be|to be|any|so far|as|both|all|each|either|clear)",
    "<change>": r"(?:chang|increas|decreas|progress|improv|differ|doubt|reduc|absor|resol|enlarg|grow|worsen|exten[ds]|expan"
    r"|spread|regress|clear(?:ing|ance)|dissipat|deteriorat|advanc|shrink)\w*",
    "<seen>": r"(?:seen|see|present|visible|visuali[sz]ed|detect\w+|found|identif\w+|evident|observ\w+|noted|shown|appreciat\w+"
    r"|apparent|demonstrat\w+|reveal\w*|discern\w+|recogni[sz]\w+|obvious|displayed|depicted|encountered|there|appear\w*"
    r"|diagnosed|exist\w*|thickened)",
    "<gone>": r"(?:resolved?|disappear(?:ed)?|vanish(?:ed)?|cleared(?: up)?|clear up|dissipated?|(?:re)?absorb(?:ed)?|resorb(?:ed)?"
    r"|subsid(?:ed?)|gone|fad(?:ed|e) away|dissol(?:ved|ve)|normali[sz]ed)",
    "<wholly>": r"(?:completely|fully|totally|entirely|wholly|definitively|all|complete)",
    "<partly>": r"(?:(?:partly|partially|partial|nearly|almost|near|largely|mostly|mainly|basically|essentially|significantly"
    r"|obviously|markedly|slightly|gradually|incompletely|incomplete|somewhat|substantially|considerably|mildly|slowly|further"
    r"|gradual|slight|obvious|significant|marked|some|remarkably|apparently|moderately|most of|half)"
    r"[ -](?:(?:completely|complete|totally|been|being|be|fully) )?)",
    "<kin>": r"(?:(?:his|her|their|whose|the patient's|patient's|a|the) (?:\w+ )?)?(?:husband|wife|mother|father|son|daughter"
    r"|brother|sister|parents?|spouse|partner|grand\w+|uncle|aunt|cousin|colleagues?|roommate|neighbou?rs?|friends?|relatives?"
    r"|family(?: members?)?|in-laws?)",
    "<old study>": r"(?:previous|prior|earlier|last|first|initial|old|preceding|former|baseline|outside)"
    r" (?:scan|ct|study|exam\w*|images?|film|radiograph|visit|admission|report|imaging|series)",
    "<other cause>": r"(?:\w+ )?(?:atelectasis|collapse|art[ei]fact|fibrosis|mass|tumou?r|scar\w*|o?edema|infarct\w*"
    r"|ha?emorrhage|mucus|motion|volume loss|dependent \w+)",
    "<end>": r"(?= *(?:[.,;:)?]|\Z|(?:and|but|or|on|in|at|by|to|for|from|with|that|as|whether|because|given|twice|here"
    r"|throughout|bilaterally|clinically)\b))",
}  # fmt: skip
"""Name of a list to its words; `<it>` stands for a finding."""
