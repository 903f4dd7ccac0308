"""What every layer does as torch's own do, and what its state knows."""

import copy
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from kanlib import BSpline, GaussianRBF, KANLinear, RationalLinear, SharedLinear, refine
from kanlib.nn import BASES, Chebyshev, KANConv1d, KANConv2d, KANConvTranspose2d
from kanlib.nn.shared import FunctionsLinear, SharedFunctions

MAKE: dict[str, Any] = {
    "linear": lambda **kind: KANLinear(3, 3, **kind),
    "scale": lambda **kind: KANLinear(3, 3, separate_scale=True, **kind),
    "norm": lambda **kind: KANLinear(3, 3, layer_norm=True, **kind),
    "shared": lambda **kind: SharedLinear(3, 3, 2, **kind),
    "rational": lambda **kind: RationalLinear(3, 3, 2, **kind),
    "1d": lambda **kind: KANConv1d(3, 3, 3, padding=1, **kind),
    "2d": lambda **kind: KANConv2d(3, 3, 3, padding=1, separate_scale=True, **kind),
    "transposed": lambda **kind: KANConvTranspose2d(3, 3, 3, padding=1, **kind),
}
every_layer = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
of_a_basis = pytest.mark.parametrize(
    "make", [make for name, make in MAKE.items() if name != "rational"]
)


def input_of(layer: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    """Inside and outside the grid, with 3 inputs."""
    shape = (5, 3, *(4,) * layer.axes) if hasattr(layer, "axes") else (5, 3)
    return (torch.rand(shape) * 5 - 2.5).to(dtype)


def weighted(layer: Any) -> Any:
    """The module that holds the weight of the product."""
    return layer.linear if isinstance(layer, FunctionsLinear) else layer


def outputs(layer: nn.Module, x: Tensor, *parameters: Tensor) -> list[Tensor]:
    """The output, and all gradients."""
    x = x.detach().requires_grad_()
    y = layer(x)
    leaves = [x, *(parameters or layer.parameters())]
    return [y, *torch.autograd.grad(y.sin().sum(), leaves)]


@every_layer
def test_a_program_made_by_export_computes_the_same_with_gradients(make):
    model = nn.Sequential(make(), make())  # the input of the second one has a gradient
    x = input_of(model[0])
    rows = {0: torch.export.Dim("rows")}
    for strict in (False, True):
        program = torch.export.export(model, (x,), dynamic_shapes=(rows,), strict=strict)
        found = outputs(program.module(), x[:3])
        torch.testing.assert_close(found, outputs(model, x[:3]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("basis", [*(family() for family in BASES.values()), BSpline(4, 5)])
def test_every_basis_can_be_exported(basis):
    model = nn.Sequential(KANLinear(3, 3, basis=basis), KANLinear(3, 3, basis=basis)).double()
    x = torch.cat([input_of(model[0], torch.float64), torch.full((1, 3), 50.0).double()])
    x = x[:-1] if basis == BASES["polynomial"]() else x
    program: Any = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(outputs(program, x), outputs(model, x))


@every_layer
@pytest.mark.filterwarnings("ignore:.*(weight|spectral)_norm.* is deprecated")
@pytest.mark.parametrize(
    "change",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: prune.ln_structured(layer, "weight", 0.5, 2, dim=0),
    ],
    ids=["weight norm", "spectral norm", "old weight norm", "old spectral norm", "mask", "rows"],
)
def test_weights_may_be_normed_or_pruned(make, change):
    layer = make()
    x = input_of(layer)
    change(weighted(layer))
    for _ in range(9):  # a spectral norm is estimated from call to call
        layer(x)
    y, *grads = outputs(layer.eval(), x)
    with torch.no_grad():
        for parameter, grad in zip(layer.parameters(), grads[1:], strict=True):
            parameter -= 1e-3 * grad
        assert layer(x).sin().sum() < y.sin().sum()
    if hasattr(weighted(layer), "weight_mask"):
        assert not weighted(layer).weight[weighted(layer).weight_mask == 0].any()
    if weighted(layer) is layer:
        with pytest.raises(TypeError, match=r"(?s)reset_parameters: layer=.*Conv|KANLinear"):
            layer.reset_parameters()


def test_functions_that_are_pruned_are_not_drawn_anew():
    layer = SharedFunctions(3)
    prune.l1_unstructured(layer, "weight", 0.5)
    with pytest.raises(TypeError, match="reset_parameters: layer=SharedFunctions"):
        layer.reset_parameters()


@every_layer
def test_a_layer_without_data_is_filled_later(make):
    with torch.device("meta"):
        empty = make()
        assert empty(input_of(empty)).is_meta
    torch.manual_seed(1)
    expected = make()
    x = input_of(expected)
    empty.load_state_dict(expected.state_dict(), assign=True)
    assert torch.equal(empty(x), expected(x))
    with torch.device("meta"):
        empty = make()
    torch.manual_seed(1)
    empty.to_empty(device="cpu").reset_parameters()
    fresh = dict(expected.named_parameters())
    assert fresh.keys() == dict(empty.named_parameters()).keys()
    for name, parameter in empty.named_parameters():
        assert parameter.shape == fresh[name].shape and parameter.isfinite().all()
        torch.testing.assert_close(parameter.std(), fresh[name].std(), rtol=0.5, atol=0)


@of_a_basis
def test_reset_draws_what_a_new_layer_has(make):
    torch.manual_seed(1)
    layer = make()
    fresh = {name: value.clone() for name, value in layer.named_parameters()}
    nn.init.zeros_(next(layer.parameters()))
    if not isinstance(layer, SharedLinear):  # it draws in another order
        torch.manual_seed(1)
        layer.reset_parameters()
        assert all(torch.equal(value, fresh[name]) for name, value in layer.named_parameters())


@every_layer
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.bfloat16, 0.1), (torch.float16, 0.02)],
    ids=str,
)
def test_the_default_dtype_is_that_of_the_parameters_and_of_what_is_computed(
    make, dtype, tolerance
):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        layer = make()
    finally:
        torch.set_default_dtype(before)
    assert {parameter.dtype for parameter in layer.parameters()} == {dtype}
    x = input_of(layer, dtype)
    for tensor in outputs(layer, x):
        assert tensor.dtype == dtype and tensor.isfinite().all()
    exact = copy.deepcopy(layer).double()(x.double())
    torch.testing.assert_close(layer(x).double(), exact, rtol=0, atol=tolerance)


@every_layer
def test_it_takes_part_in_autocast(make):
    layer = make()
    x = input_of(layer)
    expected = outputs(layer, x)
    for given in (x, x.bfloat16()):  # the layer before may have computed in either
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = outputs(layer, given)
        assert found[0].dtype == torch.bfloat16
        assert all(grad.dtype == torch.float32 for grad in found[2:])
        for ours, exact in zip(found, expected, strict=True):
            limit = 1e-3 + 0.05 * exact.abs().max()  # an offset has a gradient near 0
            assert (ours - exact).abs().max() < limit


@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@every_layer
def test_it_compiles_as_a_whole(make):
    layer = make()
    x = input_of(layer)
    compiled: Any = torch.compile(layer, backend="aot_eager", fullgraph=True)
    expected = outputs(layer, x)
    torch.testing.assert_close(outputs(compiled, x, *layer.parameters()), expected)


@every_layer
def test_activations_may_be_computed_again(make):
    layer = make().double()
    x = input_of(layer, torch.float64)
    for reentrant in (False, True):
        again: Any = lambda x: checkpoint(layer, x, use_reentrant=reentrant)  # noqa: B023, E731
        y = again(leaf := x.clone().requires_grad_())
        y.sin().sum().backward()
        torch.testing.assert_close(leaf.grad, outputs(layer, x)[1])

    def bend(call: Any) -> Tensor:
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(call(leaf).sin().sum(), leaf, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), leaf)[0]

    once = bend(lambda x: checkpoint(layer, x, use_reentrant=False))
    torch.testing.assert_close(once, bend(layer))


@every_layer
def test_frozen_layers_pass_gradients_on_and_inference_mode_computes_the_same(make):
    layer = make()
    x = input_of(layer)
    y, of_x, *_ = outputs(layer, x)
    layer.requires_grad_(False)
    found = layer(leaf := x.clone().requires_grad_())
    found.sin().sum().backward()
    torch.testing.assert_close((found, leaf.grad), (y, of_x))
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), y.detach())


@every_layer
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: x.double(),
        lambda x: x.to(torch.complex64),
        lambda x: x.long(),
        lambda x: x.tolist(),
        np.asarray,
    ],
    ids=["float64", "complex", "integers", "a list", "an array"],
)
def test_an_input_of_another_dtype_is_refused(make, spoil):
    layer = make()
    with pytest.raises(TypeError, match=r"(Linear|Conv\w+|Functions|Activation): input of dtype "):
        layer(spoil(input_of(layer)))
    with pytest.warns(UserWarning, match="Complex modules"):
        layer.to(torch.complex64)
    with pytest.raises(TypeError, match="which must be floating point"):
        layer(input_of(layer, torch.complex64))


@of_a_basis
def test_a_dtype_that_is_not_real_is_refused(make):
    with pytest.raises(ValueError, match=r"dtype=torch\.complex64 "):
        make(dtype=torch.complex64)


@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
@pytest.mark.parametrize("basis", [family() for family in BASES.values()], ids=str)
def test_nan_in_a_row_is_nan_in_its_outputs_alone(basis, base):
    layer, x = KANLinear(3, 2, basis=basis, base=base), torch.rand(4, 3)
    x[1, 2] = math.nan
    spoiled = layer(x).isnan()
    assert spoiled[1].all() and not spoiled[[0, 2, 3]].any()
    if isinstance(basis, BSpline):
        for grid_eps in (1.0, 0.02):
            layer.update_grid(torch.rand(9, 3), grid_eps)
            assert torch.equal(layer(x).isnan(), spoiled)


@every_layer
def test_tools_find_the_attributes_of_a_layer_and_a_bias_that_they_put_there(make):
    layer = weighted(make())
    x = (
        input_of(layer)[..., :1].expand(-1, 6)
        if layer.weight.shape[1:] == (6,)
        else input_of(layer)
    )
    names = ("in_channels", "out_channels") if hasattr(layer, "axes") else ("in_features",) * 2
    assert all(hasattr(layer, name) for name in ("weight", "bias", *names))
    if isinstance(layer, nn.Linear):
        return
    before = layer(x)
    layer.bias = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    shift = (layer(x) - before).movedim(1, -1)
    torch.testing.assert_close(shift, layer.bias.expand_as(shift), rtol=0, atol=1e-5)


def test_batch_norm_can_be_folded_into_a_convolution():
    layer, norm = MAKE["2d"]().eval(), nn.BatchNorm2d(3).eval()
    norm.load_state_dict(
        norm.state_dict() | {"weight": torch.rand(3), "running_mean": torch.rand(3)}
    )
    x = input_of(layer)
    folded = nn.utils.fuse_conv_bn_eval(layer, norm)
    torch.testing.assert_close(folded(x), norm(layer(x)))


@every_layer
@pytest.mark.parametrize("by", ["torch", "safetensors"])
def test_weights_survive_a_round_trip_without_pickle(make, by):
    layer, other = make(), make()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.rand_like(parameter))
    if by == "torch":
        torch.save(layer.state_dict(), file := io.BytesIO())
        file.seek(0)
        state = torch.load(file, weights_only=True)
    else:
        state = load(save(layer.state_dict()))
    x = input_of(layer)
    assert not torch.equal(other(x), layer(x))
    other.load_state_dict(state)
    assert torch.equal(other(x), layer(x))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda basis, base: KANLinear(3, 2, basis=basis, base=base), {"basis": GaussianRBF(8)}),
        (
            lambda basis, base: KANLinear(3, 2, basis=basis, base=base),
            {"basis": BSpline(5, 3, (-3, 3))},
        ),
        (lambda basis, base: KANConv1d(3, 2, 1, basis=basis, base=base), {"base": "zero"}),
        (lambda basis, base: SharedLinear(3, 2, basis=basis, base=base), {"base": "identity"}),
    ],
    ids=["family", "range", "convolution", "base"],
)
def test_weights_of_other_functions_are_refused(make, other, strict):
    own = {"basis": BSpline(), "base": "silu"}
    source, layer = nn.Sequential(make(**own | other)), nn.Sequential(make(**own))
    before = {name: value.clone() for name, value in layer.named_parameters()}
    (value,) = other.values()
    with pytest.raises(RuntimeError) as caught:
        layer.load_state_dict(source.state_dict(), strict=strict)
    assert f"{value!r}" in str(caught.value) and "'0" in str(caught.value)
    functions = [n for n in before if "linear" not in n]
    assert all(torch.equal(layer.get_parameter(n), before[n]) for n in functions)


@of_a_basis
def test_a_state_that_names_no_functions_is_loaded_with_a_warning(make):
    layer, other = make(), make()
    state = layer.state_dict()
    old = {name: value for name, value in state.items() if "_extra_state" not in name}
    assert len(old) < len(state)
    with pytest.warns(UserWarning, match=r"does not say which functions .*basis=BSpline"):
        other.load_state_dict(old)
    assert torch.equal(other(x := input_of(layer)), layer(x))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(state | {next(iter(old)): torch.zeros(1)})


def test_what_says_the_same_in_other_words_is_the_same():
    plain = KANLinear(3, 2)
    same = KANLinear(3, 2, basis=BSpline(np.int64(5), torch.tensor(3), (-1, np.float32(1))))  # pyright: ignore
    assert repr(same.basis) == repr(plain.basis)
    states = [plain.state_dict(), same.state_dict(), plain.state_dict()]
    mean = {name: sum(s[name] for s in states) / 3 for name in states[0]}
    assert plain.load_state_dict(mean) == same.load_state_dict(mean)
    torch.testing.assert_close(plain.weight.data, mean["weight"])


class Bare:
    """Hats, by a class without a text of its own."""

    size = 2
    points = torch.tensor([0.0, 1.0], dtype=torch.float64)

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.stack([1 - x, x], dim=-2, out=out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        return torch.stack([-torch.ones_like(x), torch.ones_like(x)], dim=-2)


@dataclass(frozen=True)
class Steep(Bare):
    factor: float = 2.0


def test_bases_of_your_own_are_told_apart_by_their_text_or_class():
    first, second = KANLinear(3, 2, basis=Bare()), KANLinear(3, 2, basis=Bare())
    second.load_state_dict(first.state_dict())
    with pytest.raises(RuntimeError, match=r"must have basis=Bare, .*basis=Steep\(factor=2\.0\), "):
        KANLinear(3, 2, basis=Steep()).load_state_dict(first.state_dict())


def test_a_grid_that_does_not_fit_is_refused_and_the_own_one_stays():
    layer = KANLinear(3, 2)
    layer.update_grid(torch.rand(9, 3))
    own, state = layer.grid, layer.state_dict()
    for grid in (torch.zeros(3, 5), torch.zeros(2, 2)):
        with pytest.raises(RuntimeError, match=r"grid of shape \(\d, \d\) must fit"):
            layer.load_state_dict(state | {"grid": grid})
        assert layer.grid is own
    with pytest.raises(RuntimeError, match="must have basis"):
        layer.load_state_dict(KANLinear(3, 2, basis=Chebyshev(8)).state_dict())
    assert layer.grid is own


class NoFloat64(TorchDispatchMode):
    """The device "meta", as if it had data, all 0, and no float64: so are Apple's GPUs."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].is_meta:
            if func is torch.ops.aten._local_scalar_dense.default:
                return args[0].dtype == torch.bool
            if func is torch.ops.aten._to_copy.default and str(kwargs.get("device")) == "cpu":
                return torch.zeros(args[0].shape, dtype=args[0].dtype, device="cpu")
        made = func(*args, **kwargs)
        if isinstance(made, Tensor) and made.is_meta and made.dtype == torch.float64:
            raise TypeError("Cannot convert a tensor to float64: the device has none")
        return made


@every_layer
def test_a_layer_is_made_on_a_device_without_float64(make):
    with NoFloat64():
        make(device="meta").reset_parameters()
        with torch.device("meta"):
            layer = make()
        assert layer(input_of(layer).to("meta")).dtype == torch.float32


@pytest.mark.parametrize("basis", [family() for family in BASES.values()], ids=str)
def test_every_basis_works_where_the_default_device_has_no_float64(basis):
    with NoFloat64(), torch.device("meta"):
        assert KANLinear(3, 2, basis=basis)(torch.zeros(4, 3)).shape == (4, 2)


@pytest.mark.parametrize("grid_eps", [1.0, 0.02])
def test_grids_are_moved_on_a_device_without_float64(grid_eps):
    with NoFloat64():
        layer = refine(KANLinear(3, 2, device="meta"), 10)
        for _ in range(2):
            layer.update_grid(torch.zeros(9, 3, device="meta"), grid_eps)
        assert layer.grid is not None and layer.grid.is_meta
        assert layer(torch.zeros(4, 3, device="meta")).shape == (4, 2)
