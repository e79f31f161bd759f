import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladnn.evaluation.seeds import spread_by_group


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_mean_and_spread_are_those_of_the_seeds_of_a_group(values):
    spread = spread_by_group([("a", value) for value in values] + [("b", 0.5)])
    assert spread["a"].n == len(values)
    assert spread["a"].mean == pytest.approx(np.mean(values))
    assert spread["a"].sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert (spread["b"].n, spread["b"].mean, spread["b"].sd) == (1, 0.5, None)


def test_seeds_without_a_number_do_not_count():
    spread = spread_by_group([("a", None), ("a", 0.8), ("a", 0.9), ("b", None)])
    assert list(spread) == ["a", "b"]
    assert str(spread["a"]) == f"0.850 ± {statistics.stdev([0.8, 0.9]):.3f} (2 seeds)"
    assert str(spread["b"]) == "n/a"
