"""What must hold for any grid, layer, batch and dtype."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import truth
from hypothesis import given, settings
from hypothesis import strategies as st

from kanlib import BSpline, Chebyshev, Fourier, GaussianRBF, KANLinear, MexicanHat, Polynomial

DTYPES = {torch.float64: 1e-11, torch.float32: 2e-4, torch.bfloat16: 0.05}  # and tolerances
ends = st.tuples(st.floats(-4, 4), st.floats(0.5, 8)).map(lambda e: (e[0], e[0] + e[1]))
bsplines = st.builds(BSpline, st.integers(1, 12), st.integers(1, 5), ends)
bases = bsplines
for family in (GaussianRBF, MexicanHat):
    bases |= st.builds(family, st.integers(2, 9), ends)
for family in (Chebyshev, Fourier, Polynomial):
    bases |= st.builds(family, st.integers(1, 6))
sizes = st.integers(1, 5)
leading = st.lists(st.integers(0, 4), max_size=3).map(tuple)  # axes before the last
layers = st.fixed_dictionaries(
    {
        "in_features": sizes,
        "out_features": sizes,
        "basis": bases,
        "base": st.sampled_from(["silu", "identity", "zero"]),
        "separate_scale": st.booleans(),
        "init_noise": st.floats(0, 10),
    }
)


def inputs(layer: KANLinear, *shape: int) -> torch.Tensor:
    """Inside and outside the grid of the layer; never on a knot."""
    low, high = getattr(layer.basis, "grid_range", (-1.0, 1.0))
    places = torch.rand(*shape, layer.in_features, dtype=torch.float64) * 2 - 0.5
    return (low + places * (high - low)).to(layer.weight.dtype)


@given(bsplines, st.floats(-3, 4), st.sampled_from([torch.float64, torch.float32]))
def test_at_most_order_plus_1_bumps_are_alive_and_none_beyond_the_grid(basis, place, dtype):
    low, high = basis.grid_range
    x = torch.tensor([[low + place * (high - low)]], dtype=dtype)
    values, slopes = basis.values(x).flatten(), basis.slopes(x).flatten()
    assert values.min() >= -1e-6
    assert (values > 1e-5).sum() <= basis.spline_order + 1
    beyond = basis.spline_order / basis.grid_size + 1e-4  # of the width of the grid
    if not -beyond <= place <= 1 + beyond:
        assert not values.any()
        assert not slopes.any()
    if 1e-5 < place < 1 - 1e-5:
        tolerance = 1e-9 if dtype == torch.float64 else 2e-4
        assert values.sum().item() == pytest.approx(1, abs=tolerance)
        steepness = basis.grid_size / (high - low)
        assert slopes.sum().item() == pytest.approx(0, abs=tolerance * max(1, steepness))


@given(bsplines, st.floats(-1, 2))
def test_slopes_are_the_finite_differences_of_values(basis, place):
    low, high = basis.grid_range
    x = torch.tensor([[low + place * (high - low)]], dtype=torch.float64)
    step = 1e-6 * (high - low) / basis.grid_size  # of an interval
    knots = torch.from_numpy(truth.knots(basis))
    if basis.spline_order == 1 and (x - knots).abs().min() < 2 * step:
        return  # the slope jumps
    difference = (basis.values(x + step) - basis.values(x - step)) / (2 * step)
    steepness = basis.grid_size / (high - low)
    limit = 1e-4 * max(1, steepness)
    torch.testing.assert_close(basis.slopes(x), difference, rtol=0, atol=limit)


@given(bsplines, st.lists(st.floats(-2, 2), min_size=1, max_size=8), st.floats(0.1, 10))
def test_a_grid_may_be_moved_stretched_and_mirrored(basis, places, stretch):
    x = torch.tensor(places, dtype=torch.float64)[:, None]
    basis = replace(basis, grid_range=(-1.0, 1.0))
    moved = replace(basis, grid_range=(3 - stretch, 3 + stretch))
    values = basis.values(x)
    torch.testing.assert_close(moved.values(x * stretch + 3), values, rtol=0, atol=1e-9)
    torch.testing.assert_close(basis.values(-x).flip(-2), values, rtol=0, atol=1e-9)
    if basis.spline_order > 1:  # at order 1 it jumps at the knots, where rounding decides
        slopes = moved.slopes(x * stretch + 3) * stretch
        torch.testing.assert_close(slopes, basis.slopes(x), rtol=0, atol=1e-7)


@given(layers, leading, st.sampled_from(list(DTYPES)))
def test_any_layer_is_the_formula_on_any_batch_in_any_dtype(options, shape, dtype):
    layer = KANLinear(**options, dtype=dtype)
    x = inputs(layer, *shape).requires_grad_()
    y = layer(x)
    assert (y.shape, y.dtype) == ((*shape, layer.out_features), dtype)
    expected = truth.layer_outputs(layer, x.reshape(-1, layer.in_features))
    # A product in bfloat16 rounds at the size of its terms, not of their sum.
    reach = 1 + layer.weight.abs().max().item() * layer.in_features * layer.basis.size
    np.testing.assert_allclose(
        y.detach().double().reshape(expected.shape), expected, rtol=0, atol=DTYPES[dtype] * reach
    )
    y.sum().backward()
    for leaf in (x, *layer.parameters()):
        assert leaf.grad is not None
        assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, dtype)
        assert leaf.grad.isfinite().all()


@given(layers, st.integers(0, 5))
def test_gradients_are_finite_differences_along_any_direction(options, rows):
    layer = KANLinear(**options, dtype=torch.float64)
    names, weights = zip(*layer.named_parameters(), strict=True)
    leaves = [inputs(layer, rows).requires_grad_(), *weights]
    upstream = torch.randn(rows, layer.out_features, dtype=torch.float64)

    def loss(x, *weights):
        y = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))
        return (y * upstream).sum()

    grads = torch.autograd.grad(loss(*leaves), leaves)
    direction = [torch.randn_like(leaf) for leaf in leaves]
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (
            loss(*(leaf + sign * step * d for leaf, d in zip(leaves, direction, strict=True)))
            for sign in (1, -1)
        )
    slope = sum((g * d).sum() for g, d in zip(grads, direction, strict=True))
    scale = 1 + sum((g * d).abs().sum().item() for g, d in zip(grads, direction, strict=True))
    assert float(slope) == pytest.approx(((ahead - behind) / (2 * step)).item(), abs=1e-5 * scale)


@given(layers, st.sampled_from(list(DTYPES)))
def test_copies_by_any_road_compute_the_same_and_go_their_own_way(options, dtype):
    layer = KANLinear(**options, dtype=dtype)
    restored = KANLinear(**options, dtype=dtype)
    restored.load_state_dict(layer.state_dict())
    x = inputs(layer, 4)
    y = layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), restored):
        assert repr(other) == repr(layer)
        assert torch.equal(other(x), y)
        with torch.no_grad():
            other.weight.add_(1)
    assert torch.equal(layer(x), y)


@given(layers, st.integers(0, 6), st.integers(0, 6))
def test_rows_do_not_see_each_other(options, first, second):
    layer = KANLinear(**options, dtype=torch.float64)
    x = inputs(layer, first + second)
    apart = torch.cat([layer(x[:first]), layer(x[first:])])
    torch.testing.assert_close(layer(x), apart, rtol=0, atol=1e-10)


@pytest.mark.parametrize("separate_scale", [True, False])
def test_threads_that_share_a_layer_get_what_each_gets_alone(separate_scale):
    layer = KANLinear(40, 30, separate_scale=separate_scale, init_noise=5.0)

    def outputs_and_gradients(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        return y, *torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()])

    batches = [inputs(layer, rows) for rows in (1, 7, 64, 200) * 8]
    alone = [outputs_and_gradients(x) for x in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(outputs_and_gradients, batches))
    for ours, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("basis", [BSpline(3, 2), GaussianRBF(4), Chebyshev(3)], ids=repr)
@settings(max_examples=5)
@given(leading, st.sampled_from([torch.float64, torch.float32]), st.booleans())
def test_a_compiled_layer_computes_the_same_on_any_batch(basis, shape, dtype, separate_scale):
    layer = KANLinear(3, 2, basis=basis, separate_scale=separate_scale, init_noise=5.0, dtype=dtype)
    leaves = [inputs(layer, *shape).requires_grad_(), *layer.parameters()]
    y = layer(leaves[0])
    torch.compiler.reset()  # a process compiles eight forms of a function, then no more
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(leaves[0])
    torch.testing.assert_close(compiled, y)
    expected = torch.autograd.grad(y.sum(), leaves)
    torch.testing.assert_close(torch.autograd.grad(compiled.sum(), leaves), expected)
