"""B-splines, compared with scipy's, which computes them in another way."""

import numpy as np
import pytest
import torch
import truth

from kanlib.nn import BSpline
from kanlib.nn.splines import fit_coefficients

GRIDS = [
    BSpline(size, order, ends)
    for order in (1, 2, 3, 4, 5)
    for size, ends in ((1, (-1.0, 1.0)), (20, (0.5, 3.25)))
]


def points(basis: BSpline, include_knots: bool = True) -> np.ndarray:
    """Points from the left of the extended grid to the right of it."""
    knots = truth.knots(basis)
    spread = np.linspace(knots[0] - 0.7, knots[-1] + 0.7, 301)
    spread = spread[np.abs(spread[:, None] - knots).min(axis=1) > 1e-9]
    return np.concatenate([spread, knots]) if include_knots else spread


@pytest.mark.parametrize("basis", GRIDS, ids=repr)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 3e-5)], ids=str
)
def test_values_and_slopes_are_scipys_inside_outside_and_on_knots(basis, dtype, tolerance):
    x = torch.tensor(points(basis), dtype=dtype)
    values = basis.values(x[:, None])[..., 0]
    expected = truth.basis_values(basis, x.double().numpy())
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)
    # On a knot the slope of order 1 is a convention, tested below.
    x = torch.tensor(points(basis, include_knots=basis.spline_order > 1), dtype=dtype)
    slopes = basis.slopes(x[:, None])[..., 0]
    expected = truth.basis_values(basis, x.double().numpy(), derivative=1)
    steepest = basis.grid_size / (basis.grid_range[1] - basis.grid_range[0])
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=tolerance * max(1, steepest))
    assert values.dtype == slopes.dtype == dtype


def test_the_slope_of_order_1_on_a_knot_is_the_one_to_the_right():
    slope = BSpline(2, 1).slopes(torch.tensor([[0.0]]))
    # Three hats, one apart: to the right of 0 the middle one falls and the right one rises.
    assert slope.flatten().tolist() == [0.0, -1.0, 1.0]


def test_a_cubic_bump_has_the_known_values_on_its_knots():
    values = BSpline(2, 3).values(torch.tensor([[0.0]]))
    expected = torch.tensor([0, 1, 4, 1, 0]) / 6
    torch.testing.assert_close(values.flatten(), expected)


@pytest.mark.parametrize("basis", GRIDS, ids=repr)
def test_values_and_slopes_are_exactly_0_outside_the_extended_grid(basis):
    first, *_, last = truth.knots(basis)
    assert basis.support == pytest.approx((first, last))
    x = torch.tensor([[first - 1e-3], [last + 1e-3], [-1e6], [1e6], [-torch.inf], [torch.inf]])
    assert not basis.values(x).any()
    assert not basis.slopes(x).any()


def test_nan_stays_nan():
    x = torch.tensor([[torch.nan]])
    assert BSpline().values(x).isnan().all()
    assert BSpline().slopes(x).isnan().all()


@pytest.mark.parametrize("function", [BSpline(5, 3).values, BSpline(5, 3).slopes])
@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 4, 3)], ids=str)
def test_leading_axes_are_kept(function, shape):
    x = torch.rand(shape)
    values = function(x)
    assert values.shape == (*shape[:-1], 8, 3)
    rows = function(x.reshape(-1, 3))
    torch.testing.assert_close(values.reshape(-1, 8, 3), rows, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-7), (torch.float64, 1e-12)], ids=str
)
def test_the_fit_is_numpys_least_squares_of_smallest_norm(dtype, tolerance):
    points = torch.linspace(-1, 1, 21, dtype=dtype)  # fewer points than functions
    basis = BSpline(20, 5).values(points[:, None])[..., 0].T
    values = torch.randn(21, 2, 3, dtype=dtype)
    coefficients = fit_coefficients(basis, values)
    assert coefficients.dtype == dtype
    matrix, wanted = basis.T.double().numpy(), values.flatten(1).double().numpy()
    expected = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    limit = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(coefficients.flatten(1), expected, rtol=0, atol=limit)
