"""Layers made from efficient-kan's weights, compared with the recursion that it computes."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.recursion import RecursiveKANLinear
from kanlib import BSpline, from_efficient_kan
from kanlib.nn import OwnKnots, OwnRange

IN, OUT = 7, 4


def special_inputs(grid_size: int) -> torch.Tensor:
    """Inside and outside the extended grid, on its ends and on knots: (N, I)."""
    spread = torch.rand(200, IN) * 6 - 3
    knots = torch.arange(-8, grid_size + 9) * (2 / grid_size) - 1
    places = torch.cat([knots, torch.tensor([-1.0, 1.0, 0.0, -50.0, 50.0])])
    return torch.cat([spread, places[:, None].expand(-1, IN)])


def update(recursion: RecursiveKANLinear, x: torch.Tensor, grid_eps: float) -> None:
    """Knots from data, as efficient-kan's ``update_grid`` places them."""
    order, margin, x = recursion.order, 0.01, x.sort(0).values
    size = recursion.grid.shape[1] - 1 - 2 * order
    step = (x[-1] - x[0] + 2 * margin) / size
    uniform = torch.arange(size + 1)[:, None] * step + x[0] - margin
    adaptive = x[torch.linspace(0, len(x) - 1, size + 1, dtype=torch.int64)]
    inner = grid_eps * uniform + (1 - grid_eps) * adaptive
    beyond = step * torch.arange(1, order + 1)[:, None]
    knots = torch.cat([inner[:1] - beyond.flip(0), inner, inner[-1:] + beyond])
    recursion.grid.copy_(knots.T)


GRIDS = {None: BSpline, 1.0: OwnRange, 0.02: OwnKnots}  # what each is computed by


def close(ours: torch.Tensor, theirs: torch.Tensor, relative: float = 1e-5) -> bool:
    return bool((ours - theirs).abs().max() <= relative * theirs.abs().max())


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("grid_size", "scaled"), [(5, True), (20, False)])
@pytest.mark.parametrize("grid_eps", GRIDS)
def test_outputs_and_gradients_equal_the_recursion(order, grid_size, scaled, grid_eps):
    recursion = RecursiveKANLinear(IN, OUT, grid_size, order, separate_scale=scaled)
    with torch.no_grad():  # as large as after training
        recursion.spline_weight.normal_()
    if grid_eps:
        update(recursion, torch.randn(300, IN) * torch.linspace(0.3, 1, IN), grid_eps)
    layer = from_efficient_kan(recursion.state_dict())
    assert isinstance(layer.basis, GRIDS[grid_eps])
    x = special_inputs(grid_size)
    theirs, ours = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, y = recursion(theirs), layer(ours)
    assert close(y, expected)
    upstream = torch.randn_like(expected)
    theirs_by, ours_by = {}, {}
    for grads, module, leaf, output in (
        (theirs_by, recursion, theirs, expected),
        (ours_by, layer, ours, y),
    ):
        output.backward(upstream)
        grads |= {name: parameter.grad for name, parameter in module.named_parameters()}
        # At order 1 the slope jumps at a knot, and its value there is a convention.
        assert leaf.grad is not None
        grads["x"] = leaf.grad[:200] if order == 1 else leaf.grad
    assert close(ours_by["x"], theirs_by["x"])
    assert close(ours_by["weight"][:, 0], theirs_by["base_weight"])
    assert close(ours_by["weight"][:, 1:].transpose(1, 2), theirs_by["spline_weight"])
    assert ("spline_scale" in ours_by) == scaled
    if scaled:
        assert close(ours_by["spline_scale"], theirs_by["spline_scaler"])


@pytest.mark.parametrize(
    ("grid_size", "ends", "dtype"),
    [
        (5, (-1.0, 1.0), torch.bfloat16),
        (5, (-1.0, 1.0), torch.float64),
        (2000, (-1.0, 1.0), torch.float32),
        (50, (100.0, 101.0), torch.float32),
    ],
    ids=str,
)
def test_a_rounded_grid_is_still_uniform(grid_size, ends, dtype):
    state = RecursiveKANLinear(3, 2, grid_size).state_dict()
    low, high = ends
    knots = torch.arange(-3, grid_size + 4) * ((high - low) / grid_size) + low
    state["grid"] = knots.expand(3, -1)
    layer = from_efficient_kan({name: value.to(dtype) for name, value in state.items()})
    assert isinstance(layer.basis, BSpline)
    assert layer.basis.grid_range == pytest.approx(ends, rel=torch.finfo(dtype).eps)
    assert layer.weight.dtype == dtype


@pytest.mark.parametrize("grid_eps", GRIDS)
def test_a_whole_model_is_read(grid_eps):
    theirs = nn.Module()
    layers = [RecursiveKANLinear(*pair) for pair in ((IN, 5), (5, OUT), (OUT, 2))]
    theirs.layers = nn.ModuleList(layers).double()
    x = expected = torch.randn(40, IN, dtype=torch.float64)
    for layer in layers:
        with torch.no_grad():
            layer.spline_weight.normal_()
            if grid_eps:
                update(layer, expected, grid_eps)
        expected = layer(expected)
    state = theirs.state_dict()
    model = from_efficient_kan(state)
    # Uniform knots are rounded to float32 there, not here.
    assert close(model(x), expected, 1e-12 if grid_eps == 0.02 else 1e-5)
    del state["layers.1.grid"]
    with pytest.raises(ValueError, match=r"state_dict has .*'base_weight'"):
        from_efficient_kan(state)
    with pytest.raises(ValueError, match=r"state_dict has .*'layers\.2\.grid'"):
        from_efficient_kan({name: v for name, v in state.items() if "layers.1" not in name})


def test_a_model_or_names_with_a_prefix_are_refused_with_what_would_be_right():
    model: Any = nn.Module()
    model.layers = nn.ModuleList([RecursiveKANLinear(IN, OUT)])
    with pytest.raises(TypeError, match=r"state_dict of type Module .*model\.state_dict\(\)"):
        from_efficient_kan(model)
    parallel = {f"module.{name}": value for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"'module\.layers\.0\.grid'.* prefix such as module"):
        from_efficient_kan(parallel)


def test_the_identity_may_be_the_base():
    state = RecursiveKANLinear(IN, OUT).state_dict()
    state["spline_weight"].zero_()
    x = torch.randn(5, IN)
    layer = from_efficient_kan(state, base="identity")
    torch.testing.assert_close(layer(x), x @ state["base_weight"].T)
    with pytest.raises(ValueError, match="base='zero' "):
        from_efficient_kan(state, base="zero")


def test_the_state_is_copied():
    recursion = RecursiveKANLinear(IN, OUT)
    generator = torch.get_rng_state()
    layer = from_efficient_kan(recursion.state_dict())
    assert torch.equal(torch.get_rng_state(), generator)  # nothing is drawn to be overwritten
    x = torch.randn(3, IN)
    before = layer(x)
    with torch.no_grad():
        for parameter in recursion.parameters():
            parameter.zero_()
    assert torch.equal(layer(x), before)


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        ({"base_weight": None}, r"state_dict .*\['grid'"),
        ({"base_activation.weight": torch.zeros(1)}, r"state_dict .*'base_activation.weight'"),
        ({"base_weight": torch.zeros(IN, OUT)}, r"'base_weight': \(7, 4\)"),
        ({"spline_scaler": torch.zeros(OUT)}, r"'spline_scaler': \(4,\)"),
        ({"spline_weight": torch.zeros(OUT, IN)}, r"'spline_weight': \(4, 7\)"),
        ({"spline_weight": torch.zeros(OUT, 0, 8)}, r"'spline_weight': \(4, 0, 8\)"),
        ({"grid": torch.zeros(12)}, r"'grid': \(12,\)"),
        ({"grid": torch.linspace(-2.2, 2.2, 12).expand(3, 12)}, r"'grid': \(3, 12\)"),
        ({"grid": torch.linspace(-1, 1, 8).expand(IN, 8)}, r"'grid': \(7, 8\)"),
        ({"grid": torch.zeros(IN, 12)}, r"grid=tensor"),
        ({"grid": torch.linspace(-2.2, 2.2, 15).expand(IN, 15)}, "spline_order=6"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_missing_unknown_and_misshapen_tensors_are_refused(change, stated):
    state = RecursiveKANLinear(IN, OUT).state_dict() | change
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(ValueError, match=stated):
        from_efficient_kan(state)


@pytest.mark.parametrize(
    ("place", "by"),
    [((slice(None), 5), 0.5), ((2, slice(None)), torch.nan), ((0, 0), torch.nan)],
    ids=["descending", "no numbers", "not a number"],
)
def test_knots_that_do_not_ascend_are_refused(place, by):
    state = RecursiveKANLinear(IN, OUT).state_dict()
    state["grid"][place] += by
    with pytest.raises(ValueError, match="from_efficient_kan: grid=tensor"):
        from_efficient_kan(state)
