"""Every family of edge functions against its definition."""

import math

import numpy as np
import pytest
import torch
import truth

from kanlib import KANLinear
from kanlib.nn import BSpline, Chebyshev, GaussianRBF

BASES = [
    *(BSpline(5, order) for order in (1, 2, 3, 4, 5)),
    BSpline(3, 3, (-2.0, 0.5)),
    GaussianRBF(),
    GaussianRBF(2, (0.0, 0.5)),
    Chebyshev(1),
    Chebyshev(6),
]


@pytest.mark.parametrize("basis", BASES, ids=repr)
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


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_values_can_be_written_into_a_part_of_a_larger_tensor(basis):
    x = torch.randn(7, 3)
    features = torch.zeros(7, 1 + basis.size, 3)
    basis.values(x, out=features[:, 1:])
    torch.testing.assert_close(features[:, 1:], basis.values(x))
    assert not features[:, 0].any()


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_integer_points_are_not_cut_off_functions(basis):
    x = torch.arange(-3, 4)
    if isinstance(basis, BSpline):
        with pytest.raises(ValueError, match=r"torch\.int64 must be floating point"):
            basis.values(x)
    else:
        torch.testing.assert_close(basis.values(x), basis.values(x.float()))


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_a_basis_is_a_value(basis):
    assert eval(repr(basis)) == basis
    assert len({basis, eval(repr(basis))}) == 1
    assert basis.values(torch.zeros(0, 2)).shape == (0, basis.size, 2)


@pytest.mark.parametrize("basis", BASES, ids=repr)
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
    ],
    ids=repr,
)
def test_points_are_the_grid_the_centres_or_the_nodes(basis, points):
    assert basis.points.dtype == torch.float64
    assert basis.points.tolist() == pytest.approx(points, abs=1e-12)


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        (BSpline, {"grid_size": 0}, "grid_size=0 must be an integer >= 1"),
        (BSpline, {"grid_size": 5.0}, "grid_size=5.0 must be"),
        (BSpline, {"grid_size": True}, "grid_size=True must be"),
        (BSpline, {"spline_order": 0}, "spline_order=0 must be 1, 2, 3, 4 or 5"),
        (BSpline, {"spline_order": 6}, "spline_order=6 must be"),
        (BSpline, {"spline_order": 3.0}, "spline_order=3.0 must be"),
        (BSpline, {"spline_order": True}, "spline_order=True must be"),
        (BSpline, {"grid_range": (1.0, -1.0)}, r"grid_range=\(1.0, -1.0\) must be .* lo < hi"),
        (BSpline, {"grid_range": (0.0, 0.0)}, "grid_range="),
        (BSpline, {"grid_range": (0.0, math.inf)}, "grid_range="),
        (BSpline, {"grid_range": (0.0, math.nan)}, "grid_range="),
        (BSpline, {"grid_range": (-1.0, 0.0, 1.0)}, "grid_range="),
        (BSpline, {"grid_range": 2.0}, "grid_range=2.0"),
        (GaussianRBF, {"grid_size": 1}, "grid_size=1 must be an integer >= 2"),
        (GaussianRBF, {"grid_range": ("a", "b")}, "grid_range="),
        (Chebyshev, {"degree": 0}, "degree=0 must be an integer >= 1"),
        (Chebyshev, {"degree": 2.5}, "degree=2.5 must be"),
        (Chebyshev, {"degree": True}, "degree=True must be"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_an_argument_out_of_range_is_named(family, arguments, message):
    with pytest.raises(ValueError, match=f"{family.__name__}: {message}"):
        family(**arguments)


class Sines:
    """A family that the library does not know: sin(m x), m = 1 .. size."""

    size = 3
    points = torch.linspace(-1, 1, 4, dtype=torch.float64)

    def values(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.sin(self._angles(x), out=out)

    def slopes(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cos(self._angles(x)) * torch.arange(1, 4).to(x)[:, None]

    def _angles(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(-2) * torch.arange(1, 4).to(x)[:, None]


def test_a_new_family_needs_four_members_only():
    layer = KANLinear(3, 2, basis=Sines(), base="identity", dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64)
    features = torch.stack([x, x.sin(), (2 * x).sin(), (3 * x).sin()], dim=1)
    torch.testing.assert_close(layer(x), torch.einsum("nmi,omi->no", features, layer.weight))
    assert torch.autograd.gradcheck(layer, x.requires_grad_())
