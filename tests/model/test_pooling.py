import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ladnn.model.pooling import StatisticsPooling, middle_columns, region_weights, statistics, with_regions


@given(st.integers(3, 200))
def test_the_middle_is_that_third_of_the_columns_that_mirroring_leaves_alone(width):
    columns = range(width)[middle_columns(width)]
    assert [column for column in range(width) if width <= 3 * column + 1.5 <= 2 * width] == list(columns)
    assert [width - 1 - column for column in reversed(columns)] == list(columns)
    assert 0 < len(columns) < width


def test_maps_without_a_middle_are_refused():
    with pytest.raises(ValueError, match=r"2 columns .*size_px"):
        middle_columns(2)


def random_maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def random_density(n: int, size: int) -> torch.Tensor:
    return torch.rand(n, size, size, generator=torch.Generator().manual_seed(1))


def test_each_region_holds_what_it_says():
    density = torch.zeros(1, 6, 6)  # air, but for a column of half-dense lung, one of dense lung and one of chest wall
    density[..., 1], density[..., 4], density[..., 5] = 0.5, 0.8, 1

    middle, air, dense = region_weights(density, 6, 6)[0, :, 0] * 6

    torch.testing.assert_close(middle, torch.tensor([0, 0, 0.5, 0.5, 0, 0]))
    expected = torch.tensor([1, 0.25, 0, 0, 0.04, 0]), torch.tensor([0, 0.125, 0, 0, 0.128, 0])
    for found, weights in zip((air, dense), expected, strict=True):
        torch.testing.assert_close(found, weights / weights.sum(), atol=1e-3, rtol=0)


@given(st.integers(3, 40), st.integers(1, 40), st.sampled_from([0.0, 0.3, 1.0]))
def test_weights_sum_to_one_also_where_a_slice_shows_no_lung(width, height, density):
    weights = region_weights(torch.full((2, 64, 64), density), height, width)
    assert weights.shape == (2, 3, height, width)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_statistics_are_those_of_numpy_weighted_by_region(dtype):
    maps = with_regions((random_maps(3, 5, 4, 9) * 3 + 40).to(dtype), random_density(3, 36))
    *values, middle, air, dense = np.moveaxis(maps.double().numpy(), 1, 0)
    expected = []
    for weights in (middle, air, dense):
        means = [(v * weights).sum((1, 2)) for v in values]
        variances = [
            (np.square(v - m[:, None, None]) * weights).sum((1, 2)) for v, m in zip(values, means, strict=True)
        ]
        expected += [*means, *np.sqrt(np.add(variances, 1e-4))]
    np.testing.assert_allclose(statistics(maps), np.stack(expected, axis=1), rtol=1e-5)


def test_statistics_keep_their_precision_where_half_precision_is_allowed():
    maps = with_regions(random_maps(3, 5, 4, 9) + 40, random_density(3, 36))
    with torch.autocast("cpu", torch.bfloat16):
        found = statistics(maps)
    torch.testing.assert_close(found, statistics(maps))


def test_a_constant_statistic_is_no_reason_for_an_infinity():
    pooling, maps = StatisticsPooling(2), torch.ones(4, 2, 3, 3)
    density = random_density(4, 6)
    pooling.fit(statistics(with_regions(maps, density)))
    assert pooling.n_features == 12
    assert all(math.isfinite(value) for value in pooling(with_regions(maps + 0.1, density)).flatten().tolist())


def test_mirrored_slices_have_the_same_statistics():
    maps, density = random_maps(2, 3, 5, 8), random_density(2, 40)
    mirrored = with_regions(maps.flip(-1), density.flip(-1))
    torch.testing.assert_close(statistics(mirrored), statistics(with_regions(maps, density)))
