"""Simple formulas are found where there are some, and not in noise."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kanlib import KAN, BSpline, KANConv2d, KANLinear, RationalLinear, SharedLinear
from kanlib.interpretability import prune
from kanlib.interpretability.formulas import DRAWS, LIBRARY, fit_formulas, formulas, simplicity
from kanlib.interpretability.moments import features
from kanlib.nn.shared import FunctionsLinear

POINTS = torch.linspace(-1, 1, 200, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("linear", lambda x: 3 * x - 1),
        ("quadratic", lambda x: (x - 0.3) ** 2),
        ("exponential", lambda x: 2 * torch.exp(-3 * x) + 1),
        ("tanh", lambda x: torch.tanh(4 * (x - 0.1))),
        ("gaussian", lambda x: -torch.exp(-((3 * x) ** 2))),
        ("cubic", lambda x: x**3 - x),
        ("sine", lambda x: torch.sin(6 * x + 0.4)),
    ],
)
def test_a_formula_is_found_exactly(name, function):
    values = function(POINTS)[None]
    found = fit_formulas(5 * POINTS + 2, values)  # wherever the inputs lie
    assert found[name].item() == pytest.approx(1, abs=1e-6)
    if name != "linear":
        assert found["linear"].item() < 0.95


def test_r_squared_is_that_of_numpys_fit():
    y = torch.exp(POINTS) + torch.sin(9 * POINTS)
    fitted = np.polyval(np.polyfit(POINTS, y, 2), POINTS)
    expected = 1 - ((y.numpy() - fitted) ** 2).mean() / y.numpy().var()
    assert fit_formulas(POINTS, y[None])["quadratic"].item() == pytest.approx(expected)


def test_points_weigh_as_often_as_they_occur():
    # On two different values everything is a line; a third, rare one hardly counts.
    points = torch.cat([-torch.ones(100), torch.ones(100), torch.zeros(1)])
    values = torch.cat([torch.zeros(100), torch.ones(100), torch.ones(1)])[None]
    assert 0.98 < fit_formulas(points, values)["linear"].item() < 1
    assert fit_formulas(points[:200], values[:, :200])["linear"].item() == pytest.approx(1)


def sine_layer() -> KANLinear:
    """Six edges, all of them the sine 6 x as a spline of 20 intervals."""
    layer = KANLinear(3, 2, basis=BSpline(grid_size=20))
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    design = features(layer, x).squeeze(-1)
    weight = torch.linalg.lstsq(design, torch.sin(6 * x)).solution.squeeze(1)
    with torch.no_grad():
        layer.weight.copy_(weight[None, :, None].expand(2, -1, 3))
    return layer


def test_sines_are_found_and_noise_is_not():
    found = simplicity(sine_layer(), torch.rand(500, 3) * 2 - 1)
    assert found.explained > 0.999 and found.simple == 1
    assert found.names["sine"] == DRAWS == sum(found.names.values())
    assert found.noise_explained < 0.6 and found.noise_simple == 0


def test_lines_are_lines():
    layer = KANLinear(3, 2, base="identity")
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, 0] = 1
    found = simplicity(layer, torch.rand(500, 3))
    assert found.line == pytest.approx(1)
    assert found.names["linear"] == DRAWS


def test_edges_are_drawn_by_their_variance():
    layer = sine_layer()
    with torch.no_grad():
        layer.weight[:, :, 0] = torch.randn(2, layer.weight.shape[1]) * 0.001  # noise, but faint
    found = simplicity(layer, torch.rand(500, 3) * 2 - 1)
    assert found.names["sine"] == DRAWS


def test_formulas_are_the_same_each_time():
    layer, inputs = KANLinear(3, 2), torch.rand(100, 3)
    assert simplicity(layer, inputs) == simplicity(layer, inputs)


def test_a_constant_needs_no_formula():
    found = fit_formulas(POINTS, torch.full((1, 200), 2.0))
    assert {score.item() for score in found.values()} == {1}
    assert list(found) == list(LIBRARY)


def evaluated(expression: str, x: Tensor) -> Tensor:
    """A formula at x, as Python reads it."""
    names = {name: getattr(torch, name) for name in ("exp", "sin", "tanh")}
    return torch.as_tensor(eval(expression, names, {"x": x})).expand_as(x)


class Curve(nn.Module):
    """A function of (..., 1)."""

    def __init__(self, function) -> None:
        super().__init__()
        self.forward = function


@pytest.mark.parametrize("place", [(-1, 1), (0, 1), (100, 100.1), (-3000, -1000)], ids=str)
@pytest.mark.parametrize(
    ("function", "written"),
    [
        (lambda u: 3 * u - 1, "x"),
        (lambda u: (u - 0.3) ** 2, "x**2"),
        (lambda u: u**3 - u, "x**3"),
        (lambda u: torch.exp(-6 * u) + 1, "exp("),
        (lambda u: 2 - torch.tanh(8 * (u - 0.1)), "tanh("),
        (lambda u: torch.exp(-((6 * (u - 0.5)) ** 2)), ")**2)"),
        (lambda u: torch.sin(9 * u + 0.4), "sin("),
        (lambda u: 0 * u + 5, "5"),
        (lambda u: 0 * u, "0"),
    ],
    ids=range(9),
)
def test_a_formula_is_written_with_its_numbers(function, written, place):
    low, high = place
    linear = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(linear.weight)
    layer = FunctionsLinear(
        1, Curve(lambda x: function((2 * x - low - high) / (high - low))), linear
    )
    x = torch.linspace(low, high, 300, dtype=torch.float64)[:, None]
    [found] = formulas(layer, x)
    y = layer(x).detach()
    assert (found.layer, found.output, found.input) == ("", 0, 0)
    assert written in found.expression and len(found.expression) < 90
    assert found.r2 > 0.99
    assert found.spread == pytest.approx(y.std().item(), rel=0.02, abs=1e-9)
    error = (evaluated(found.expression, x) - y).square().mean().item()
    assert error <= max(1.05 * (1 - found.r2), 1e-4) * y.var().item() + 1e-12


def test_each_edge_of_a_network_has_a_formula():
    model = prune(KAN([3, 2, 2], init_noise=2.0), torch.rand(400, 3), 0.7)
    found = formulas(model, torch.rand(400, 3))
    places = [(edge.layer, edge.input, edge.output) for edge in found]
    assert places == [
        (n, i, o) for n, count in (("0", 3), ("1", 2)) for i in range(count) for o in (0, 1)
    ]
    gone = [edge for edge in found if edge.spread == 0]
    assert len(gone) == 3 and {(edge.expression, edge.r2) for edge in gone} == {("0", 1)}
    assert all(0 < edge.r2 <= 1 for edge in found)


def test_an_input_that_never_varies_has_constants():
    found = formulas(KANLinear(5, 4, init_noise=5.0), torch.full((30, 5), 0.3))
    assert {(edge.r2, edge.spread) for edge in found} == {(1, 0)}
    assert all(float(edge.expression) for edge in found)


@pytest.mark.parametrize("kind", [SharedLinear, RationalLinear])
def test_functions_that_edges_share_have_formulas(kind):
    layer = kind(3, 2, dtype=torch.float64)
    x = torch.rand(400, 3, dtype=torch.float64) * 2 - 1
    expected = layer.linear.bias.expand(400, -1)
    for edge in formulas(layer, x):
        value = evaluated(edge.expression, x[:, edge.input])
        expected = expected + torch.eye(2)[edge.output] * value[:, None]
    error = (layer(x) - expected).square().mean() / layer(x).var()
    assert error < 0.02


def test_the_edges_of_a_kernel_have_formulas():
    layer = KANConv2d(4, 6, (1, 2), groups=2, base="identity", dtype=torch.float64)
    with torch.no_grad():
        layer.weight[:, 1:] = 0
    found = formulas(nn.Sequential(nn.Identity(), layer), torch.randn(9, 4, 5, 5).double())
    assert len(found) == 6 * 4 and {edge.layer for edge in found} == {"1"}
    for edge in found:
        slope = float(edge.expression.removesuffix("*x"))
        assert slope == pytest.approx(layer.weight[edge.output, 0, edge.input].item(), rel=1e-3)


@pytest.mark.parametrize(
    ("model", "x", "stated"),
    [
        (nn.Linear(3, 2), torch.rand(5, 3), "model=Linear "),
        (nn.Sequential(KANLinear(3, 2, layer_norm=True)), torch.rand(5, 3), "no layer norm"),
        (KANLinear(3, 2), torch.full((5, 3), math.nan), "layer '' must be finite"),
        (KANLinear(3, 2), torch.rand(0, 3), r"shape \(0, 3\)"),
    ],
    ids=["no layer", "norm", "NaN", "empty"],
)
def test_what_has_no_formulas_is_refused(model, x, stated):
    with pytest.raises(ValueError, match=stated):
        formulas(model, x)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"layer=KANLinear\(.*\(10, 3\)"):
        simplicity(KANLinear(3, 2), torch.zeros(10, 3))
    with pytest.raises(ValueError, match=r"values of shape \(1, 3\)"):
        fit_formulas(POINTS, torch.zeros(1, 3))
