"""Simple formulas are found where there are some, and not in noise."""

import numpy as np
import pytest
import torch

from kanlib import BSpline, KANLinear
from kanlib.interpretability.formulas import DRAWS, edge_formulas, fit_formulas, library
from kanlib.interpretability.moments import features

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
    found = edge_formulas(sine_layer(), torch.rand(500, 3) * 2 - 1)
    assert found.explained > 0.999 and found.simple == 1
    assert found.names["sine"] == DRAWS == sum(found.names.values())
    assert found.noise_explained < 0.6 and found.noise_simple == 0


def test_lines_are_lines():
    layer = KANLinear(3, 2, base="identity")
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, 0] = 1
    found = edge_formulas(layer, torch.rand(500, 3))
    assert found.line == pytest.approx(1)
    assert found.names["linear"] == DRAWS


def test_edges_are_drawn_by_their_variance():
    layer = sine_layer()
    with torch.no_grad():
        layer.weight[:, :, 0] = torch.randn(2, layer.weight.shape[1]) * 0.001  # noise, but faint
    found = edge_formulas(layer, torch.rand(500, 3) * 2 - 1)
    assert found.names["sine"] == DRAWS


def test_formulas_are_the_same_each_time():
    layer, inputs = KANLinear(3, 2), torch.rand(100, 3)
    assert edge_formulas(layer, inputs) == edge_formulas(layer, inputs)


def test_a_constant_needs_no_formula():
    found = fit_formulas(POINTS, torch.full((1, 200), 2.0))
    assert {score.item() for score in found.values()} == {1}
    assert list(found) == list(library(POINTS))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"layer=KANLinear\(.*\(10, 3\)"):
        edge_formulas(KANLinear(3, 2), torch.zeros(10, 3))
    with pytest.raises(ValueError, match=r"values of shape \(1, 3\)"):
        fit_formulas(POINTS, torch.zeros(1, 3))
