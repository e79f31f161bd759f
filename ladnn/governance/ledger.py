"""The test-set ledger: which retrain opened which version of the test set, with which bundles, and when.

Every look at a test set wears it out a little, because what is promoted depends on it (Dwork et al. 2015,
doi:10.1126/science.aaa9375). What wears out is patients, so a version is used as often as its patients were looked at by
different retrains, on average: an opening of another version counts by the share of these patients that it held. New
labels free nothing, new patients free by their share.

Records are numbered and only ever added, each after the budget was checked against all before it. At its budget a
version stays shut: nothing is scored until the test set has grown, or a person allows more openings by name and reason.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from ladnn.acceptance import Acceptance, keep_acceptance, read_acceptances
from ladnn.accountability import check_accountable
from ladnn.errors import BudgetSpentError, GateError
from ladnn.governance.shared_patients import SharedPatients
from ladnn.store import ObjectStore
from ladnn.store.log import append_entry, read_entries

_LEDGER, _ALLOWANCES = "ledger/", "ledger_allowances/"
_NEAR = 0.8
"""Share of the budget from which on every opening is told."""
_ROUNDING = 1e-9
"""Sums of shares are held against whole numbers."""


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


class Use(BaseModel):
    """How far a test-set version is used.

    Attributes:
        test_version: that is asked about.
        n_patients: None where its dataset version cannot be read.
        n_openings: retrains that opened this very version.
        used: how many retrains looked at one of its patients, on average.
        allowed: openings beyond the budget that persons allowed, carried over to it as openings are.
        allowed_by: who allowed the last of them, and why.
    """

    model_config = ConfigDict(frozen=True)

    test_version: str
    n_patients: int | None
    n_openings: int
    used: float
    allowed: float
    allowed_by: str | None

    def left(self, budget: int) -> int:
        """Return how many openings are left of a budget."""
        return max(0, math.floor(budget + self.allowed - self.used + _ROUNDING))


def record_opening(
    store: ObjectStore, test_version: str, retrain_id: str, opened_by: tuple[str, ...], budget: int
) -> Use:
    """Note that a retrain opens a test set if its budget allows, and return how far it is used then.

    To be called before the test set is read, so that an opening that dies half-way still counts. A retrain that runs
    again opens it once: the first record stays. Of many at the same time no more get in than the budget allows.

    Args:
        store: holds `ledger/<number>.json`.
        test_version: identifies the records of the test part.
        retrain_id: identifies the retrain.
        opened_by: ids of the bundles that are measured, the candidate and the champion.
        budget: openings that are allowed.

    Raises:
        BudgetSpentError: the budget is used up; says what to do, and nothing was recorded.
        StoreError: the ledger has lost a record; says which one.
    """
    record = Opening(test_version=test_version, retrain_id=retrain_id, opened_by=opened_by, opened_at=datetime.now(UTC))
    ledger = _Ledger(store)

    def checked(entries: list[object]) -> dict[str, object] | None:
        ledger.openings = [Opening.model_validate(entry) for entry in entries]
        if ledger.has(record):
            return None
        ledger.add(record, budget)
        return record.model_dump(mode="json")

    append_entry(store, _LEDGER, checked)
    return ledger.use(test_version)


def check_budget(store: ObjectStore, planned: Sequence[tuple[str, str]], budget: int) -> None:
    """Refuse openings for which there is no room, without recording any; who has opened a version may look again.

    Args:
        store: holds the ledger.
        planned: test-set version and retrain of each opening, in order.
        budget: openings that are allowed of each version.

    Raises:
        BudgetSpentError: says what to do.
    """
    ledger = _Ledger(store)
    for test_version, retrain_id in planned:
        ledger.add(
            Opening(test_version=test_version, retrain_id=retrain_id, opened_by=(), opened_at=datetime.now(UTC)), budget
        )


def use_of(store: ObjectStore, test_version: str) -> Use:
    """Tell how far a test-set version is used.

    Raises:
        GateError: there is no such version; the message names those there are.
    """
    ledger = _Ledger(store)
    ledger.check_known(test_version)
    return ledger.use(test_version)


def uses(store: ObjectStore) -> list[Use]:
    """Tell how far every test-set version is used that was frozen or opened, oldest first."""
    ledger = _Ledger(store)
    return [ledger.use(test_version) for test_version in ledger.versions]


def is_near(used: float, budget: float) -> bool:
    """Tell whether so many openings come near a budget."""
    return used >= math.ceil(_NEAR * budget) - _ROUNDING


def is_beyond(used: float, budget: float) -> bool:
    """Tell whether there were more openings than a budget allows."""
    return used > budget + _ROUNDING


def count_openings(store: ObjectStore, test_version: str) -> int:
    """Return how many retrains have opened this very version of the test set."""
    return len(openings(store, test_version))


def openings(store: ObjectStore, test_version: str | None = None) -> list[Opening]:
    """Return all openings, or those of one version, by time."""
    found = [Opening.model_validate(entry) for entry in read_entries(store, _LEDGER)]
    asked = [item for item in found if test_version in {None, item.test_version}]
    return sorted(asked, key=lambda item: (item.opened_at, item.test_version))


def allow_openings(store: ObjectStore, test_version: str, by: str, reason: str, n_openings: int = 1) -> Allowance:
    """Record that a person allows openings beyond the budget of a test-set version.

    Raises:
        GateError: nobody or no reason is named, there is no such version, or nobody has looked at its patients.
    """
    check_accountable(by, reason, "an acceptance", GateError)
    if n_openings < 1:
        raise GateError(f"an acceptance allows at least one opening, not {n_openings}")
    if not use_of(store, test_version).used:
        raise GateError(f"test set {test_version} was never opened, so nothing blocks it; see `ladnn test-set show`")
    allowance = Allowance(
        test_version=test_version, openings=n_openings, by=by, reason=reason, allowed_at=datetime.now(UTC)
    )
    return keep_acceptance(store, _allowances_of(test_version), allowance)


def allowances(store: ObjectStore, test_version: str | None = None) -> list[Allowance]:
    """Return what persons allowed beyond the budget, of all versions or of one, oldest first."""
    there = {key.removeprefix(_ALLOWANCES).partition("/")[0] for key in store.list(_ALLOWANCES)}
    versions = sorted(there) if test_version is None else [test_version]
    found = [item for version in versions for item in read_acceptances(store, _allowances_of(version), Allowance)]
    return sorted(found, key=lambda item: item.allowed_at)


def _allowances_of(test_version: str) -> str:
    return f"{_ALLOWANCES}{test_version}/"


def shown(used: float) -> str:
    """Return a number of openings for a text; whole where it is whole."""
    return f"{round(used, 1):g}"


class _Ledger:
    """Openings and allowances as read once, and openings that are about to be added."""

    def __init__(self, store: ObjectStore) -> None:
        self._patients, self._allowances = SharedPatients(store), allowances(store)
        self.openings = openings(store)

    @property
    def versions(self) -> list[str]:
        return list(dict.fromkeys([*self._patients.versions, *(item.test_version for item in self.openings)]))

    def has(self, opening: Opening) -> bool:
        asked = (opening.test_version, opening.retrain_id)
        return any((item.test_version, item.retrain_id) == asked for item in self.openings)

    def check_known(self, test_version: str) -> None:
        if test_version not in self.versions:
            there = ", ".join(self.versions[-20:]) or "none yet; run `ladnn dataset freeze`"
            raise GateError(f"there is no test set {test_version!r}; there are: {there}")

    def use(self, test_version: str) -> Use:
        opened = defaultdict(set)
        for opening in self.openings:
            opened[opening.retrain_id].add(opening.test_version)
        looks = Counter(frozenset(versions) for versions in opened.values())
        share = self._patients.share
        allowed = [(item, share(test_version, {item.test_version})) for item in self._allowances]
        return Use(
            test_version=test_version,
            n_patients=self._patients.n_patients(test_version),
            n_openings=sum(n for versions, n in looks.items() if test_version in versions),
            used=sum(n * share(test_version, versions) for versions, n in looks.items()),
            allowed=sum(item.openings * part for item, part in allowed),
            allowed_by=next((f"{item.by}: {item.reason}" for item, part in reversed(allowed) if part), None),
        )

    def add(self, opening: Opening, budget: int) -> None:
        """Add an opening; one that shows its retrain no patient that it has not seen costs nothing."""
        before = self.use(opening.test_version)
        self.openings = [*self.openings, opening]
        after = self.use(opening.test_version)
        if is_beyond(after.used, before.used) and is_beyond(after.used, budget + after.allowed):
            raise BudgetSpentError(_spent(before, after.used, budget))


def _spent(use: Use, wanted: float, budget: int) -> str:
    beyond = f" and {shown(use.allowed)} allowed beyond it" if use.allowed else ""
    missing = math.ceil(wanted - budget - use.allowed - _ROUNDING)
    more = f" --openings {missing}" if missing > 1 else ""
    return (
        f"test set {use.test_version} stays shut and nothing was scored: of its budget of {budget} openings "
        f"(gates.max_test_openings){beyond} {shown(use.used)} are used, and after one more its numbers would no longer "
        "stand for new patients. Openings of other versions count by the share of its patients that they held. Grow the test set"
        f"{_growth(use, budget)}, or allow {missing} more by name: `ladnn test-set accept {use.test_version}{more} --by "
        "NAME --reason WHY`; then run the same command, which goes on from here"
    )


def _growth(use: Use, budget: int) -> str:
    """Say how many new test patients make room for one opening: what was looked at, and allowed, is shared with them."""
    if use.n_patients is None or budget == 1:
        return " with new patients"
    n_new = math.ceil(use.n_patients * ((use.used - use.allowed) / (budget - 1) - 1) - _ROUNDING)
    return f" by {n_new} new patient{'s' if n_new > 1 else ''} beside its {use.n_patients}"
