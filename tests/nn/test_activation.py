"""SplineActivation, compared with a loop over scipy's splines, and with a KAN layer."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from truth import basis_values

from kanlib import BSpline
from kanlib.nn import SplineActivation


def activation(features=3, **options):
    layer = SplineActivation(features, **options).double()
    with torch.no_grad():
        layer.weight.normal_()
    return layer


def test_each_node_has_a_function_of_its_own():
    layer = activation(basis=BSpline(4, 2))
    x = torch.linspace(-2.5, 2.5, 21, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.5, -0.2])
    y = layer(x).detach().numpy()
    weight = layer.weight.detach().numpy()
    for i, column in enumerate(x.numpy().T):
        silu = column / (1 + np.exp(-column))
        expected = weight[0, i] * silu + basis_values(layer.basis, column) @ weight[1:, i]
        assert y[:, i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("order", "base"), [(1, "silu"), (3, "identity"), (5, "zero")])
def test_gradients_are_those_of_finite_differences(order, base):
    layer = activation(basis=BSpline(5, order), base=base)
    x = torch.rand(7, 3, dtype=torch.float64) * 2.6 - 1.3
    x.requires_grad_()

    def function(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, x)

    assert torch.autograd.gradcheck(function, (x, layer.weight))


def test_it_starts_as_its_base_function_and_a_little_noise():
    layer, x = SplineActivation(200), torch.linspace(-1, 1, 50)[:, None].expand(-1, 200)
    noise = layer(x) - torch.nn.functional.silu(x)
    assert 0 < noise.abs().max() < 0.1 / 5  # an interpolant of noise within 0.1 / 5 / 2
    quiet = SplineActivation(200, init_noise=0.0)
    torch.testing.assert_close(quiet(x), torch.nn.functional.silu(x))


def test_its_input_has_its_dtype_but_under_autocast():
    layer = SplineActivation(2)
    with pytest.raises(TypeError, match=r"SplineActivation: input of dtype torch\.float64 "):
        layer(torch.zeros(4, 2, dtype=torch.float64))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(4, 2, dtype=torch.bfloat16)).dtype == torch.float32
        with pytest.raises(TypeError, match=r"input of dtype torch\.int64 "):
            layer(torch.zeros(4, 2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("name", "value"),
    [("features", 0), ("base", "relu"), ("basis", "b")],
)
def test_an_argument_out_of_range_is_named(name, value):
    options: dict[str, Any] = {"features": 2} | {name: value}
    with pytest.raises(ValueError, match=f"SplineActivation: {name}={value!r} "):
        SplineActivation(**options)


@pytest.mark.parametrize("shape", [(4, 3), (2,)])
def test_an_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"input of shape {shape} ")):
        SplineActivation(2)(torch.zeros(shape))
