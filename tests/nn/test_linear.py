"""What a KAN layer promises, for every basis of the registry."""

import itertools
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import truth
from torch.utils.flop_counter import FlopCounterMode

from kanlib import KANLinear
from kanlib.nn import BASES, BSpline, GaussianRBF, Rational
from kanlib.nn.features import scaled_weight

EXAMPLES = {
    **{name: family() for name, family in BASES.items()},
    **{f"bspline{order}": BSpline(4, order) for order in (1, 2, 4, 5)},
}
IN, OUT = 3, 2
# Every basis in both layouts; every base, in both, with one basis.
ARGUMENTS = [
    {"basis": basis, "separate_scale": scaled, "base": base}
    for basis, scaled, base in [
        *itertools.product(EXAMPLES.values(), (True, False), ("silu",)),
        *itertools.product((BSpline(),), (True, False), ("identity", "zero")),
    ]
] + [
    {"basis": GaussianRBF(), "separate_scale": scaled, "layer_norm": True}
    for scaled in (True, False)
]


@pytest.fixture(params=ARGUMENTS, ids=str)
def layer(request):
    """In float64, with large coefficients: a wrong one would be seen."""
    layer = KANLinear(IN, OUT, **request.param, init_noise=10.0, dtype=torch.float64)
    if layer.norm is not None:
        for parameter in layer.norm.parameters():
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return layer


@pytest.fixture(params=[True, False], ids=["scaled", "folded"])
def plain(request):
    """Of B-splines."""
    options = {"separate_scale": request.param, "init_noise": 10.0, "dtype": torch.float64}
    return KANLinear(IN, OUT, **options)


def assert_equal(ours: torch.Tensor, expected: np.ndarray, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(ours.detach().double().cpu(), expected, rtol=0, atol=tolerance)


def inputs(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Inside and outside the grids, on no knot."""
    return (torch.rand(*shape, dtype=torch.float64) * 5 - 2.5).to(dtype)


def test_gradients_are_those_of_finite_differences(layer):
    x = inputs(4, IN).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x, *layer.parameters()))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)],
    ids=str,
)
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_the_layer_is_the_literal_formula_in_its_dtype(arguments, dtype, tolerance):
    layer = KANLinear(IN, OUT, **arguments, init_noise=1.0, dtype=dtype)
    x = inputs(6, IN, dtype=dtype).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.shape == (6, OUT)
    assert_equal(y, truth.layer_outputs(layer, x), tolerance)
    for tensor in (y, x.grad, *(p.grad for p in layer.parameters())):
        assert tensor is not None
        assert tensor.dtype == dtype
        assert tensor.isfinite().all()


@pytest.mark.parametrize(
    "view",
    [
        lambda: inputs(IN, 6).T,
        lambda: inputs(6, 2 * IN)[:, ::2],
        lambda: inputs(12, IN)[::2],
        lambda: inputs(1, IN).expand(6, IN),
        lambda: inputs(6, 1).expand(6, IN),
    ],
    ids=["transposed", "columns", "rows", "one row", "one column"],
)
def test_inputs_need_not_be_contiguous(plain, view):
    x = view()
    upstream = inputs(OUT, 6).T  # neither need gradients be
    grads = []
    for version in (x, x.contiguous()):
        leaf = version.detach().requires_grad_()
        y = plain(leaf)
        assert_equal(y, truth.layer_outputs(plain, x))
        grads.append(torch.autograd.grad(y, [leaf, plain.weight], upstream))
    torch.testing.assert_close(*grads)


def test_weights_need_not_be_contiguous(plain):
    layer = plain
    x, upstream = inputs(6, IN), inputs(6, OUT)
    names = [name for name, _ in layer.named_parameters()]
    grads = []
    for weight in (layer.weight, layer.weight.transpose(1, 2).contiguous().transpose(1, 2)):
        layer.weight = torch.nn.Parameter(weight.detach())
        y = layer(x)
        assert_equal(y, truth.layer_outputs(layer, x))
        grads.append(torch.autograd.grad(y, [getattr(layer, name) for name in names], upstream))
    assert not layer.weight.is_contiguous()
    torch.testing.assert_close(*grads)


def test_edge_functions_sum_to_the_output(layer):
    x = inputs(7, IN).requires_grad_()
    edges = layer.edge_functions(x)
    assert edges.shape == (7, OUT, IN)
    assert_equal(edges.sum(2), truth.layer_outputs(layer, x))
    slopes = (torch.autograd.grad(y.square().sum(), x)[0] for y in (edges.sum(2), layer(x)))
    torch.testing.assert_close(*slopes)
    same_points = layer.edge_functions(x[:, :1], slice(1, 2))
    assert same_points.shape == (7, 1, IN)
    if layer.norm is not None:  # a point alone is no row, and is not normalised
        layer.norm = None
        edges = layer.edge_functions(x)
    torch.testing.assert_close(same_points[:, :, 0], edges[:, 1:, 0])


@pytest.mark.parametrize("basis", EXAMPLES.values(), ids=EXAMPLES)
def test_a_long_batch_is_computed_as_its_parts_are(basis):
    layer = KANLinear(IN, OUT, basis=basis, init_noise=10.0, dtype=torch.float64)
    x = inputs(20_000, IN).requires_grad_()  # more rows than are computed at a time
    leaves = [x, *layer.parameters()]
    upstream = inputs(20_000, OUT)
    outputs, grads = [], []
    for rows in x.split(1000):
        outputs.append(layer(rows))
    for whole in (layer(x), torch.cat(outputs)):
        grads.append([whole, *torch.autograd.grad(whole, leaves, upstream)])
    torch.testing.assert_close(*grads)


def test_a_layer_of_many_weights_is_computed_as_its_parts_are():
    # More than 2**22 weights: they are multiplied in blocks of 128, 128 and 44 outputs.
    options: Any = {"separate_scale": True, "init_noise": 5.0, "dtype": torch.float64}
    layer = KANLinear(1600, 300, **options)
    assert layer.weight.numel() > 2**22
    x, upstream = inputs(5, 1600).requires_grad_(), inputs(5, 300)
    whole = [layer(x), *torch.autograd.grad(layer(x), [x, *layer.parameters()], upstream)]
    parts = []
    for outputs in (slice(0, 100), slice(100, 200), slice(200, 300)):
        part = KANLinear(1600, 100, **options)
        for own, whole_of in zip(part.parameters(), layer.parameters(), strict=True):
            own.data = whole_of.detach()[outputs]
        y = part(x)
        parts.append([y, *torch.autograd.grad(y, [x, *part.parameters()], upstream[:, outputs])])
    y, of_x, *of_weights = zip(*parts, strict=True)
    together = [torch.cat(y, dim=1), sum(of_x), *(torch.cat(of) for of in of_weights)]
    torch.testing.assert_close(whole, together)


@pytest.mark.parametrize("frozen", [("x",), ("weight",), ("spline_scale",), ("x", "spline_scale")])
def test_whatever_is_frozen_the_other_gradients_stay(frozen):
    layer = KANLinear(IN, OUT, separate_scale=True, init_noise=5.0)
    x = inputs(5, IN, dtype=torch.float32).requires_grad_()
    leaves = {"x": x, **dict(layer.named_parameters())}
    layer(x).square().sum().backward()
    all_grads = {name: leaf.grad for name, leaf in leaves.items()}
    for name, leaf in leaves.items():
        leaf.grad = None
        leaf.requires_grad_(name not in frozen)
    layer(x).square().sum().backward()
    for name, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad, None if name in frozen else all_grads[name])


def test_fresh_weights_have_the_distribution_of_efficient_kan():
    layers = []
    for separate_scale in (True, False):
        torch.manual_seed(0)
        layers.append(KANLinear(64, 100, separate_scale=separate_scale))
    scaled, folded = layers
    assert torch.equal(folded.weight, scaled_weight(scaled.weight, scaled.spline_scale))
    matrix = torch.from_numpy(truth.basis_values(BSpline(5, 3), np.linspace(-1, 1, 6)))  # (P, M)
    coefficients = scaled.weight[:, 1:].detach().double()  # (O, M, I)
    noise = matrix @ coefficients  # (O, P, I)
    # As efficient-kan fits them, of least norm.
    fitted = torch.linalg.lstsq(matrix.expand(100, -1, -1), noise).solution
    torch.testing.assert_close(coefficients, fitted, rtol=0, atol=1e-8)
    bound = 1 / 8  # kaiming, a = sqrt(5): sqrt(6 / ((1 + 5) I))
    for values, limit in (
        (scaled.weight[:, 0], bound),
        (scaled.spline_scale, bound),
        (noise, 0.1 / 5 / 2),
    ):
        assert 0.97 * limit < values.abs().max() <= limit * (1 + 1e-5)
        assert values.std().item() == pytest.approx(limit / np.sqrt(3), rel=0.03)
        assert abs(values.mean().item()) < 0.03 * limit


def called(layer: KANLinear) -> tuple[Any, tuple[torch.Tensor, ...]]:
    """The layer as a function of its inputs and parameters, and the parameters."""
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    return function, tuple(layer.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*jit.script")
def test_second_derivatives_are_those_of_finite_differences(layer):
    function, parameters = called(layer)
    x = inputs(3, IN).requires_grad_()
    if getattr(layer.basis, "spline_order", None) == 1:
        with pytest.raises(ValueError, match=r"derivative=2 .* spline_order=1"):
            torch.autograd.gradgradcheck(function, (x, *parameters))
        return
    assert torch.autograd.gradgradcheck(
        function, (x, *parameters), check_fwd_over_rev=True, check_batched_grad=True
    )


@pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*jit.script")
def test_the_transforms_of_torch_func_agree_with_autograd(layer):
    function, parameters = called(layer)
    x = inputs(4, IN)

    def loss(parameters, row):
        return function(row, *parameters).square().sum()

    by_row = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    for n, row in enumerate(x):
        expected = torch.autograd.grad(layer(row).square().sum(), parameters)
        torch.testing.assert_close([grad[n] for grad in by_row], list(expected))
    backward = torch.func.vmap(torch.func.jacrev(layer))(x)
    torch.testing.assert_close(torch.func.vmap(torch.func.jacfwd(layer))(x), backward)
    direction = inputs(4, IN)
    along = torch.func.jvp(layer, (x,), (direction,))[1]
    torch.testing.assert_close(along, torch.einsum("noi,ni->no", backward, direction))
    whole = torch.autograd.functional.jacobian(layer, x, vectorize=True)
    torch.testing.assert_close(torch.einsum("nonj->noj", whole), backward)
    several = tuple(torch.stack([p, 2 * p]) for p in parameters)  # an ensemble
    y = torch.func.vmap(lambda *p: function(x, *p))(*several)
    expected = torch.stack([function(x, *p) for p in zip(*several, strict=True)])
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_a_loss_of_second_derivatives_is_trained_or_refused(order):
    # Two layers in a row: its gradients ask for third derivatives of the first one's splines.
    torch.manual_seed(0)
    options: Any = {"basis": BSpline(5, order), "init_noise": 5.0, "dtype": torch.float64}
    model = torch.nn.Sequential(KANLinear(1, 4, **options), KANLinear(4, 1, **options))
    x = torch.linspace(-1, 1, 11, dtype=torch.float64)[:, None].requires_grad_()  # on knots, too

    def loss():
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return (bend - 1).square().mean()

    if order < 3:
        with pytest.raises(ValueError, match=f"spline_order={order}: take"):
            loss().backward()
        return
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=50, line_search_fn="strong_wolfe")
    before = loss().item()

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    assert loss().item() < before / 20


def test_a_default_device_that_is_another_does_not_matter():
    layer = KANLinear(IN, OUT)
    expected = layer(x := torch.rand(4, IN))
    with torch.device("meta"):
        assert torch.equal(layer(x), expected)


@pytest.mark.parametrize(("frozen", "products"), [("nothing", 2), ("x", 1), ("weights", 1)])
def test_no_product_is_computed_for_what_is_frozen(plain, frozen, products):
    layer = plain
    x = inputs(4, IN).requires_grad_(frozen != "x")
    layer.requires_grad_(frozen != "weights")
    with FlopCounterMode(display=False) as forward:
        y = layer(x)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    assert forward.get_total_flops() > 0
    assert backward.get_total_flops() == products * forward.get_total_flops()


def test_with_a_layer_norm_and_bumps_it_is_the_layer_of_fastkan():
    # ZiyaoLi/fast-kan, whose base layer has a bias besides.
    layer = KANLinear(IN, OUT, basis=GaussianRBF(), layer_norm=True, init_noise=5.0)
    x = inputs(6, IN, dtype=torch.float32)
    normed = torch.nn.functional.layer_norm(x, (IN,))
    centres = torch.linspace(-2, 2, 8)
    bumps = torch.exp(-(((normed[..., None] - centres) / (4 / 7)) ** 2))  # (6, IN, 8)
    expected = bumps.flatten(1) @ layer.weight[:, 1:].mT.flatten(1).T
    expected += torch.nn.functional.silu(x) @ layer.weight[:, 0].T
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("value", [0.0, -1.0, 3.0])
def test_constant_inputs_give_finite_outputs_and_gradients(layer, value):
    x = torch.full((4, IN), value, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    assert y.isfinite().all()
    grads = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("basis", EXAMPLES.values(), ids=EXAMPLES)
def test_every_basis_compiles_as_a_whole(basis):
    torch.compiler.reset()  # a process compiles eight forms of a function, then no more
    layer = KANLinear(IN, OUT, basis=basis, init_noise=5.0)
    x = inputs(8, IN, dtype=torch.float32).requires_grad_()
    leaves = [x, *layer.parameters()]
    expected = layer(x), *torch.autograd.grad(layer(x).sum(), leaves)
    y = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close((y, *torch.autograd.grad(y.sum(), leaves)), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_computes_the_same():
    for basis in EXAMPLES.values():
        layer = KANLinear(IN, OUT, basis=basis, separate_scale=True, dtype=torch.float64)
        x = inputs(20, IN).requires_grad_()
        expected = truth.layer_outputs(layer, x)
        on_cpu = torch.autograd.grad(layer(x).sum(), [x, *layer.parameters()])
        layer, x = layer.cuda(), x.detach().cuda().requires_grad_()
        assert_equal(layer(x), expected)
        on_device = torch.autograd.grad(layer(x).sum(), [x, *layer.parameters()])
        torch.testing.assert_close([grad.cpu() for grad in on_device], list(on_cpu))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_features", 0),
        ("out_features", 2.0),
        ("basis", "bspline"),
        ("basis", Rational()),
        ("base", "relu"),
    ],
    ids=str,
)
def test_an_argument_out_of_range_is_named(name, value):
    options: dict[str, Any] = {"in_features": IN, "out_features": OUT} | {name: value}
    with pytest.raises(ValueError, match=re.escape(f"KANLinear: {name}={value!r} ")):
        KANLinear(**options)


def test_one_input_alone_is_not_normalised():
    with pytest.raises(ValueError, match="KANLinear: in_features=1 "):
        KANLinear(1, OUT, layer_norm=True)


@pytest.mark.parametrize("shape", [(5, IN + 1), ()], ids=str)
def test_an_input_of_another_size_is_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"input of shape {shape} ")):
        KANLinear(IN, OUT)(torch.zeros(shape))


@pytest.mark.parametrize(
    "x", [torch.ones(3), torch.ones(4, 2), torch.ones(4, 3, dtype=torch.int32)], ids=str
)
def test_edge_functions_are_refused_points_of_another_shape_or_kind(x):
    with pytest.raises(ValueError, match=re.escape(f"x of shape {tuple(x.shape)} and {x.dtype} ")):
        KANLinear(IN, OUT).edge_functions(x)


@dataclass(frozen=True)
class Careless(BSpline):
    """Returns its values, and writes them nowhere."""

    def values(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return super().values(x)


def test_a_basis_may_leave_the_place_to_write_to_alone():
    layer, plain, x = KANLinear(3, 2, basis=Careless()), KANLinear(3, 2), torch.rand(5, 3)
    plain.weight = layer.weight
    assert torch.equal(layer(x), plain(x))


@pytest.mark.parametrize("noise", [math.nan, -1.0])
def test_noise_that_is_no_amplitude_is_refused(noise):
    with pytest.raises(ValueError, match=f"init_noise={noise}"):
        KANLinear(3, 2, init_noise=noise)


@pytest.mark.parametrize("dtype", ["float32", np.float32, torch.int32, float], ids=str)
def test_a_dtype_that_is_none_of_torchs_floating_ones_is_named(dtype):
    with pytest.raises(ValueError, match="KANLinear: dtype="):
        KANLinear(4, 3, dtype=dtype)
