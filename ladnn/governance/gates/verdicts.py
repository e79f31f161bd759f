"""What a gate says: a verdict with what it rests on, and how verdicts join.

A verdict is a value: a rejected candidate is a result, not a failure. Missing numbers reject.
"""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, FiniteFloat

from ladnn.errors import GateError
from ladnn.statistics import Interval

NO_TEST_SET = "no test set: the dataset version holds no test patients, so a person must accept"


class Verdict(StrEnum):
    """What a gate says; `NOT_EVALUATED` needs a person to accept."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_EVALUATED = "not evaluated"


class GateResult(BaseModel):
    """One gate's verdict with what it rests on.

    Attributes:
        value: what was measured; `None` where it could not be.
        limit: what it is held against.
        interval: confidence interval of the value, where it has one.
        n: images behind the value.
        reason: one plain sentence.
        finding: the verdict in the words of this gate, such as `not worse` or `not enough cases`; None where pass, fail
            or not evaluated say it all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: FiniteFloat | None
    limit: FiniteFloat | None
    interval: Interval | None
    n: int
    verdict: Verdict
    reason: str
    finding: str | None = None


def overall(gates: Sequence[GateResult]) -> Verdict:
    """Join verdicts: one failure fails, else one gate that was not evaluated leaves the whole to a person.

    Raises:
        GateError: there are no gates; nothing checked is not the same as nothing wrong.
    """
    if not gates:
        raise GateError("no gate was run, so there is no verdict; pass the result of run_gates")
    verdicts = {gate.verdict for gate in gates}
    return next((worst for worst in (Verdict.FAIL, Verdict.NOT_EVALUATED) if worst in verdicts), Verdict.PASS)


def result_of(
    name: str,
    measured: Interval | None,
    limit: float | None,
    verdict: Verdict,
    reason: str,
    finding: str | None = None,
) -> GateResult:
    """Return the result of a gate that rests on one measurement; `None` where there is none."""
    return GateResult(
        name=name,
        value=measured.value if measured else None,
        limit=limit,
        interval=measured,
        n=measured.n if measured else 0,
        verdict=verdict,
        reason=reason,
        finding=finding,
    )


def counted(
    name: str,
    value: float | None,
    limit: float | None,
    verdict: Verdict,
    reason: str,
    n: int = 0,
    finding: str | None = None,
) -> GateResult:
    """Return the result of a gate whose value is counted or timed and has no interval."""
    return GateResult(
        name=name, value=value, limit=limit, interval=None, n=n, verdict=verdict, reason=reason, finding=finding
    )
