"""Owns the phrases that turn what a finding means: negation, doubt, time, circumstance, and what ends their reach.

Phrases and their directions follow ConText (Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002), which extends NegEx
(Chapman et al. 2001, doi:10.1006/jbin.2001.1029) by uncertainty and time. A phrase is a regular expression in which
`<be>`, `<seen>` and the like stand for the word lists of `words`, and `<it>` for a finding. Order matters: a phrase
takes its words away from those below, so that "no change in" is never read as a plain "no".
"""

import re
from functools import cache

from ladnn.intake.reports.circumstances import CIRCUMSTANCES
from ladnn.intake.reports.effects import Effect
from ladnn.intake.reports.words import WORDS

_IN_ORDER: tuple[tuple[Effect, tuple[str, ...]], ...] = (
    (
        Effect.DENIES_PREVIOUS,
        (
            r"[:=]\s*(?:no|none|not|absent|negative|nil|neg|0|-|\(-\))"
            r"(?= *(?:[,;)\n]|\.(?!\d)|\Z|(?:seen|present|identified|detected|found|evidence|observed)\b))",
            r"[(\[]\s*(?:-|none|no|absent|negative|not seen|not present)\s*[)\]]",
            r"- (?:no|not|none|absent)(?: (?:seen|present))?",
        ),
    ),
    (
        Effect.DENIES_NEXT,
        (
            r"(?:no|without|nothing)(?: (?!(?:and|or|but|with|doubt|change|longer|only)\b)[\w-]+){0,6}? (?:to (?:suggest|indicate)|suggesting|indicating"
            r"|(?:suggestive|indicative|characteristic) of|(?:concerning|suspicious|worrisome) for|(?:compatible|consistent) with)",
            r"(?:at no (?:time|point|stage)|(?:in|on) no (?:case|patient|slice|lobe|segment|image|scan)s?)(?: (?:was|were|did|is|has|have))?",
            r"no longer (?:any|an?|(?:show|demonstrat|reveal|contain|display)\w*)(?= )",
            r"(?:(?:none of|the following)[^.;:,<it>]{0,40}|absent|negatives?(?: findings)?|not (?:seen|present|found)):",
            r"no (?:suspicious|convincing|definite|apparent|probable)(?= )",
            r"(?:not|nt|never|un)(?: \w+ly)? ?(?:accompanied|associated|combined|mixed|complicated|overlaid|superimposed|coupled"
            r"|interspersed|intermixed)(?: (?:by|with|on))?",
        ),
    ),
    (
        Effect.INERT,
        (
            r"(?:(?:previously|initially|first|once) (?:<it>+ )?)?negative[^.;]{0,60}?\b(?:now|later|subsequently|then|eventually|finally"
            r"|repeat\w*|second|third|but)\b[^.;]{0,40}?\bpositive",
            r"neither(?= [^.;:,]{0,120}? (?:ha[sd]|have|is|are|was|were|did) (?:<adverb> )*(?:<change>|<gone>)<end>)",
            r"nor(?= [^.;:,]{0,60}? (?:ha[sd]|have|is|are|was|were|did) (?:<adverb> )*(?:<change>|<gone>)<end>)",
            r"(?:no|without|not|nt)(?: (?!and|but|or|evidence|sign)[\w-]+){0,3} <change>(?! (?:densit|attenuat|opaci)\w*)(?: (?:in|of|about|for|the|size)\b)*",
            r"(?:no|without) (?:\w+ )?(?:evidence|signs?|indication) of (?:\w+ )?<change>(?: (?:in|of|about|for)\b)*",
            r"<not> (?:\w+ ){0,2}?(?:only|just|merely|solely|limited|confined|restricted|isolated|infrequently|uncommon\w*"
            r"|unusual\w*|necessarily|new)",
            r"no longer (?:isolated|confined|limited|restricted|focal|small|patchy|single|only|unilateral)",
            r"no (?:less|worse|better|sooner)|no (?:more|later|earlier|larger|smaller|bigger|greater|wider|longer|fewer) (?:\w+ )?than",
            r"not (?:all|every)(?: of)?",
            r"no (?:cause|reason|explanation|contrast|comparison)",
            r"<not> (?:yet )?(?:been |be )?(?:<adverb> )*(?:<gone>|decreased?|increased?|changed?|improved?|regress\w*)",
            r"(?:<not> )?(?:been |being )?<partly>(?:<gone>|resol\w+|absor\w+|clear\w+|disappear\w+|dissipat\w+)(?: of\b)?",
            r"<partly>(?:(?:turn|evolv|progress|transform|convert|chang)\w* (?:in)?to|replaced by)",
            r"<gone> (?:partly|partially|in part|incompletely|to some extent|slightly|gradually|somewhat|obviously|significantly"
            r"|markedly|mostly|largely)",
            r"fail(?:s|ed|ing|ure)?(?: of [^.;,]{0,60}?)? to (?:\w+ )?(?:<gone>|improve|decrease|regress|shrink)",
            r", however,(?= <be> )",
            r"(?:could|can) (?:(?:also|still|\w+ly) )?be (?:(?:also|still|\w+ly) )?(?:seen|detected|observed|found|identified|noted"
            r"|visuali[sz]ed|recogni[sz]ed|demonstrated|appreciated|discerned)",
        ),
    ),
    (
        Effect.REPLACES_PREVIOUS,
        (
            r"(?:evolv|progress|develop|transform|turn|chang|convert|transition|morph|deteriorat|fad|regress)(?:ed|es|ing|s|e)?"
            r"(?: rapidly| gradually| later| then)? (?:in)?to",
            r"g(?:ave|iv\w+) way to",
            r"(?:replaced|succeeded|superseded) by",
        ),
    ),
    (
        Effect.RESOLVES_NEXT,
        (
            r"replacing|in place of|replacement of|to replace|replaced(?! by)",
            r"(?:evolution|transformation|conversion|progression|transition|change) of(?: the)?(?= <it>+ (?:\w+ )?(?:in)?to\b)",
        ),
    ),
    (
        Effect.RESOLVES_PREVIOUS,
        (
            r"(?:was|were|had been)(?: \w+ly)? (?:present|seen|noted|visible|found|evident|observed)\b[^.;<it>]{0,60}?\b(?:but|and)"
            r"(?: (?:is|are|has|have|had|was|were|it|they|now|later|then|subsequently|been|completely|fully))*"
            r" (?:no longer(?: <seen>)?|<gone>)",
            r"(?:(?:<wholly>|now|since|finally|then|already|had|has|have|was|were|are|is|been|later|subsequently) )*<gone>"
            r"(?! (?:(?!but|and|while|whereas|with|although|though|when|as|since|leaving|yet|then)\w+ )?<it>)",
            r"(?:regressed|absorption|resolution|clearing|clearance|remission|disappearance)(?: \w+)? (?:was |were |is )?<wholly>",
            r"<wholly> (?:regress|remi[ts])\w*",
            r"(?:show\w*|underwent|had|with) <wholly> (?:resolution|absorption|remission|clearing|regression)(?! of)",
            r"(?:is|are|was|were) no more",
        ),
    ),
    (
        Effect.RESOLVES_NEXT,
        (
            r"(?:(?:<wholly>|total|full|entire|interval|rapid|spontaneous) )*"
            r"(?:resolution|disappearance|dissipation|clearance|clearing|eradication|vanishing) of",
            r"(?:complete|total|full|entire) (?:absorption|regression|remission|involution) of",
            r"(?:<wholly> )?(?:resolved|absorbed|cleared|vanished)(?= )",
        ),
    ),
    # Doubt, first where it is worded as a denial.
    (Effect.DOUBTS_NEXT, (r"await(?:s|ing)?(?= )|pending(?= )", r"(?<![\w<it>])\(?\?\)? ?(?=<it>)",)),
    (
        Effect.DOUBTS_BOTH,
        (
            r"(?:versus|vs\.?|(?:is |are |was |were )?(?:favou?red|preferred) over)(?= )",
            r"(?:<not>|difficult to|hard to|impossible to)(?: (?:be|been|<adverb>))* (?:differentiat|distinguish|separat|discriminat)\w*"
            r"(?: (?:from|between)\b)?",
        ),
    ),
    (
        Effect.ALTERNATIVE_BOTH,
        (
            r"(?<=<it>)(?: pneumonia| infection)?,? or (?:<other cause>|(?:an)?other|influenza|bacterial|viral)",
            r"<other cause> or(?= )",
        ),
    ),
    (
        Effect.DOUBTS_NEXT,
        (
            r"(?:can not|could not|could nt|<not>|unable to|difficult to|hard to|impossible to|insufficient to)"
            r"(?: (?:be|been|<adverb>))* (?:exclude|rule out|dismiss|differentiate|distinguish)d?(?= [\w<it>])(?! by| on| at| in| from)",
        ),
    ),
    (
        Effect.DOUBTS_PREVIOUS,
        (
            r"(?:can not|could not|could nt|<not>)(?: (?:be|been|<adverb>|yet))*"
            r" (?:excluded?|ruled? out|confirmed|certain|clear|definite|dismissed|proven|established|conclusive|diagnostic|available)(?! (?:of|for|that|if|whether|about)\b)",
            r"(?:(?:more )?difficult|hard(?:er)?|impossible) to (?:exclude|confirm|assess|evaluate|tell|distinguish|differentiate)",
            r"(?:remain\w*|seem\w*|appear\w*|looks?|is|are|was|were|considered|be|been|thought|deemed) (?:(?:\w+ly|still|also) )?(?:un)?(?:likely|possible|probable"
            r"|suspect\w*|questionable|uncertain|unclear|equivocal|pending|doubtful|questioned|debatable|indeterminate|ambiguous"
            r"|inconclusive|conceivable|in question|considered|favou?red)(?! for\b)<end>",
            r"(?:is|are|remains?|was) (?:one|an?|another|the) (?:\w+ )?(?:possibility(?! of)|consideration|differential\w*|concern|option)",
            r"(?:to be|should be|must be|needs to be|being) (?:considered|excluded|ruled out|confirmed)",
            r"less likely",
            r"(?:is|are|was|were) (?:also |only )?suggested<end>",
            r"(?:is|are|was|were|be)(?: (?:considered|thought|deemed|felt|judged))?(?: to be)? (?:the |a )?(?:most |more |very )?"
            r"(?:likely|probable|possible|leading|favou?red) (?:\w+ )?(?:diagnosis|cause|explanation|a?etiology|consideration)",
            r"(?:neither|not) (?:confirmed|proven|excluded|ruled out|refuted) n?or (?:excluded|ruled out|confirmed|proven|refuted)",
            r", (?:probably|possibly|perhaps|likely) <seen>",
            r", (?:probably|possibly|likely|perhaps|presumably)(?: [\w-]+){0,3}? (?:atelecta\w+|art[ei]facts?|motion|expiration)<end>",
            r"(?:is|are|was|were) (?:probably|possibly|likely|perhaps|presumably) (?:\w+ly )?<seen>",
            r"(?:may|might|could) be (?:\w+ly )?<seen>",
            r"(?:may|might|could) (?:also |still )?be \w+ing",
            r"(?:, (?:which|that) )?(?:may|might|could) (?:also )?(?:represent|reflect|be due to|be caused by|be)"
            r" (?:normal|vessels?|expiration|respiratory|<other cause>)",
            r"(?:not|nt) (?:definitely|certainly|confidently|convincingly) <seen>",
            r",? if (?:present|any|real|true)",
            r"[:=] *(?:unknown|unclear|indeterminate|pending|not (?:tested|assessed|evaluated|known|done)|untested|n/a)<end>",
            r"(?<=<it>) ?[,:=(-]* ?(?:suspected|possible|likely|unlikely|probable|questionable|not confirmed|equivocal)(?! to be\b)<end>",
        ),
    ),
    (
        Effect.DOUBTS_NEXT,
        (
            r"(?:possibly|perhaps|probably|likely|maybe|potentially) with(?= )",
            r"with or without|with/without|rule out|consider|r/o|to exclude|exclude|query|queried|evaluate for|assess for|evaluation (?:for|of)|look for|either(?! (?:lung|side|lobe|of|base|apex|upper|lower|left|right))",
            r"(?:whether|if|unless)(?: or not)?(?: (?:there|this|it|these|that) (?:is|are|was|were|be|represents?|reflects?))?",
            r"(?:a|some|slight|faint) hints? of|question(?:able)? of|ddx:?|differential\b[^.;:]{0,40}?(?:\b(?:include[sd]?|including|of|is|are)|:)",
            r"(?:concern\w*|suspicio\w+|suspect\w*|worrisome|equivocal|indeterminate|uncertain|suggest\w+) (?:for|of|about|as to)",
            r"(?:not|nt) (?:\w+ )?(?:certain|sure|clear|convinced|confident|known) (?:that|if|whether|about|of)(?: there (?:is|are|was|were))?",
            r"(?:not|nt) (?:\w+ )?(?:diagnostic|specific|pathognomonic|conclusive|definitive|typical|characteristic) (?:of|for)",
            r"(?:useful|helpful|used|sensitive|valuable|able|important|ability) (?:to|for|in) (?:the )?(?:detect|identif|assess|evaluat"
            r"|diagnos|visuali[sz]|show|reveal|demonstrat)\w*(?: of)?",
        ),
    ),
    (Effect.DOUBTS_PREVIOUS, (r"(?<!\s)\s?\?", r"\(\?\)")),
    (
        Effect.INERT,
        (
            r"(?:possib\w+|probably|presumably|likely|perhaps|may be|might be) (?:due|infectious|secondary|because|related|caused"
            r"|reactive|viral|bacterial|inflammatory|of \w+ origin|from|the result|attributable"
            r"|(?:representing|reflecting) (?:infection|pneumonia|aspiration|o?edema))",
        ),
    ),
    (
        Effect.DOUBTS_NEXT,
        (
            r"possib(?:le|ly|ility)|probab(?:le|ly|ility)|might|could|would|suspect\w*|suspicio\w+|questionabl[ey]|equivocal",
            r"(?-i:may)|May(?= (?:be|represent|reflect|indicate|suggest|correspond)\b)",
            r"likely|unlikely|likelihood|suggest\w*|concern\w*|perhaps|presum\w+|doubtful|uncertain|unclear|indeterminate",
            r"(?:appear|seem)(?:s|ed)? to (?:be|show|represent|reflect|contain|have)",
            r"(?:thought|felt|believed|presumed|assumed) to (?:be|represent|reflect|show)|favou?r(?:s|ed|ing)?(?: over| to \w+)?",
            r"mimic\w*|simulat\w*|borderline|resembl\w+|seemingly|questioned|conceivabl[ey]|vague|potential(?:ly)?|hypothetical",
        ),
    ),
    (
        Effect.DENIES_PREVIOUS,
        (
            r"(?:<be> )*(?:(?:both|all|also|clearly) )?(?:<not>)(?: <adverb>)* <seen>(?! (?:any(?! ?(?:more|longer))|a|an|the|with certainty)\b)"
            r"(?: (?:any ?more|on|in|at|by))?",
            r"(?:<be> )*<not>(?: <adverb>)* (?:recur|reappear|return|develop|occur|emerg|form|aris)\w*<end>",
            r"no longer(?: (?:<adverb> )*<seen>)?|nowhere",
            r"(?:(?:is|are|was|were) )?(?:absent|lacking|missing)<end>",
            r"(?:<be> )+(?:<adverb> )*(?:absent|lacking|excluded|ruled out|negated|denied|undetect\w+|unremarkable|disproved"
            r"|refuted|negative(?! (?:\w+ ){0,2}(?:for|to)\b))",
            r"(?:excluded|ruled out)(?= *(?:[.,;:)]|by\b|on\b|at\b|with\b|\Z))",
            r"(?:is|are|was|were|does|do|did) (?:not|nt)(?= *(?:[.,;]|\Z))",
            r"negative(?= *(?:[.,;:()]|\Z|(?:on|in|at|twice|thrice|repeatedly|by|and|x ?\d|\d|(?:two|three) times)\b))",
            r"undetect\w+",
            r"(?<=<it>)[- ](?:free|negative)",
            r"(?:is|are|was|were) (?:not|nt) (?:an? |the |part |one |among )(?:\w+ )?(?:of|feature|finding|component|part)",
            r"none(?= *(?:[.,;]|\Z))",
        ),
    ),
    (
        Effect.DENIES_NEXT,
        (
            r"(?:no|without|not|never|nt)(?: (?:any|definite|clear|obvious|convincing|radiological|radiographic|imaging|ct|such"
            r"|appreciable|other|further|additional|significant|associated))* (?:evidence|signs?|indications?|suggestions?|traces?"
            r"|features?|presence|findings?|appearances?|manifestations?|areas?|foci|focus|hints?|proof|pattern)"
            r"(?: (?:of|for|to suggest|suggesting|suggestive of|indicating|to indicate|consistent with|characteristic of"
            r"|typical of))+",
            r"(?:absence|lack|exclusion|devoid|free|clear|non-?existence) (?:of|from)",
            r"(?:negative|unremarkable) (?:[\w-]+ ){0,3}?(?:for|to)",
            r"(?:fail(?:s|ed|ure|ing)?|unable|not able|inability)(?: to)?(?: \w+)?"
            r" (?:reveal|show|demonstrate|identify|find|detect|disclose|depict|display)\w*",
            r"(?:did|do|does|could|can|have|has|had|was|were|is|are) (?:not|nt)(?: \w+ly)? (?:reveal|show|demonstrate|identif|find"
            r"|found|detect|disclose|see|seen|contain|include|develop|have|depict|display|exhibit|involve|due|caused|related"
            r"|attributable|indicate|observ)\w*(?: (?:any|to|by|of)\b)*",
            r"(?:not|never|nt)(?: been)?(?: \w+ly)? (?:infected with|diagnosed with|a case of|known to have|suffering from)",
            r"negative(?= <it>)",
            r"(?:nothing to (?:suggest|indicate)|unrelated to)",
            r"never(?: \w+ly)? (?:had|has|have|contracted|showed|shown|contained|developed)",
            r"neither \w+ (?:to )?(?:contain|show|have|demonstrate|reveal)\w*",
        ),
    ),
    (
        Effect.DENIES_NEXT,
        (
            r"no|nil|not|nt|without|w/o|neither|nor|never|lacks?|lacked|lacking|absent|absence|zero|none of",
            r"den(?:y|ies|ied|ying)(?: the presence of)?",
            r"excluded|excludes|excluding|ruled out|rules out|rather than|instead of|as opposed to|due to (?:causes )?other than",
            r"non[- ]*(?=<it>)",
        ),
    ),
    (
        Effect.PAST_NEXT,
        (
            r"previous(?:ly)?(?! (?:normal|healthy|well|fit))|prior|earlier|former(?:ly)?|history of|past|post",
            r"compared with (?:the )?(?:previous|prior|old|earlier)|recover(?:ed|ing) from",
        ),
    ),
    (
        Effect.PAST_PREVIOUS,
        (
            r"(?<!than )(?<!with )(?<!to )(?:on|in|at|from) (?:the |an? |his |her )?<old study>",
            r"(?:was|were) (?:seen|noted|present|observed|found) (?:initially|previously|before|earlier|at first)",
            r"(?:seen|noted|present|observed|found|described|reported) (?:before|earlier|previously|initially)"
            r"(?= (?:\0|(?:has|have|had|is|are|was|were)\b))",
            r"(?:was|were|had been) (?:initially|previously|formerly|earlier|originally|first) (?:reported|described|suspected|<seen>)",
            r"(?:seen|noted|present) (?:last|a|one|two|three|\d+) (?:week|month|year|day)s?(?: ago)?",
        ),
    ),
    *CIRCUMSTANCES,
    (
        Effect.STOP,
        (
            r"[;:]",
            r"but|however|although|though|yet|except|apart from|aside from|other than|besides|whereas|while|with|nevertheless",
            r"show\w*|reveal\w*|demonstrat\w*|display\w*|depict\w*|there|then|which|who|whom|whose|where|when|until|after|before",
            r"because|due to|secondary to|compared|positive|instead|(?:persist|remain)\w*(?! (?:\w+ )?<it>)|confirm\w*|accompanied|coexist\w*|(?:un)?equivocal\w*|definite(?:ly)?",
            r"superimposed|presence|still|leaving|despite|so that|thus|therefore|combined|plus|along|into",
        ),
    ),
)  # fmt: skip


@cache
def triggers() -> tuple[tuple[Effect, re.Pattern[str]], ...]:
    """Return every effect with the pattern of its phrases, in the order in which they take their words."""
    return tuple((effect, _compiled(phrases)) for effect, phrases in _IN_ORDER)


def _compiled(phrases: tuple[str, ...]) -> re.Pattern[str]:
    pattern = "|".join(phrases)
    for name, words in WORDS.items():
        pattern = pattern.replace(name, words)
    return re.compile(rf"(?:(?<!\w)|(?!\w))(?:{pattern})(?:(?!\w)|(?<!\w))", re.IGNORECASE)
