"""What must hold for any grid, layer, batch and dtype."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import truth
from hypothesis import given
from hypothesis import strategies as st

from kanlib import BSpline, Chebyshev, GaussianRBF, KANLinear

DTYPES = {torch.float64: 1e-11, torch.float32: 2e-4, torch.bfloat16: 0.05}  # and tolerances
ends = st.tuples(st.floats(-4, 4), st.floats(0.5, 8)).map(lambda e: (e[0], e[0] + e[1]))
bsplines = st.builds(BSpline, st.integers(1, 12), st.integers(1, 5), ends)
bases = bsplines | st.builds(GaussianRBF, st.integers(2, 9), ends)
bases |= st.builds(Chebyshev, st.integers(1, 6))
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
