"""Grids of their own for each input, found from data."""

import copy
import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline as ScipyBSpline
from torch import nn

from kanlib import KAN, BSpline, Chebyshev, GaussianRBF, KANLinear, coverage, refine, update_grids
from kanlib.interpretability import moments, remove_edges, simplicity
from kanlib.interpretability.edges import edge_spread
from kanlib.nn import KANConv1d, OwnRange, refine_model

IN, OUT, RANGES, KNOTS = 3, 2, 1.0, 0.02
kinds = pytest.mark.parametrize("grid_eps", [RANGES, KNOTS, 0.0], ids="grid_eps={}".format)


def data(rows: int = 200) -> torch.Tensor:
    """Inputs of other ranges and shapes; the last is constant."""
    x = torch.randn(rows, IN, dtype=torch.float64) * torch.tensor([0.1, 1, 0])
    return x.exp() + torch.tensor([0.0, -4, 6])


PLAIN = BSpline()


def layer_of(basis: Any = PLAIN, dtype: Any = torch.float64, **options: Any) -> KANLinear:
    return KANLinear(IN, OUT, basis=basis, init_noise=9.0, dtype=dtype, **options)


def knots_of(x: np.ndarray, grid_size: int, order: int, grid_eps: float) -> np.ndarray:
    """efficient-kan's rule for the values of one input, literally."""
    x, size = np.sort(x), grid_size
    step = (x[-1] - x[0] + 2 * 0.01) / size
    places = [int(j * (len(x) - 1) / size) for j in range(size + 1)]
    uniform = [x[0] - 0.01 + j * step for j in range(size + 1)]
    inner = [grid_eps * u + (1 - grid_eps) * x[p] for u, p in zip(uniform, places, strict=True)]
    before = [inner[0] - j * step for j in range(order, 0, -1)]
    return np.array([*before, *inner, *(inner[-1] + j * step for j in range(1, order + 1))])


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("grid_eps", [RANGES, 0.5, KNOTS])
def test_values_and_derivatives_are_those_of_scipy_on_the_knots_of_efficient_kan(order, grid_eps):
    layer, x = layer_of(BSpline(4, order)), data()
    layer.update_grid(x, grid_eps)
    points = data() + torch.linspace(-0.1, 0.1, 200)[:, None]  # also beyond the grid
    slopes = [layer.basis.slopes(points, n) for n in range(1, order + 1)]
    for derivative, ours in enumerate([layer.basis.values(points), *slopes]):
        for i in range(IN):
            t = knots_of(x[:, i].numpy(), 4, order, grid_eps)
            for m in range(4 + order):
                element = ScipyBSpline.basis_element(t[m : m + order + 2], extrapolate=False)
                element = element.derivative(derivative) if derivative else element
                expected = np.nan_to_num(element(points[:, i].numpy()))
                limit = 1e-9 * max(1, np.abs(expected).max())
                np.testing.assert_allclose(ours[:, m, i], expected, rtol=0, atol=limit)


@kinds
@pytest.mark.parametrize("separate_scale", [True, False])
def test_gradients_are_those_of_finite_differences(grid_eps, separate_scale):
    layer, x = layer_of(separate_scale=separate_scale), data()
    layer.update_grid(x, grid_eps)
    points = data(4).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (points, *layer.parameters()), atol=1e-4)
    if grid_eps == RANGES:  # knots may lie too close together for finite differences
        assert torch.autograd.gradgradcheck(function, (points, *layer.parameters()), atol=1e-2)


@kinds
@pytest.mark.parametrize("separate_scale", [True, False])
def test_functions_that_the_new_grid_can_have_stay_as_they_were(grid_eps, separate_scale):
    layer, x = layer_of(BSpline(5, 3, (-30.0, 30.0)), separate_scale=separate_scale), data()
    points = torch.linspace(-30, 30, 99, dtype=torch.float64)[:, None]
    cubic = torch.linalg.lstsq(layer.basis.values(points)[..., 0], points**3 / 99).solution
    with torch.no_grad():
        layer.weight[:, 1:] = cubic
    before, edges = layer(x), layer.edge_functions(x)
    layer.update_grid(x, grid_eps)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-8)
    torch.testing.assert_close(layer.edge_functions(x), edges, rtol=0, atol=1e-8)
    layer.update_grid(x, grid_eps)  # from its own grid to the same
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-8)


@kinds
def test_the_other_functions_are_fitted_by_least_squares(grid_eps):
    layer, x = layer_of(), data() / 4
    before = layer.edge_functions(x)
    layer.update_grid(x, grid_eps)
    change = layer.edge_functions(x) - before
    assert change.abs().max() > 1e-3
    against = torch.einsum("nmi,noi->moi", layer.basis.values(x), change)
    torch.testing.assert_close(against, torch.zeros_like(against), rtol=0, atol=1e-9)


@kinds
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 3, 50])
def test_constant_inputs_and_few_rows_give_finite_numbers(grid_eps, dtype, rows):
    layer = layer_of(dtype=dtype)
    x = torch.tensor([0.0, -7.0, 1e4]).expand(rows, -1).to(dtype)
    layer.update_grid(x, grid_eps)
    points = torch.cat([x, x + 0.005, x * 2]).requires_grad_()
    layer(points).sum().backward()
    found = (layer(points), points.grad, layer.weight.grad, layer.grid)
    assert all(tensor is not None and tensor.isfinite().all() for tensor in found)
    assert layer.grid is not None and layer.grid.dtype == dtype
    assert layer(x[:0]).shape == (0, OUT)


@kinds
def test_the_state_holds_the_grid(grid_eps):
    layer, x = layer_of(), data()
    plain = copy.deepcopy(layer.state_dict())
    assert "grid" not in plain
    layer.update_grid(x, grid_eps)
    same = layer_of(dtype=torch.float32).double()
    same.load_state_dict(layer.state_dict())
    assert torch.equal(same(x), layer(x))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    layer.update_grid(x / 2, grid_eps)
    assert not torch.equal(same(x), layer(x))
    same.load_state_dict(plain)  # back on the grid of the basis
    assert same.grid is None


@kinds
def test_compiled_layers_see_a_new_grid(grid_eps):
    layer, x = layer_of(), data()
    compiled: Any = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for scale in (1, 2):
        layer.update_grid(scale * x, grid_eps)
        of_layer, of_compiled = x.clone().requires_grad_(), x.clone().requires_grad_()
        expected, found = layer(of_layer), compiled(of_compiled)
        torch.testing.assert_close(found, expected)
        expected.square().sum().backward()
        found.square().sum().backward()
        torch.testing.assert_close(of_compiled.grad, of_layer.grad)


@kinds
def test_every_layer_of_a_model_covers_what_enters_it(grid_eps):
    model: Any = KAN([IN, 4, 2], dtype=torch.float64)
    x = data()
    update_grids(model, x, grid_eps)
    for found in coverage(model, x).values():
        assert found.inside == 1 if grid_eps else found.inside > 0.99  # knots [t, t) hold nothing
        assert found.outside == 0
    assert [layer.grid.shape[0] for layer in model] == [IN, 4]


def test_edges_may_be_asked_for_the_same_points():
    layer, points = layer_of(), torch.linspace(-4, 7, 20, dtype=torch.float64)[:, None]
    layer.update_grid(data())
    torch.testing.assert_close(
        layer.edge_functions(points), layer.edge_functions(points.expand(-1, IN))
    )


def test_centres_of_bumps_may_have_a_range_for_each_input():
    layer, x = layer_of(GaussianRBF(5)), data()
    layer.update_grid(x)
    (low, high), (first, last) = (x.amin(0) - 0.01, x.amax(0) + 0.01), (-2, 2)
    inner = first + (x - low) / (high - low) * (last - first)
    torch.testing.assert_close(layer.basis.values(x), GaussianRBF(5).values(inner))


@pytest.mark.parametrize("how", ["finer", "longer"])
def test_ranges_of_their_own_can_be_refined(how):
    model: Any = nn.Sequential(layer_of())
    x = data()
    update_grids(model, x)
    before = model(x)
    refine_model(model, how)
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="basis=OwnKnots"):
        model[0].grid = None
        update_grids(model, x, KNOTS)
        refine(model[0], 10)


@kinds
def test_edges_are_measured_and_pruned_on_their_own_grid(grid_eps):
    model: Any = KAN([IN, OUT], init_noise=9.0, dtype=torch.float64)
    x = data()
    update_grids(model, x, grid_eps)
    seen, edges = moments(model, x), model[0].edge_functions(x)
    spread = edge_spread(model[0], seen["0"])[1]
    torch.testing.assert_close(spread, edges.std(0, correction=0), rtol=1e-6, atol=1e-6)
    kept = torch.tensor([[True, False, False]] * OUT)
    pruned = remove_edges(model, seen, {"0": kept})
    expected = edges[..., 0] + edges[..., 1:].mean(0).sum(-1)
    torch.testing.assert_close(pruned(x), expected)
    assert 0 <= simplicity(model[0], x).line <= simplicity(model[0], x).explained <= 1


@pytest.mark.parametrize(
    ("basis", "options", "stated"),
    [
        (BSpline(), {"x": torch.zeros(0, IN)}, "x of shape (0, 3)"),
        (BSpline(), {"x": torch.zeros(2, 4)}, "x of shape (2, 4)"),
        (BSpline(), {"x": torch.full((2, IN), torch.nan)}, "x of shape (2, 3)"),
        (BSpline(), {"grid_eps": 1.5}, "grid_eps=1.5 "),
        (BSpline(), {"margin": 0.0}, "margin=0.0 "),
        (Chebyshev(), {}, "basis=Chebyshev(degree=4) "),
        (GaussianRBF(), {"grid_eps": 0.02}, "basis=GaussianRBF("),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_gives_no_grid_is_refused(basis, options, stated):
    layer = layer_of(basis)
    with pytest.raises(ValueError, match=re.escape(f"update_grid: {stated}")):
        layer.update_grid(**{"x": data()} | options)
    assert not isinstance(layer.basis, OwnRange)


def test_a_layer_with_parametrizations_is_refused():
    layer: Any = nn.utils.parametrizations.weight_norm(layer_of())
    with pytest.raises(TypeError, match="update_grid: layer=ParametrizedKANLinear"):
        layer.update_grid(data())


def test_a_layer_norm_leaves_no_grid_to_follow():
    layer = KANLinear(3, 2, layer_norm=True)
    with pytest.raises(ValueError, match="layer norm"):
        layer.update_grid(torch.rand(5, 3))


@pytest.mark.parametrize("model", [nn.Linear(3, 2), KANConv1d(3, 2, 1)], ids=["dense", "kernel"])
def test_a_model_without_layers_that_take_a_grid_is_refused(model):
    with pytest.raises(ValueError, match=type(model).__name__):
        update_grids(model, torch.rand(3, 3))
