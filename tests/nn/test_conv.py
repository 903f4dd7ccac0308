"""KAN convolutions, compared with a ``KANLinear`` on every window, for every basis."""

import copy
import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from kanlib import KANLinear, coverage, refine
from kanlib.nn import BASES, BSpline, KANConv1d, KANConv2d, KANConvTranspose2d, refine_model

EXACT: Any = {"dtype": torch.float64, "init_noise": 10.0}
GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"stride": (2, 3), "padding": (0, 2), "dilation": (2, 1)},
    {"kernel_size": (1, 3), "stride": (1, 2), "padding": (0, 1)},
    {"kernel_size": 2, "dilation": 3, "groups": 2},
    {"groups": 2, "stride": 2, "padding": 1},
]


def images(*shape: int) -> Tensor:
    """Inside and outside the grids, on no knot."""
    return torch.rand(shape, dtype=torch.float64) * 5 - 2.5


def dense(layer: KANConv1d | KANConv2d | KANConvTranspose2d) -> KANLinear:
    """The ``KANLinear`` with the weights of a convolution."""
    outputs, _, inputs = layer.weight.shape
    scaled = layer.spline_scale is not None
    same = KANLinear(
        inputs, outputs, basis=layer.basis, base=layer.base, separate_scale=scaled, **EXACT
    )
    same.load_state_dict(layer.state_dict())
    return same


def by_windows(layer: KANConv2d, x: Tensor) -> Tensor:
    """What the layer defines: unfold, a ``KANLinear`` on each window, one group after another."""
    padding = tuple(low for low, _ in layer.padding)
    windows = functional.unfold(
        x, layer.kernel_size, layer.dilation, padding, layer.stride
    )  # (N, C K, places)
    parts = windows.mT.unflatten(2, (layer.groups, -1)).unbind(2)
    y = [dense(layer)(part).chunk(layer.groups, -1)[g] for g, part in enumerate(parts)]
    reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    room = [n + 2 * p - r for n, p, r in zip(x.shape[2:], padding, reach, strict=True)]
    sizes = [n // s + 1 for n, s in zip(room, layer.stride, strict=True)]
    return torch.cat(y, -1).mT.unflatten(2, sizes)


@pytest.mark.parametrize("kind", [KANConv1d, KANConv2d, KANConvTranspose2d])
def test_edge_functions_are_those_of_the_dense_layer(kind):
    layer = kind(4, 6, 2, groups=2, separate_scale=True, dtype=torch.float64)
    x = torch.randn(5, 4, dtype=torch.float64)
    edges = layer.edge_functions(x)
    for outputs, channels in ((slice(3), slice(2)), (slice(3, 6), slice(2, 4))):
        offsets = 2**layer.axes
        rows = x[:, channels].repeat_interleave(offsets, 1)
        expected = dense(layer).edge_functions(rows)[:, outputs]
        torch.testing.assert_close(edges[:, outputs], expected)
    same = layer.edge_functions(x[:, :1])
    torch.testing.assert_close(same, layer.edge_functions(x[:, :1].expand(5, 4)))
    for wrong in (x[:, :2], x[0], x.float()):
        with pytest.raises(ValueError, match="x of shape"):
            layer.edge_functions(wrong)


def by_scattering(layer: KANConvTranspose2d, x: Tensor) -> Tensor:
    """What the mirror image defines: every edge of every pixel, added where it leads."""
    count, _, height, width = x.shape
    offsets = math.prod(layer.kernel_size)
    padding = tuple(low for low, _ in layer.padding)
    reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    last = [(n - 1) * s for n, s in zip(x.shape[2:], layer.stride, strict=True)]
    more = [out - 2 * p for out, p in zip(layer.output_padding, padding, strict=True)]
    sizes = tuple(map(sum, zip(last, reach, more, strict=True)))
    found = []
    for g, part in enumerate(x.chunk(layer.groups, 1)):
        pixels = part.movedim(1, -1).flatten(0, 2).repeat_interleave(offsets, 1)  # (N H W, C K)
        edges = dense(layer).edge_functions(pixels).chunk(layer.groups, 1)[g]
        reached = edges.unflatten(2, (-1, offsets)).sum(2)  # (N H W, O / g, K)
        columns = reached.flatten(1).unflatten(0, (count, height * width)).mT
        found.append(
            functional.fold(
                columns, sizes, layer.kernel_size, layer.dilation, padding, layer.stride
            )
        )
    return torch.cat(found, 1)


def gradients(y: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    upstream = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad(y, leaves, upstream)]


def assert_computes(layer: Any, define: Any, x: Tensor) -> None:
    """The layer's outputs and gradients are those of its definition."""
    x.requires_grad_()
    torch.testing.assert_close(gradients(layer(x), [x]), gradients(define(layer, x), [x]))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("separate_scale", [True, False])
def test_it_is_unfold_and_a_linear_layer(geometry, separate_scale):
    options = {"kernel_size": 3} | geometry
    layer = KANConv2d(4, 6, **options, separate_scale=separate_scale, **EXACT)
    assert_computes(layer, by_windows, images(2, 4, 9, 8))


@pytest.mark.parametrize("geometry", [*GEOMETRIES, {"stride": 2, "output_padding": 1}], ids=str)
@pytest.mark.parametrize("separate_scale", [True, False])
def test_the_mirror_image_adds_each_edge_where_it_leads(geometry, separate_scale):
    options = {"kernel_size": 3} | geometry
    layer = KANConvTranspose2d(4, 6, **options, separate_scale=separate_scale, **EXACT)
    assert_computes(layer, by_scattering, images(2, 4, 5, 6))


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
def test_every_basis_is_convolved(name, base):
    options: Any = {"kernel_size": 3, "stride": 2, "padding": 1, "basis": BASES[name]()}
    down = KANConv2d(2, 3, **options, base=base, **EXACT)
    assert_computes(down, by_windows, images(2, 2, 6, 5))
    up = KANConvTranspose2d(2, 3, **options, base=base, **EXACT)
    assert_computes(up, by_scattering, images(2, 2, 4, 3))


@pytest.mark.parametrize("kind", [KANConv1d, KANConv2d, KANConvTranspose2d])
@pytest.mark.parametrize("separate_scale", [True, False])
def test_gradients_are_those_of_finite_differences(kind, separate_scale):
    layer = kind(2, 4, 2, stride=2, padding=1, groups=2, separate_scale=separate_scale, **EXACT)
    x = images(2, 2, *(3,) * layer.axes).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x, *layer.parameters()))


@pytest.mark.parametrize(
    "geometry", [{}, {"stride": 2, "padding": 1, "dilation": 2}, {"padding": "same"}], ids=str
)
def test_one_axis_is_two_of_which_one_has_a_single_pixel(geometry):
    line = KANConv1d(4, 6, 3, groups=2, **geometry, **EXACT)
    for_images: dict[str, Any] = {
        name: value if isinstance(value, str) else (int(name != "padding"), value)
        for name, value in geometry.items()
    }
    plane = KANConv2d(4, 6, (1, 3), groups=2, **for_images, **EXACT)
    plane.load_state_dict(line.state_dict())
    x = images(2, 4, 9)
    torch.testing.assert_close(line(x), plane(x[:, :, None])[:, :, 0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (KANConv1d, nn.Conv1d),
        (KANConv2d, nn.Conv2d),
        (KANConvTranspose2d, nn.ConvTranspose2d),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [(3,), (3, 2, 1), (2, 3, 1, 1), (3, 1, "same"), (4, 1, "same", 2), (3, 2, "valid")],
    ids=str,
)
def test_with_edges_that_are_lines_it_is_torchs_convolution(ours, theirs, arguments):
    if ours is KANConvTranspose2d and any(isinstance(a, str) for a in arguments):
        pytest.skip("torch's has no such padding")
    layer = ours(4, 6, *arguments, groups=2, base="identity", init_noise=0.0, dtype=torch.float64)
    other = theirs(4, 6, *arguments, groups=2, bias=False, dtype=torch.float64)
    weight = layer.weight.detach()[:, 0].unflatten(1, (2, *layer.kernel_size))  # (O, C / g, ...)
    if ours is KANConvTranspose2d:  # torch has (C, O / g, ...)
        weight = torch.cat([part.transpose(0, 1) for part in weight.chunk(2)])
    other.weight = nn.Parameter(weight)
    x = images(2, 4, *(9,) * layer.axes)
    torch.testing.assert_close(layer(x), other(x))
    torch.testing.assert_close(layer(x[0]), other(x[0]))  # a single image


def test_at_the_border_an_edge_adds_its_value_at_0():
    layer = KANConv2d(1, 1, 3, padding=2, **EXACT)
    x = images(1, 1, 1, 1)
    at_zero = dense(layer).edge_functions(torch.zeros(1, 1, dtype=torch.float64)).sum()
    at_x = dense(layer).edge_functions(x.view(1, 1))[0, 0]  # (9,)
    values = dense(layer).edge_functions(torch.zeros(1, 1, dtype=torch.float64))[0, 0]
    expected = (at_zero - values + at_x).flip(0).view(3, 3)  # x meets each offset once
    assert values.abs().min() > 0
    torch.testing.assert_close(layer(x)[0, 0], expected)


LAYERS = [
    lambda **options: KANConv1d(2, 4, 3, 2, 1, **options),
    lambda **options: KANConv2d(2, 4, 3, 2, 1, **options),
    lambda **options: KANConvTranspose2d(2, 4, 3, 2, 1, 1, **options),
]
each_layer = pytest.mark.parametrize("make", LAYERS, ids=["1d", "2d", "transposed"])


@each_layer
def test_an_empty_batch_is_convolved(make):
    layer = make()
    sizes = (6,) * layer.axes
    x = torch.empty(0, 2, *sizes, requires_grad=True)
    y = layer(x)
    assert y.shape == (0, *layer(torch.zeros(1, 2, *sizes)).shape[1:])
    y.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape
    assert layer.weight.grad is not None and not layer.weight.grad.any()


@pytest.mark.parametrize("make", LAYERS[1:], ids=["2d", "transposed"])
def test_the_memory_format_of_an_image_is_kept(make):
    layer = make(**EXACT)
    x = images(3, 2, 6, 5)
    expected = layer(x)
    assert expected.is_contiguous()
    x = x.to(memory_format=torch.channels_last)
    found = layer.to(memory_format=torch.channels_last)(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(layer(x[:, :, ::2, 1:]), layer(x[:, :, ::2, 1:].contiguous()))


@each_layer
@pytest.mark.parametrize("separate_scale", [True, False])
def test_parameters_are_counted_in_closed_form(make, separate_scale):
    layer = make(separate_scale=separate_scale)
    edges = 4 * 2 * 3**layer.axes
    assert sum(p.numel() for p in layer.parameters()) == edges * (9 + separate_scale)


@pytest.mark.slow
@each_layer
@pytest.mark.parametrize("separate_scale", [True, False])
def test_second_derivatives_are_those_of_finite_differences(make, separate_scale):
    layer = make(separate_scale=separate_scale, **EXACT)
    x = images(1, 2, *(3,) * layer.axes).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradgradcheck(function, (x, *layer.parameters()))


@each_layer
def test_each_image_has_gradients_of_its_own(make):
    layer, x = make(separate_scale=True, **EXACT), images(3, 2, *(6,) * make().axes)
    parameters = dict(layer.named_parameters())

    def loss(parameters, image):
        return torch.func.functional_call(layer, parameters, (image,)).square().sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    for n, image in enumerate(x):
        expected = torch.autograd.grad(layer(image).square().sum(), list(parameters.values()))
        torch.testing.assert_close([grad[n] for grad in found.values()], list(expected))


@each_layer
def test_its_grid_can_be_refined_and_is_covered(make):
    layer = make(separate_scale=True, **EXACT)
    x = images(3, 2, *(6,) * layer.axes)
    finer = refine(layer, 10)
    assert type(finer) is type(layer) and finer.basis == BSpline(10)
    near = x / 2.5
    torch.testing.assert_close(finer(near), layer(near))
    model = nn.Sequential(copy.deepcopy(layer))
    refine_model(model, "longer")
    torch.testing.assert_close(model(x), layer(x))
    seen = coverage(layer, x)[""]
    assert seen.inside == pytest.approx(((x >= -1) & (x <= 1)).double().mean().item())
    assert seen.inside + seen.fading + seen.outside == pytest.approx(1)


@pytest.mark.parametrize("kind", [KANConv2d, KANConvTranspose2d])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 0),
        ("out_channels", 2.0),
        ("kernel_size", 0),
        ("kernel_size", (3, 3, 3)),
        ("kernel_size", (3, 1.5)),
        ("stride", 0),
        ("dilation", "2"),
        ("padding", -1),
        ("padding", "all"),
        ("groups", 3),
        ("basis", "bspline"),
        ("base", "relu"),
    ],
    ids=str,
)
def test_an_argument_out_of_range_is_named(kind, name, value):
    options: dict[str, Any] = {"in_channels": 4, "out_channels": 6, "kernel_size": 3}
    with pytest.raises(ValueError, match=re.escape(f": {name}={value!r} ")):
        kind(**options | {name: value})


def test_same_padding_needs_a_stride_of_1():
    with pytest.raises(ValueError, match="KANConv2d: padding='same' "):
        KANConv2d(4, 6, 3, 2, "same")
    with pytest.raises(ValueError, match="KANConvTranspose2d: padding='same' "):
        KANConvTranspose2d(4, 6, 3, 1, "same")  # pyright: ignore
    with pytest.raises(ValueError, match="KANConvTranspose2d: output_padding=-1 "):
        KANConvTranspose2d(4, 6, 3, 2, output_padding=-1)


@each_layer
@pytest.mark.parametrize("shape", [(3, 3, 6, 6), (3, 3, 6), (2,), ()], ids=str)
def test_an_input_of_another_shape_is_refused(make, shape):
    layer = make()
    stated = re.escape(f"{type(layer).__name__}: input of shape {shape} ")
    with pytest.raises(ValueError, match=stated):
        layer(torch.rand(shape))


def test_an_option_that_a_convolution_has_not_is_refused():
    options: Any = {"layer_norm": True}
    with pytest.raises(ValueError, match=r"KANConv2d.*layer_norm"):
        KANConv2d(1, 2, 3, **options)
