"""Rational layers, compared with numpy's polynomials, and what a KAN layer promises of them."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.polynomial import Polynomial, hermite_e

from kanlib import RationalLinear, count_parameters
from kanlib.nn import RationalActivation

IN, OUT, GROUPS = 5, 3, 2


@pytest.fixture
def layer() -> RationalLinear:
    """In float64, with parameters that are all different."""
    layer = RationalLinear(IN, OUT, GROUPS, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.1, 1)
        layer.functions.denominator.sub_(0.5)  # some below 0, as their absolute value is taken
    return layer


def inputs(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (torch.rand(*shape, dtype=torch.float64) * 5 - 2.5).to(dtype)


def expected(layer: RationalLinear, x: torch.Tensor) -> np.ndarray:
    """b_o + sum_i w_oi P(x_i) / (1 + |A_g(i)(x_i)|), by loops."""
    rows = x.detach().double().numpy()
    a, b, weight, bias = (p.detach().double().numpy() for p in layer.parameters())
    y = np.tile(bias, (len(rows), 1))
    for i in range(layer.in_features):
        group = i * len(b) // layer.in_features
        below = 1 + np.abs(Polynomial([0, *b[group]])(rows[:, i]))
        y += np.outer(Polynomial(a)(rows[:, i]) / below, weight[:, i])
    return y


def test_it_is_the_literal_formula(layer):
    x = inputs(20, IN)
    np.testing.assert_allclose(layer(x).detach(), expected(layer, x), rtol=0, atol=1e-12)


def test_gradients_are_those_of_finite_differences(layer):
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (inputs(4, IN).requires_grad_(), *layer.parameters()))


@pytest.mark.parametrize("value", [0.0, 1e6, -1e6])
def test_far_away_and_constant_inputs_give_finite_outputs_and_gradients(value):
    layer = RationalLinear(IN, OUT)
    x = torch.full((4, IN), value, requires_grad=True)
    y = layer(x)
    grads = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    assert y.isfinite().all()
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("shape", [(0,), (1,), (), (2, 4), (2, 0, 3)], ids=str)
def test_any_leading_axes_are_kept(layer, shape):
    x = inputs(*shape, IN).requires_grad_()
    y = layer(x)
    np.testing.assert_allclose(
        y.detach().reshape(-1, OUT), expected(layer, x.reshape(-1, IN)), rtol=0, atol=1e-12
    )
    y.sum().backward()
    assert x.grad is not None
    assert (y.shape, x.grad.shape) == ((*shape, OUT), x.shape)


def test_it_starts_as_silu():
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)[:, None]
    made = RationalActivation(1, dtype=torch.float64)(x)
    assert (made - torch.nn.functional.silu(x)).abs().max() < 2e-4


def test_fresh_weights_keep_the_variance_of_normal_inputs():
    layer = RationalLinear(400, 300)
    points, weights = hermite_e.hermegauss(80)  # of the normal density
    power = np.average((points / (1 + np.exp(-points))) ** 2, weights=weights)
    assert layer.linear.weight.var().item() * 400 == pytest.approx(1 / power, rel=0.02)
    assert layer(torch.randn(2000, 400)).square().mean().item() == pytest.approx(1, rel=0.05)


def test_the_seed_fixes_the_weights_and_reset_draws_others(layer):
    made = []
    for _ in range(2):
        torch.manual_seed(7)
        layer.reset_parameters()
        made.append(copy.deepcopy(layer))
    first, second = made
    x = inputs(3, IN)
    assert torch.equal(first(x), second(x))
    second.reset_parameters()
    assert not torch.equal(first(x), second(x))
    fresh = RationalActivation(IN, GROUPS, dtype=torch.float64)
    assert torch.equal(second.functions(x), fresh(x))


@pytest.mark.parametrize(("features", "sizes"), [(9, [3, 2, 2, 2]), (8, [2] * 4), (3, [1] * 3)])
def test_groups_are_neighbours_of_about_equal_number(features, sizes):
    layer = RationalActivation(features, groups=4)
    with torch.no_grad():
        layer.denominator[:, 0] = torch.arange(1.0, 1 + len(sizes))
    y = layer(torch.full((1, features), 2.0))[0]
    assert torch.unique_consecutive(y, return_counts=True)[1].tolist() == sizes
    assert len(y.unique()) == len(sizes)


def test_parameters_are_counted_in_closed_form():
    assert count_parameters(RationalLinear(20, 7, groups=8)) == 7 * 20 + 7 + 6 + 4 * 8
    assert count_parameters(RationalActivation(20, groups=8)) == 6 + 4 * 8


@pytest.mark.parametrize(
    ("name", "value"), [("in_features", 0), ("out_features", 2.0), ("groups", 0), ("groups", True)]
)
def test_an_argument_out_of_range_is_named(name, value):
    options: dict[str, Any] = {"in_features": IN, "out_features": OUT} | {name: value}
    with pytest.raises(ValueError, match=f"{name}={value!r} "):
        RationalLinear(**options)


def test_inputs_of_another_size_are_refused(layer):
    with pytest.raises(ValueError, match=r"input of shape \(2, 4\) "):
        layer(torch.ones(2, 4, dtype=torch.float64))
