"""Every basis, compared with its definition. A new one is tested by its line in ``BASES``."""

import math
import re

import numpy as np
import pytest
import torch
import truth

from kanlib.nn import (
    BASES,
    BSpline,
    Chebyshev,
    Fourier,
    GaussianRBF,
    KANConv2d,
    KANLinear,
    MexicanHat,
    Polynomial,
    Rational,
    RationalLinear,
    SharedLinear,
)
from kanlib.nn.base_functions import BASE_FUNCTIONS

EXAMPLES = [
    *(family() for family in BASES.values()),
    BSpline(3, 1, (-2.0, 0.5)),
    GaussianRBF(2, (0.0, 0.5)),
    Chebyshev(1),
    Fourier(1),
    Polynomial(1),
    Polynomial(5),
]


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)], ids=str
)
def test_values_and_slopes_follow_the_definition(basis, dtype, tolerance):
    x = torch.linspace(-3.03, 2.97, 150, dtype=dtype)
    values, slopes = basis.values(x.view(50, 3)), basis.slopes(x.view(50, 3))
    assert values.shape == slopes.shape == (50, basis.size, 3)
    assert values.dtype == slopes.dtype == dtype
    for derivative, computed in enumerate((values, slopes)):
        expected = truth.basis_values(basis, x.double().numpy(), derivative)  # (P, M)
        ours = computed.transpose(1, 2).reshape(150, basis.size)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("basis", [*EXAMPLES, *(BSpline(4, k) for k in (2, 4, 5))], ids=repr)
@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_each_derivative_is_the_slope_of_the_one_before(basis, order):
    x = torch.linspace(-2.87, 2.93, 150, dtype=torch.float64).view(50, 3)
    if order > getattr(basis, "spline_order", order):
        with pytest.raises(ValueError, match=f"derivative={order} "):
            basis.slopes(x, order)
        return
    step = 1e-4  # x lies on no knot, and further from each
    high, low = (basis.slopes(x + s, order - 1) for s in (step, -step))
    found = basis.slopes(x, order)
    assert found.shape == (50, basis.size, 3)
    scale = 1 + found.abs().max().item()
    torch.testing.assert_close(found, (high - low) / (2 * step), rtol=0, atol=1e-4 * scale)
    far = torch.tensor([[-1e4], [-30.0], [0.0], [30.0], [1e4]])
    assert basis.slopes(far, order).isfinite().all()


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_derivatives_of_splines_at_knots_are_those_to_the_right(order):
    basis = BSpline(4, order)
    x = torch.arange(-8, 9, dtype=torch.float64)[:, None] / 4  # knots, and middles between them
    for derivative in range(1, order + 1):
        ours = basis.slopes(x, derivative)[..., 0]
        beside = truth.basis_values(basis, x[:, 0].numpy() + 1e-9, derivative)
        np.testing.assert_allclose(ours, beside, rtol=0, atol=1e-4)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_silu_are_those_of_autograd(order):
    x = torch.linspace(-9, 9, 50, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.silu(x)
    for _ in range(order):
        (expected,) = torch.autograd.grad(expected.sum(), x, create_graph=True)
    torch.testing.assert_close(BASE_FUNCTIONS["silu"].slope(x, order), expected)


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
def test_values_can_be_written_into_a_part_of_a_larger_tensor(basis):
    x = torch.randn(3, 7).T
    before = x.clone()
    features = torch.zeros(7, 1 + basis.size, 3)
    basis.values(x, out=features[:, 1:])
    torch.testing.assert_close(features[:, 1:], basis.values(x))
    assert not features[:, 0].any()
    assert torch.equal(x, before)


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
def test_integer_points_are_not_cut_off_functions(basis):
    x = torch.arange(-3, 4)
    if isinstance(basis, BSpline):
        for function in (basis.values, basis.slopes):
            with pytest.raises(ValueError, match=r"x of shape \(7,\) and torch\.int64"):
                function(x)
            with pytest.raises(ValueError, match=r"x of shape \(\)"):
                function(torch.tensor(0.5))
    else:
        torch.testing.assert_close(basis.values(x), basis.values(x.float()))


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
def test_a_basis_is_a_value(basis):
    assert eval(repr(basis)) == basis
    assert len({basis, eval(repr(basis))}) == 1
    assert basis.values(torch.zeros(0, 2)).shape == (0, basis.size, 2)


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
def test_inputs_far_away_give_finite_values_and_slopes(basis):
    x = torch.tensor([[-1e4], [-30.0], [30.0], [1e4]])
    assert basis.values(x).isfinite().all()
    assert basis.slopes(x).isfinite().all()


@pytest.mark.parametrize(
    ("basis", "points"),
    [
        (BSpline(4, 3), [-1, -0.5, 0, 0.5, 1]),
        (BSpline(1, 2, (0.0, 3.0)), [0, 3]),
        (GaussianRBF(3, (-2.0, 2.0)), [-2, 0, 2]),
        (Chebyshev(1), [math.atanh(math.sqrt(0.5)), -math.atanh(math.sqrt(0.5))]),
        (Fourier(1), [-2 * math.pi / 3, 0, 2 * math.pi / 3]),
        (MexicanHat(3, (-2.0, 2.0)), [-2, 0, 2]),
        (Polynomial(1), [math.sqrt(0.5), -math.sqrt(0.5)]),
    ],
    ids=repr,
)
def test_points_are_the_grid_the_centres_or_the_nodes(basis, points):
    assert basis.points.dtype == torch.float64
    assert basis.points.tolist() == pytest.approx(points, abs=1e-12)


@pytest.mark.parametrize(
    "kind", [np.int64, np.uint8, torch.tensor], ids=["int64", "uint8", "torch"]
)
def test_numbers_of_numpy_and_torch_are_taken_as_those_of_python(kind):
    basis = BSpline(kind(4), kind(2), [np.float32(-2), torch.tensor(2.0)])  # pyright: ignore
    assert basis == BSpline(4, 2, (-2.0, 2.0))
    assert repr(basis) == "BSpline(grid_size=4, spline_order=2, grid_range=(-2.0, 2.0))"
    assert repr(Fourier(kind(3))) == "Fourier(degree=3)"
    assert repr(Rational(kind(3))) == "Rational(groups=3)"
    kan, conv = KANLinear(kind(3), kind(2)), KANConv2d(kind(2), kind(4), kind(3), groups=kind(2))
    assert repr(kan) == repr(KANLinear(3, 2))
    assert repr(conv) == repr(KANConv2d(2, 4, 3, groups=2))
    assert repr(SharedLinear(kind(3), kind(2), kind(2))) == repr(SharedLinear(3, 2, 2))
    assert repr(RationalLinear(kind(3), kind(2), kind(2))) == repr(RationalLinear(3, 2, 2))
    assert type(kan.in_features) is type(conv.kernel_size[0]) is int


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), np.float64(3), "3", None])
def test_what_is_no_integer_is_no_size(value):
    with pytest.raises(ValueError, match=re.escape(f"KANLinear: in_features={value!r} ")):
        KANLinear(value, 2)


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        *(
            (BSpline, "grid_size", value)
            for value in (0, 5.0, True, np.float64(5), torch.tensor(5.0))
        ),
        *((BSpline, "spline_order", value) for value in (0, 6)),
        *((BSpline, "grid_range", value) for value in ((0.0, 0.0), (0.0, math.nan), 2.0)),
        *((family, "grid_size", 1) for family in (GaussianRBF, MexicanHat)),
        *((family, "degree", 0) for family in (Chebyshev, Fourier, Polynomial)),
        (GaussianRBF, "grid_range", (1.0, 1.0)),
    ],
    ids=repr,
)
def test_an_argument_out_of_range_is_named(family, name, value):
    with pytest.raises(ValueError, match=re.escape(f"{family.__name__}: {name}={value!r} ")):
        family(**{name: value})
