"""Every basis, compared with its definition. A new one is tested by its line in ``BASES``."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
import truth

from kanlib import KANLinear
from kanlib.nn import BASES, BSpline, Chebyshev, Fourier, GaussianRBF, MexicanHat, Polynomial

EXAMPLES = [
    *(family() for family in BASES.values()),
    *(BSpline(4, order) for order in (1, 2, 3, 4, 5)),
    BSpline(3, 3, (-2.0, 0.5)),
    GaussianRBF(2, (0.0, 0.5)),
    Chebyshev(1),
    Chebyshev(6),
    Fourier(1),
    Fourier(7),
    MexicanHat(2, (0.0, 0.5)),
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


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
def test_values_can_be_written_into_a_part_of_a_larger_tensor(basis):
    x = torch.randn(7, 3)
    features = torch.zeros(7, 1 + basis.size, 3)
    basis.values(x, out=features[:, 1:])
    torch.testing.assert_close(features[:, 1:], basis.values(x))
    assert not features[:, 0].any()


@pytest.mark.parametrize("basis", EXAMPLES, ids=repr)
def test_integer_points_are_not_cut_off_functions(basis):
    x = torch.arange(-3, 4)
    if isinstance(basis, BSpline):
        with pytest.raises(ValueError, match=r"x of .*torch\.int64"):
            basis.values(x)
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


@pytest.mark.parametrize("name", BASES)
def test_the_parameters_of_a_family_are_the_fields_of_a_dataclass_with_defaults(name):
    family = BASES[name]
    defaults = {field.name: field.default for field in dataclasses.fields(family)}
    assert family(**defaults) == family()
    assert dataclasses.asdict(family()) == defaults


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        *((BSpline, "grid_size", value) for value in (0, 5.0, True)),
        *((BSpline, "spline_order", value) for value in (-1, 0, 6, 3.0, True)),
        *((BSpline, "grid_range", value) for value in ((1.0, -1.0), (0.0, 0.0), (0.0, math.inf))),
        *((BSpline, "grid_range", value) for value in ((0.0, math.nan), (-1.0, 0.0, 1.0), 2.0)),
        *((BSpline, "grid_range", value) for value in (("-1", "1"), None)),
        *((GaussianRBF, "grid_size", value) for value in (1, 8.0)),
        *((GaussianRBF, "grid_range", value) for value in (("a", "b"), (1.0, 1.0))),
        *((MexicanHat, "grid_size", value) for value in (1, 8.0)),
        *(
            (family, "degree", value)
            for family in (Chebyshev, Fourier, Polynomial)
            for value in (0, 2.5, True)
        ),
    ],
    ids=repr,
)
def test_an_argument_out_of_range_is_named(family, name, value):
    with pytest.raises(ValueError, match=re.escape(f"{family.__name__}: {name}={value!r} ")):
        family(**{name: value})


@dataclasses.dataclass(frozen=True)
class Sines:
    """A toy basis: sin(m x), m = 1 .. size."""

    size: int = 3

    @property
    def points(self) -> torch.Tensor:
        return torch.linspace(-1, 1, self.size + 1, dtype=torch.float64)

    def values(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.sin(x.unsqueeze(-2) * self._factors(x), out=out)

    def slopes(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cos(x.unsqueeze(-2) * self._factors(x)) * self._factors(x)

    def _factors(self, x: torch.Tensor) -> torch.Tensor:
        return torch.arange(1, self.size + 1).to(x)[:, None]


@pytest.mark.parametrize("separate_scale", [True, False])
def test_a_new_basis_is_one_class_and_one_line_in_the_registry(monkeypatch, separate_scale):
    monkeypatch.setitem(BASES, "sines", Sines)
    layer = KANLinear(
        3, 2, basis=BASES["sines"](size=2), separate_scale=separate_scale, dtype=torch.float64
    )
    with torch.no_grad():
        layer.weight.normal_()
    x = torch.randn(4, 3, dtype=torch.float64)
    scale = 1 if layer.spline_scale is None else layer.spline_scale
    base, first, second = layer.weight.unbind(1)  # (O, I) each
    terms = [torch.nn.functional.silu(x) @ base.T]
    terms += [x.sin() @ (scale * first).T, (2 * x).sin() @ (scale * second).T]
    torch.testing.assert_close(layer(x), torch.stack(terms).sum(0))
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x.requires_grad_(), *parameters))
