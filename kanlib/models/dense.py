"""Autoencoders of layers that see an image as one vector: the paper's two KANs, and MLPs.

An image (C, H, W) of D = C H W pixels becomes a code of ``bottleneck`` numbers and an image again.

Sources: arXiv 2410.02077 (the text) and its authors' published code (AminMoradiXL/kan_ae); where
the two differ, the docstring says which is followed.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_bottleneck
from kanlib.nn.bases import Basis, BSpline
from kanlib.nn.linear import KANLinear
from kanlib.nn.rational import Rational, RationalActivation, RationalLinear
from kanlib.nn.shared import SharedFunctions

_SPLINES = BSpline()


class NodeOptions(TypedDict, total=False):
    """What describes the learned functions of a model, on edges or nodes.

    ``Rational`` functions have no base function and no noise: with them the rest is without effect.
    """

    basis: Basis | Rational
    base: str
    init_noise: float


class StackOptions(TypedDict, total=False):
    """What describes the hidden dense layers of a model.

    ``depth``: how many on each side, >= 0; 1 by default. ``layer_norm``: normalise what enters an
    activation.
    """

    depth: int
    layer_norm: bool


class EdgeOptions(NodeOptions, total=False):
    """What describes those on edges."""

    layer_norm: bool


def kan(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    separate_scale: bool = True,
    **options: Unpack[EdgeOptions],
) -> Autoencoder:
    """The paper's text: KAN layer, ReLU, dense | dense, ReLU, KAN layer.

    Used by the authors for MNIST. No output activation.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between the KAN and the dense layer; the bottleneck's in the paper (None).
        separate_scale: as in ``KANLinear``; True reproduces the paper.
        options: basis (or ``Rational``), base, init_noise and layer_norm of ``KANLinear``.
    """
    layer = partial(_on_edges, separate_scale=separate_scale, **options)
    check_bottleneck(shape, bottleneck)
    pixels, hidden = math.prod(shape), bottleneck if hidden is None else hidden
    to_code = [layer(pixels, hidden), nn.ReLU(), nn.Linear(hidden, bottleneck)]
    from_code = [nn.Linear(bottleneck, hidden), nn.ReLU(), layer(hidden, pixels)]
    return Autoencoder(
        nn.Sequential(nn.Flatten(), *to_code), nn.Sequential(*from_code, nn.Unflatten(1, shape))
    )


def kan_pure(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    separate_scale: bool = True,
    **options: Unpack[EdgeOptions],
) -> Autoencoder:
    """KAN layer | KAN layer: what the authors' code computes for CIFAR-10 and SVHN.

    Their model also builds, and counts, ReLU and dense layers that it never calls; these are left
    out here.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between two KAN layers on each side (not in the paper); None: one layer each.
        separate_scale: as in ``KANLinear``; True reproduces the paper.
        options: basis (or ``Rational``), base, init_noise and layer_norm of ``KANLinear``.
    """
    check_bottleneck(shape, bottleneck)
    pixels = math.prod(shape)
    widths = [pixels, bottleneck] if hidden is None else [pixels, hidden, bottleneck]

    def layers(widths: list[int]) -> list[nn.Module]:
        """KAN layers from each width to the next."""
        return [
            _on_edges(*pair, separate_scale=separate_scale, **options)
            for pair in itertools.pairwise(widths)
        ]

    return Autoencoder(
        nn.Sequential(nn.Flatten(), *layers(widths)),
        nn.Sequential(*layers(widths[::-1]), nn.Unflatten(1, shape)),
    )


def linear(shape: Shape, bottleneck: int) -> Autoencoder:
    """Dense layer | dense layer, without activation: what PCA computes, but trained.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
    """
    return mlp(shape, bottleneck, depth=0)


def mlp(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    activation: str = "relu",
    input_scale: bool = False,
    **options: Unpack[StackOptions],
) -> Autoencoder:
    """``kan`` with a dense layer in the place of each KAN layer.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's, as in ``kan`` (None).
        activation: of the hidden layers: "relu", "gelu", "silu" or "prelu".
        input_scale: learn a factor and an offset for each pixel.
        options: depth and layer_norm.
    """
    first = [_Scale(math.prod(shape))] if input_scale else []
    return _stack(shape, bottleneck, hidden, partial(activated, activation), first, **options)


def spline_mlp(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    **options: Unpack[NodeOptions],
) -> Autoencoder:
    """``mlp`` with a learned function on each hidden node in the place of ReLU.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's (None).
        options: basis (or ``Rational``), base and init_noise of ``SharedFunctions``.
    """
    return _stack(shape, bottleneck, hidden, lambda width: _on_nodes(width, **options))


def kan_shared(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    functions: int = 1,
    input_functions: bool = False,
    tied: bool = False,
    depth: int = 1,
    layer_norm: bool = False,
    **options: Unpack[NodeOptions],
) -> Autoencoder:
    """``mlp`` with learned functions on its hidden nodes, which the edges behind a node share.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's (None).
        functions: of each hidden node, >= 1; 1 with ``Rational``.
        input_functions: learn a function of each pixel, too.
        tied: all nodes of a hidden layer have the same functions; not with ``Rational``.
        depth: hidden layers on each side, as of ``mlp``.
        layer_norm: before the functions, as of ``mlp``.
        options: basis (or ``Rational``), base and init_noise of ``SharedFunctions``.
    """
    nodes: dict[str, Any] = {**options}
    nodes |= {"functions": functions} if functions != 1 else {}
    nodes |= {"tied": True} if tied else {}
    first = [_on_nodes(math.prod(shape), **options)] if input_functions else []
    activation = partial(_on_nodes, **nodes)
    return _stack(shape, bottleneck, hidden, activation, first, depth=depth, layer_norm=layer_norm)


def _on_edges(
    inputs: int,
    outputs: int,
    *,
    basis: Basis | Rational = _SPLINES,
    **options: Any,
) -> nn.Module:
    """A layer with functions of the basis on its edges."""
    if isinstance(basis, Rational):
        return RationalLinear(inputs, outputs, basis.groups)
    return KANLinear(inputs, outputs, basis=basis, **options)


def _on_nodes(width: int, *, basis: Basis | Rational = _SPLINES, **options: Any) -> nn.Module:
    """Functions of the basis on nodes."""
    if isinstance(basis, Rational):
        return RationalActivation(width, basis.groups)
    return SharedFunctions(width, basis=basis, **options)


def activated(name: str, width: int) -> nn.Module:
    """A fixed activation by name; PReLU has a slope for each of ``width`` channels.

    Raises:
        ValueError: there is no such activation.
    """
    fixed = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
    if name == "prelu":
        return nn.PReLU(width)
    if name not in fixed:
        raise ValueError(f"activation={name!r} must be one of {', '.join(fixed)}, prelu")
    return fixed[name]()


class _Scale(nn.Module):
    """A learned factor and offset of each input, 1 and 0 at the start."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


def _stack(
    shape: Shape,
    bottleneck: int,
    hidden: int | None,
    activation: Callable[[int], nn.Module],
    first: Sequence[nn.Module] = (),
    *,
    depth: int = 1,
    layer_norm: bool = False,
) -> Autoencoder:
    """Dense layers with an activation between each two; ``depth`` hidden ones on each side.

    An activation may make several numbers of each node. What is ``first`` stands before all.
    """
    check_bottleneck(shape, bottleneck)
    pixels, hidden = math.prod(shape), bottleneck if hidden is None else hidden

    def dense(widths: list[int], first: Sequence[nn.Module] = ()) -> list[nn.Module]:
        """Layers from each width to the next."""
        layers, inputs = [*first], widths[0]
        for width in widths[1:-1]:
            norm = [nn.LayerNorm(width)] if layer_norm else []
            layers += [nn.Linear(inputs, width), *norm, activation(width)]
            inputs = width * getattr(layers[-1], "functions", 1)
        return [*layers, nn.Linear(inputs, widths[-1])]

    widths = [pixels, *[hidden] * depth, bottleneck]
    return Autoencoder(
        nn.Sequential(nn.Flatten(), *dense(widths, first)),
        nn.Sequential(*dense(widths[::-1]), nn.Unflatten(1, shape)),
    )
