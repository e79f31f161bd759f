"""Owns the rule that a decision names the person who takes it and the reason."""

from ladnn.errors import LadnnError


def check_accountable(by: str, reason: str, what: str, error: type[LadnnError]) -> None:
    """Refuse a decision of nobody or without a reason; `what` names it, such as "an approval".

    Raises:
        LadnnError: of the given kind.
    """
    if not by.strip() or not reason.strip():
        raise error(f"{what} names a person and a reason; give --by and --reason")
