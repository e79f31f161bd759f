"""What could never be measured or signed is refused before hours of training."""

import pytest

from flows.retrain import plan
from ladnn.errors import BudgetSpentError, SettingsError
from ladnn.governance.ledger import allow_openings, record_opening
from ladnn.retrain import BY_HAND


def planned(platform):
    """Do what the retrain does first, with a budget of one opening of the test set."""
    gates = platform.plan.config.gates.model_copy(update={"max_test_openings": 1})
    return plan.fn(platform.version, platform.plan.config.model_copy(update={"gates": gates}), False, BY_HAND)


@pytest.fixture(autouse=True)
def _at_home(platform, monkeypatch):
    monkeypatch.setenv("LADNN_HOME", str(platform.home))


def test_a_spent_test_set_is_refused_before_training_until_a_person_allows_more(platform):
    assert planned(platform).state == "new"
    record_opening(platform.store, platform.version.test_version, "r-earlier", ("b-1",), 1)

    for _ in range(2):  # planned already, it is refused again
        with pytest.raises(BudgetSpentError, match="ladnn test-set accept"):
            planned(platform)

    allow_openings(platform.store, platform.version.test_version, "Ada", "one more look")
    assert planned(platform).state == "broken off"


def test_without_a_key_to_sign_by_nothing_is_trained(platform, monkeypatch):
    monkeypatch.setenv("LADNN_SIGNING_KEY", "no key")

    with pytest.raises(SettingsError, match="LADNN_SIGNING_KEY"):
        planned(platform)
