"""Geometry holds against hand-worked cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladnn.phantoms.geometry import Ellipse, Grid, coverage, smooth_noise, smooth_union, tubes

GRID = Grid(60, 80, 0.5, (3.0, -2.0))


def test_pixels_and_millimetres_agree() -> None:
    x, y = GRID.axes()
    assert GRID.to_pixels(np.array([[x[0, 17], y[42, 0]]]))[0] == pytest.approx([42, 17])
    assert (x.mean(), y.mean()) == pytest.approx((3.0, -2.0))


@given(st.floats(2, 30), st.floats(0, 6.28), st.floats(0.5, 60))  # at the very centre it is an approximation
def test_distance_to_a_circle_is_exact(radius: float, angle: float, away: float) -> None:
    x = np.array([[5 + away * np.cos(angle)]], np.float32)
    y = np.array([[1 + away * np.sin(angle)]], np.float32)
    distance = Ellipse((5, 1), (radius, radius)).distance(x, y)
    assert distance.item() == pytest.approx(away - radius, abs=0.1)


def test_tilted_ellipse_reaches_along_its_axis() -> None:
    tip = Ellipse((0, 0), (10, 4), tilt_rad=np.pi / 2).distance(
        np.zeros((1, 1), np.float32), np.full((1, 1), 10.0, np.float32)
    )
    assert tip.item() == pytest.approx(0, abs=0.05)


def test_union_is_inside_where_either_is() -> None:
    first, second = np.array([[-3.0, 40.0]], np.float32), np.array([[30.0, -2.0]], np.float32)
    assert smooth_union(first, second, 5.0) == pytest.approx(np.array([[-3.0, -2.0]]))


def test_coverage_falls_from_one_to_zero_over_the_edge() -> None:
    distance = np.array([[-5.0, -0.5, 0.0, 0.5, 5.0]], np.float32)
    assert coverage(distance, 2.0) == pytest.approx(np.array([[1, 0.75, 0.5, 0.25, 0]]))


def test_tube_has_its_length_times_width() -> None:
    x = np.linspace(-10, 10, 200)
    cover = tubes(GRID, np.stack([x, np.full(200, -2.0)], axis=1), np.full(200, 1.5))
    expected_mm2 = 20 * 3 + np.pi * 1.5**2
    assert cover.sum() * GRID.spacing_mm**2 == pytest.approx(expected_mm2, rel=0.08)


def test_tube_outside_the_grid_draws_nothing() -> None:
    assert not tubes(GRID, np.array([[500.0, 0.0]]), np.array([2.0])).any()


def test_noise_has_unit_spread_and_the_asked_smoothness() -> None:
    fine, coarse = (smooth_noise(np.random.default_rng(3), GRID, scale) for scale in (2.0, 10.0))
    assert fine.std() == pytest.approx(1, abs=0.01)
    assert np.abs(np.diff(fine)).mean() > 2 * np.abs(np.diff(coarse)).mean()
