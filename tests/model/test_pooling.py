import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ladnn.model.pooling import StatisticsPooling, statistics
from ladnn.model.regions import middle_columns


@given(st.integers(3, 200))
def test_the_middle_is_that_third_of_the_columns_that_mirroring_leaves_alone(width):
    columns = range(width)[middle_columns(width)]
    assert [column for column in range(width) if width <= 3 * column + 1.5 <= 2 * width] == list(columns)
    assert [width - 1 - column for column in reversed(columns)] == list(columns)
    assert 0 < len(columns) < width


def test_maps_without_a_middle_are_refused():
    with pytest.raises(ValueError, match=r"2 columns .*size_px"):
        middle_columns(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_are_those_of_numpy_for_middle_and_sides(dtype):
    maps = (torch.randn(3, 5, 4, 9, generator=torch.Generator().manual_seed(0)) * 3 + 40).to(dtype)
    middle, sides = (maps.float().numpy()[..., columns] for columns in ([3, 4, 5], [0, 1, 2, 6, 7, 8]))
    expected = [
        moment for region in (middle, sides) for moment in (region.mean((2, 3)), np.sqrt(region.var((2, 3)) + 1e-4))
    ]
    np.testing.assert_allclose(statistics(maps), np.concatenate(expected, axis=1), rtol=1e-5)


def test_a_constant_statistic_is_no_reason_for_an_infinity():
    pooling, maps = StatisticsPooling(2), torch.ones(4, 2, 3, 3)
    pooling.fit(statistics(maps))
    assert pooling.n_features == 8
    assert all(math.isfinite(value) for value in pooling(maps + 0.1).flatten().tolist())


def test_mirrored_maps_have_the_same_statistics():
    maps = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(statistics(maps.flip(-1)), statistics(maps))
