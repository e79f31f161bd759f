"""Owns the phrases that name the disease without a diagnosis: contacts, tests, the pandemic, an appearance likened to it.

They belong to the phrases of `triggers`, whose word lists they use, and come last but for what ends a reach.
"""

from ladnn.intake.reports.effects import Effect

CIRCUMSTANCES: tuple[tuple[Effect, tuple[str, ...]], ...] = (
    (
        Effect.ELSEWHERE_NEXT,
        (
            r"<kin>",
            r"contacts?(?: history)? (?:with|of|to)|contacted|expos(?:ed|ure) to|lived with|living with|cared for|caring for",
            r"vaccin\w+(?: \w+)? (?:against|for)|immuni[sz]ed against|protection against|prevention of",
            r"during|in the (?:era|time|course) of|before the|since the|cluster of(?! patient| case)|outbreak of|spread of",
            r"epidemic of|pandemic of|area with|travel\w* (?:from|to)|visit(?:ed|ing)|wards? for|hospital for|treating",
            r"guidelines? (?:for|on|of)|diagnosis and treatment of|shared an? \w+ with",
            r"(?:a person|someone|somebody|people)(?: \w+){0,2} (?:with|infected)",
        ),
    ),
    (
        Effect.TESTED_NEXT,
        (
            r"(?:screen(?:ed|ing)?|test(?:ed|ing|s)?|swab(?:bed|s)?|pcr|assay|investigat\w+|work-?up|isolat\w+|quarantined?) for",
        ),
    ),
    (
        Effect.ELSEWHERE_PREVIOUS,
        (
            r"(?<=<it>)[- ]*(?:pandemic|epidemic|outbreak|era|contacts?|exposure|vaccin\w*|protocol|ward|screening|lockdown"
            r"|guideline\w*|hospital|season|crisis|wave|reporting|clinic|status (?:is |was )?un\w+)",
            r"(?<=<it>)[- ]*(?:test\w*|pcr|swab)(?: (?:is|was|are|were|has been|results?))* (?:pending|awaited|outstanding|unavailable"
            r"|not done|requested|recommended|advised|needed|required|ordered)",
        ),
    ),
    (
        Effect.LIKENS_NEXT,
        (
            r"(?:(?:in)?consistent with|compatible with|in keeping with|a?typical (?:of|for)|suspect (?:of|for)|characteristic of"
            r"|indicative of|indicating|diagnostic of|points? to(?:wards?)?|raises?|attributed to|similar to"
            r"|reminiscent of|meets? (?:the )?criteria (?:for|of)|possibility of|(?:highly|most) (?:likely|suggestive)(?: of)?)"
            r"(?: (?:typical|the diagnosis of|a diagnosis of))?(?= )(?! (?:known|confirmed|proven|established)\b)",
            r"commonly reported (?:\w+ )?features (?:of|for)|features (?:can|may) be seen (?:with|in)",
        ),
    ),
)  # fmt: skip
"""Effects and their phrases, in the order in which they take their words."""
