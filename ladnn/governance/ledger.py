"""The test-set ledger: which retrain opened which version of the test set, with which bundles, and when.

Every look at a test set wears it out a little, because what is promoted depends on it (Dwork et al. 2015,
doi:10.1126/science.aaa9375). Records are only ever added. At its budget a version stays shut: nothing is scored until
the test set has grown, which makes another version of it, or a person allows more openings by name and reason.
"""

import math
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from ladnn.acceptance import Acceptance, keep_acceptance, read_acceptances
from ladnn.accountability import check_accountable
from ladnn.errors import BudgetSpentError, GateError
from ladnn.store import ObjectStore, read_json, write_json_if_absent

_LEDGER, _ALLOWANCES = "ledger/", "ledger_allowances/"
_NEAR = 0.8
"""Share of the budget from which on every opening is told."""


class Opening(BaseModel):
    """One retrain that opened a test-set version."""

    model_config = ConfigDict(frozen=True)

    test_version: str
    retrain_id: str
    opened_by: tuple[str, ...]
    """Bundles that were measured."""
    opened_at: datetime


class Allowance(Acceptance):
    """Openings beyond the budget that a person allows."""

    test_version: str
    openings: int = Field(ge=1)
    allowed_at: datetime


def record_opening(store: ObjectStore, test_version: str, retrain_id: str, opened_by: tuple[str, ...]) -> int:
    """Note that a retrain opens a test set, and return how often it has been opened, this time included.

    To be called before the test set is read, so that an opening that dies half-way still counts. A retrain that runs
    again opens it once: the first record stays.

    Args:
        store: holds `ledger/<test_version>/<retrain_id>.json`.
        test_version: identifies the records of the test part.
        retrain_id: identifies the retrain.
        opened_by: ids of the bundles that are measured, the candidate and the champion.
    """
    record = Opening(test_version=test_version, retrain_id=retrain_id, opened_by=opened_by, opened_at=datetime.now(UTC))
    write_json_if_absent(store, _key(test_version, retrain_id), record.model_dump(mode="json"))
    return count_openings(store, test_version)


def count_openings(store: ObjectStore, test_version: str) -> int:
    """Return how many retrains have opened this version of the test set."""
    return sum(1 for _ in store.list(f"{_LEDGER}{test_version}/"))


def check_budget(store: ObjectStore, test_version: str, retrain_id: str, budget: int) -> None:
    """Refuse to open a test-set version whose budget is used up; a retrain that has opened it may look again.

    Raises:
        BudgetSpentError: says what to do.
    """
    if store.exists(_key(test_version, retrain_id)):
        return
    n_openings, n_allowed = count_openings(store, test_version), n_allowed_beyond(store, test_version)
    if n_openings >= budget + n_allowed:
        beyond = f" and {n_allowed} allowed beyond it" if n_allowed else ""
        raise BudgetSpentError(
            f"test set {test_version} was opened {n_openings} times, its budget is {budget}{beyond}: it stays shut and "
            f"nothing was scored, since its numbers no longer stand for new patients. Grow the test set with new "
            f"patients, or allow one more opening by name: `ladnn test-set accept {test_version} --by NAME --reason WHY`; "
            "then run the same command, which goes on from here"
        )


def is_near(n_openings: int, budget: int) -> bool:
    """Tell whether so many openings come near a budget."""
    return n_openings >= math.ceil(_NEAR * budget)


def openings(store: ObjectStore, test_version: str | None = None) -> list[Opening]:
    """Return all openings, or those of one version, by time."""
    prefix = _LEDGER if test_version is None else f"{_LEDGER}{test_version}/"
    found = [Opening.model_validate(read_json(store, key)) for key in store.list(prefix)]
    return sorted(found, key=lambda item: (item.opened_at, item.test_version))


def allow_openings(store: ObjectStore, test_version: str, by: str, reason: str, n_openings: int = 1) -> Allowance:
    """Record that a person allows openings beyond the budget of a test-set version.

    Raises:
        GateError: nobody or no reason is named, or the version was never opened.
    """
    check_accountable(by, reason, "an acceptance", GateError)
    if not count_openings(store, test_version):
        raise GateError(f"test set {test_version} was never opened, so nothing blocks it; see `ladnn test-set show`")
    allowance = Allowance(
        test_version=test_version, openings=n_openings, by=by, reason=reason, allowed_at=datetime.now(UTC)
    )
    return keep_acceptance(store, _allowances_of(test_version), allowance)


def allowances(store: ObjectStore, test_version: str) -> list[Allowance]:
    """Return what persons allowed beyond the budget of a version, oldest first."""
    return read_acceptances(store, _allowances_of(test_version), Allowance)


def n_allowed_beyond(store: ObjectStore, test_version: str) -> int:
    """Return how many openings persons allowed beyond the budget of a version."""
    return sum(item.openings for item in allowances(store, test_version))


def _allowances_of(test_version: str) -> str:
    return f"{_ALLOWANCES}{test_version}/"


def _key(test_version: str, retrain_id: str) -> str:
    return f"{_LEDGER}{test_version}/{retrain_id}.json"
