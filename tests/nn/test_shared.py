"""Functions that outputs share: compared with scipy's splines, and with a KAN layer."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from truth import basis_values

from kanlib import BSpline, KANLinear, RationalLinear, SharedLinear, count_parameters
from kanlib.nn import BASES, SharedFunctions

IN, OUT, R = 3, 2, 2


def functions(features=IN, count=R, **options):
    """In float64, with large weights."""
    layer = SharedFunctions(features, count, **options, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.normal_()
    return layer


def inputs(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Inside and outside the grids, on no knot."""
    return (torch.rand(*shape, dtype=torch.float64) * 5 - 2.5).to(dtype)


def literal(layer: SharedFunctions, x: torch.Tensor) -> np.ndarray:
    """The formula, by loops: (N, I) -> (N, R I)."""
    weight = layer.weight.detach().double().numpy().reshape(-1, layer.functions, layer.features)
    columns = []
    for r in range(layer.functions):
        for i, column in enumerate(x.detach().double().numpy().T):
            of_base = {"silu": column / (1 + np.exp(-column)), "identity": column, "zero": 0}
            splines = basis_values(layer.basis, column) @ weight[1:, r, i]
            columns.append(weight[0, r, i] * of_base[layer.base] + splines)
    return np.stack(columns, 1)


@pytest.mark.parametrize("basis", [*(family() for family in BASES.values()), BSpline(4, 2)])
@pytest.mark.parametrize("count", [1, R])
def test_each_input_has_functions_of_its_own(basis, count):
    layer, x = functions(count=count, basis=basis), inputs(21, IN)
    np.testing.assert_allclose(layer(x).detach(), literal(layer, x), rtol=0, atol=1e-11)


def test_tied_inputs_have_the_same_functions():
    layer, own, x = functions(tied=True), functions(), inputs(21, IN)
    assert layer.weight.shape == (1 + layer.basis.size, R)
    with torch.no_grad():
        own.weight.copy_(layer.weight.repeat_interleave(IN, 1))
    torch.testing.assert_close(layer(x), own(x))


@pytest.mark.parametrize(
    "options",
    [
        *({"basis": family()} for family in BASES.values()),
        *({"basis": BSpline(5, order)} for order in (1, 2, 4, 5)),
        {"base": "identity", "count": 1},
        {"base": "zero", "count": 3},
        {"tied": True},
    ],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(options):
    layer, x = functions(**options), inputs(7, IN).requires_grad_()

    def function(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, x)

    assert torch.autograd.gradcheck(function, (x, layer.weight))
    if getattr(layer.basis, "spline_order", 2) > 1:
        assert torch.autograd.gradgradcheck(function, (x, layer.weight))


def test_with_all_features_as_its_functions_it_is_the_kan_layer():
    kan = KANLinear(IN, OUT, init_noise=5.0, dtype=torch.float64)
    count = 1 + kan.basis.size
    layer = SharedLinear(IN, OUT, count, dtype=torch.float64)
    with torch.no_grad():
        layer.functions.weight.copy_(torch.eye(count).repeat_interleave(IN, 1))
        layer.linear.weight.copy_(kan.weight.flatten(1))
        layer.linear.bias.zero_()
    x = inputs(9, IN)
    torch.testing.assert_close(layer(x), kan(x))
    torch.testing.assert_close(layer.edge_functions(x), kan.edge_functions(x))


def test_one_function_that_stays_silu_is_the_mlp():
    layer, x = SharedLinear(IN, OUT, init_noise=0.0), inputs(9, IN, dtype=torch.float32)
    torch.testing.assert_close(layer(x), layer.linear(torch.nn.functional.silu(x)))


def test_it_starts_as_its_base_function_and_a_little_noise():
    layer, x = SharedFunctions(200), torch.linspace(-1, 1, 50)[:, None].expand(-1, 200)
    noise = layer(x) - torch.nn.functional.silu(x)
    assert 0 < noise.abs().max() < 0.1 / 5  # an interpolant of noise within 0.1 / 5 / 2


def test_channels_have_functions_that_all_positions_share():
    layer, images = functions(axis=-3), inputs(4, IN, 5, 6)
    rows = functions()
    rows.load_state_dict(layer.state_dict())
    expected = rows(images.movedim(1, -1)).movedim(-1, 1)
    assert torch.equal(layer(images), expected)
    assert torch.equal(layer(images[0]), expected[0])
    assert expected.shape == (4, R * IN, 5, 6)


@pytest.mark.parametrize("count", [1, R])
def test_a_long_batch_is_computed_as_its_parts_are(count):
    layer, x = functions(200, count), inputs(500, 200).requires_grad_()
    upstream = inputs(500, 200 * count)
    results = []
    for parts in ([x], x.split(50)):
        y = torch.cat([layer(part) for part in parts])
        results.append([y, *torch.autograd.grad(y, [x, layer.weight], upstream)])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("shape", [(0,), (1,), (), (2, 4), (2, 0, 3)], ids=str)
def test_any_leading_axes_are_kept(shape):
    layer = SharedLinear(IN, OUT, R, dtype=torch.float64)
    x = inputs(*shape, IN).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert x.grad is not None
    assert (y.shape, x.grad.shape) == ((*shape, OUT), x.shape)
    torch.testing.assert_close(y.reshape(-1, OUT), layer(x.reshape(-1, IN)))


@pytest.mark.parametrize("kind", [SharedLinear, RationalLinear])
def test_edge_functions_and_the_bias_sum_to_the_output(kind):
    layer, x = kind(IN, OUT, R, dtype=torch.float64), inputs(7, IN)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.1, 1)
    edges = layer.edge_functions(x)
    torch.testing.assert_close(edges.sum(2) + layer.linear.bias, layer(x))
    same_points = layer.edge_functions(x[:, :1], slice(1, 2))
    torch.testing.assert_close(same_points[:, :, 0], edges[:, 1:2, 0])
    for wrong in (x[0], x[:, :2], x.float()):
        with pytest.raises(ValueError, match=rf"{kind.__name__}: x of shape "):
            layer.edge_functions(wrong)


def test_parameters_are_counted_in_closed_form():
    assert count_parameters(SharedLinear(20, 7, 3)) == 20 * 3 * 9 + 7 * 3 * 20 + 7


@pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*jit.script")
@pytest.mark.parametrize("basis", [family() for family in BASES.values()], ids=str)
def test_the_transforms_of_torch_agree_with_autograd(basis):
    layer, x = functions(basis=basis), inputs(4, IN)
    parameters = {"weight": layer.weight.detach()}

    def loss(parameters, row):
        return torch.func.functional_call(layer, parameters, row).square().sum()

    by_row = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)["weight"]
    for row, found in zip(x, by_row, strict=True):
        (wanted,) = torch.autograd.grad(layer(row).square().sum(), layer.weight)
        torch.testing.assert_close(found, wanted)
    backward = torch.func.vmap(torch.func.jacrev(layer))(x)
    torch.testing.assert_close(torch.func.vmap(torch.func.jacfwd(layer))(x), backward)
    tangent = torch.randn_like(layer.weight)

    def of_weight(weight):
        return torch.func.functional_call(layer, {"weight": weight}, x)

    along = torch.func.jvp(of_weight, (layer.weight,), (tangent,))[1]
    torch.testing.assert_close(along, of_weight(tangent))  # it is linear in the weight


def test_the_seed_fixes_the_weights_and_reset_draws_others():
    layer, x, made = SharedLinear(IN, OUT), inputs(3, IN, dtype=torch.float32), []
    for _ in range(2):
        torch.manual_seed(7)
        layer.reset_parameters()
        made.append(layer(x))
    assert torch.equal(*made)
    layer.reset_parameters()
    assert not torch.equal(layer(x), made[0])


@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("basis", [family() for family in BASES.values()], ids=str)
def test_it_compiles_as_a_whole(basis):
    torch.compiler.reset()  # a process compiles eight forms of a function, then no more
    layer, x = functions(basis=basis), inputs(8, IN).requires_grad_()
    leaves = [x, layer.weight]
    expected = layer(x), *torch.autograd.grad(layer(x).sum(), leaves)
    y = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close((y, *torch.autograd.grad(y.sum(), leaves)), expected)


def test_its_input_has_its_dtype_but_under_autocast():
    layer = SharedFunctions(2)
    with pytest.raises(TypeError, match=r"SharedFunctions: input of dtype torch\.float64 "):
        layer(torch.zeros(4, 2, dtype=torch.float64))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(4, 2, dtype=torch.bfloat16)).dtype == torch.float32
        with pytest.raises(TypeError, match=r"input of dtype torch\.int64 "):
            layer(torch.zeros(4, 2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("name", "value"),
    [("features", 0), ("functions", 1.0), ("base", "relu"), ("basis", "b"), ("axis", 1)],
)
def test_an_argument_out_of_range_is_named(name, value):
    options: dict[str, Any] = {"features": 2} | {name: value}
    with pytest.raises(ValueError, match=f"SharedFunctions: {name}={value!r} "):
        SharedFunctions(**options)
    with pytest.raises(ValueError, match="SharedLinear: out_features=0 "):
        SharedLinear(2, 0)


@pytest.mark.parametrize("shape", [(4, 3), (3,), ()])
def test_an_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"input of shape {shape} ")):
        SharedFunctions(2)(torch.zeros(shape))
