"""A model that a person took out of service does not come back by numbers alone."""

from ladnn.governance.gates.verdicts import GateResult, Verdict, counted


def not_withdrawn(withdrawn: str | None) -> tuple[GateResult, ...]:
    """Leave it to a person where a rollback removed this very model, or may have; there is no such gate for any other."""
    if withdrawn is None:
        return ()
    reason = f"{withdrawn}; a person must accept it again"
    return (counted("not_withdrawn", None, None, Verdict.NOT_EVALUATED, reason),)
